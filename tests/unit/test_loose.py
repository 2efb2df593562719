"""Objects written and read without git are what git itself would have written and read."""

import asyncio
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kimi_code.repo import listings, loose
from kimi_code.repo.shadow import Shadow, ShadowError, build
from kimi_code.repo.trees import Entry, Trees
from kimi_code.swarm.journal import Keeper

EMPTY = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


def make(folder: Path) -> Trees:
    store = Shadow(folder, folder, None)
    build(store, ())
    assert loose.write(folder, b"tree", b"") == EMPTY
    return Trees(store)


def git(folder: Path, *args: str, input: str = "") -> str:
    command = ("git", "--git-dir", str(folder), *args)
    return subprocess.run(command, input=input, capture_output=True, text=True, check=True).stdout


async def test_a_commit_is_one_that_git_reads_and_finds_nothing_wrong_with(tmp_path: Path) -> None:
    trees = make(tmp_path / "store")
    tree = await trees.edit(EMPTY, {"a": Entry("file", b"a\n")})
    first = await trees.commit(tree, "first, 你好")
    second = await trees.commit(first, "second\n", first)
    said = git(tmp_path / "store", "log", "--format=%T %P %an <%ae> %s", second).splitlines()
    assert said == [
        f"{tree} {first} kimi-code <kimi-code@localhost> second",
        f"{tree}  kimi-code <kimi-code@localhost> first, 你好",
    ]
    git(tmp_path / "store", "fsck", "--strict", second)
    assert [await trees.tree(each) for each in (tree, first, second)] == [tree] * 3


async def test_packed_objects_and_names_are_gits_business(tmp_path: Path) -> None:
    store = tmp_path / "store"
    trees = make(store)
    commit = await trees.commit(EMPTY, "one")
    (store / "refs" / "heads").mkdir()
    git(store, "update-ref", "refs/heads/x", commit)
    git(store, "repack", "-qad")
    git(store, "prune-packed")
    assert loose.read(store, commit) is None
    assert [await trees.tree(commit), await trees.tree("refs/heads/x"), await trees.tree(commit)] == [EMPTY] * 3
    assert await trees.tree(await trees.commit("refs/heads/x", "two", commit)) == EMPTY
    with pytest.raises(ShadowError):
        await trees.tree("0" * 40)


@settings(max_examples=15, deadline=None)
@given(st.binary(max_size=300))
def test_a_blob_has_the_id_that_git_gives_it(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    store = tmp_path_factory.mktemp("store")
    (store / "objects").mkdir()
    asked = subprocess.run(["git", "hash-object", "--stdin"], input=content, capture_output=True, check=True)
    id = loose.write(store, b"blob", content)
    assert asked.stdout.decode().strip() == id == loose.write(store, b"blob", content)
    assert loose.read(store, id) == (b"blob", content)


async def test_commits_that_are_kept_at_once_are_all_kept_and_one_that_cannot_be_harms_no_other(tmp_path: Path) -> None:
    trees, lasting = make(tmp_path / "store"), make(tmp_path / "lasting").store
    base = await trees.commit(EMPTY, "base")
    made = [
        await trees.commit(await trees.edit(EMPTY, {f"{n}.txt": Entry("file", b"%d\n" % n)}), f"task {n}", base)
        for n in range(6)
    ]
    keeper = Keeper(trees, lasting, "swarm-1")
    asked = [*made[:3], "f" * 40, *made[3:], made[0]]
    ends = [asyncio.ensure_future(keeper.keep(commit, base)) for commit in asked]
    await asyncio.wait(ends)
    assert [type(end.exception()) for end in ends] == [ShadowError if end is ends[3] else type(None) for end in ends]
    assert [git(lasting.folder, "cat-file", "-t", commit).strip() for commit in made] == ["commit"] * 6
    assert set((lasting.folder / "needed" / "swarm-1").read_text().split()) == set(made)


async def test_what_is_copied_is_whole_and_what_is_borrowed_known_or_a_submodule_stays_where_it_is(
    tmp_path: Path,
) -> None:
    trees, target = make(tmp_path / "store"), make(tmp_path / "target").store.folder
    files = {
        "a.txt": Entry("file", b"a\n"),
        "deep/er/b.sh": Entry("executable", b"b\n"),
        "l": Entry("symlink", b"a.txt"),
    }
    before = await trees.commit(await trees.edit(EMPTY, {"old": Entry("file", b"old\n")}), "before")
    base = await trees.commit(await trees.edit(EMPTY, files), "base", before)
    index = tmp_path / "index"
    await trees.ask("read-tree", base, index=index)
    link = f"160000 {before}\tmodule\0".encode()
    await trees.ask("update-index", "--add", "-z", "--index-info", index=index, input=link)
    tree = (await trees.ask("write-tree", "--missing-ok", index=index)).decode().strip()
    made = await trees.commit(await trees.edit(tree, {"deep/c.txt": Entry("file", b"c\n")}), "made", base)
    store = tmp_path / "store"
    (blob,) = git(store, "ls-tree", "--object-only", base, "a.txt").split()
    (store / "objects" / blob[:2] / blob[2:]).unlink()  # as if another lent it
    assert loose.copy(store, target, [made], [before])
    wanted = git(store, "rev-list", "--objects", "--missing=allow-any", "--no-object-names", made, f"^{before}").split()
    assert {f"{path.parent.name}{path.name}" for path in target.glob("objects/??/*")} == {EMPTY, *wanted} - {blob}
    assert loose.copy(store, target, [made])
    git(target, "cat-file", "-e", before)


async def test_packed_many_and_large_objects_are_copied_by_git(tmp_path: Path) -> None:
    trees, lasting = make(tmp_path / "store"), make(tmp_path / "lasting").store
    store, keeper = tmp_path / "store", Keeper(trees, lasting, "swarm-1")
    blobs = {b"%d" % n: listings.Item("100644", loose.write(store, b"blob", b"%d" % n)) for n in range(301)}
    many = await trees.commit(loose.write(store, b"tree", listings.render(blobs)), "many")
    noise = b"".join(sha256(bytes([n % 256, n // 256])).digest() for n in range(40_000))
    large = await trees.commit(await trees.edit(EMPTY, {"large": Entry("file", noise)}), "large")
    packed = await trees.commit(await trees.edit(EMPTY, {"a": Entry("file", b"a\n")}), "packed")
    for commit in (many, large):
        assert not loose.copy(store, lasting.folder, [commit])
        await keeper.keep(commit)
    (store / "objects" / "pack").mkdir()
    git(store, "pack-objects", "-q", str(store / "objects" / "pack" / "pack"), input=f"{packed}\n")
    assert not loose.copy(store, lasting.folder, [packed])
    await keeper.keep(packed)
    git(lasting.folder, "fsck", "--strict", many, large, packed)

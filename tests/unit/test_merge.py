"""Merging trees, and applying the result to the user's files: three-way, all or nothing."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kimi_code.errors import CheckpointError
from kimi_code.repo.checkouts.frozen import alternates
from kimi_code.repo.checkpoint import Checkpoints
from kimi_code.repo.checkpoints.ledger import Doorway
from kimi_code.repo.merge import Applied, apply, is_marked, merge
from kimi_code.repo.shadow import Shadow, build
from kimi_code.repo.snapshot import Snapshots
from kimi_code.repo.trees import Entry, Trees
from tests.costly import dear
from tests.kill_points import dying

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")

Files = Mapping[str, str | Entry]


def entry(content: "str | Entry") -> Entry:
    return content if isinstance(content, Entry) else Entry("file", content.encode())


async def make_trees(folder: Path, snapshots: Snapshots) -> Trees:
    """A store that borrows from the snapshots', as that of isolated copies does."""
    store = Shadow(folder, folder, None)
    build(store, ())
    lent = (await snapshots.open()).folder / "objects"
    (folder / "objects" / "info" / "alternates").write_text(alternates([lent]))
    return Trees(store)


async def plant(trees: Trees, files: Files) -> str:
    empty = (await trees.ask("hash-object", "-t", "tree", "-w", "--stdin", input=b"")).decode().strip()
    return await trees.edit(empty, {path: entry(content) for path, content in files.items()})


def lay_out(top: Path, files: Files) -> None:
    for name, content in files.items():
        path, found = top / name, entry(content)
        path.parent.mkdir(parents=True, exist_ok=True)
        if found.mode == "symlink":
            path.symlink_to(os.fsdecode(found.content))
        else:
            path.write_bytes(found.content)
            path.chmod(0o755 if found.mode == "executable" else 0o644)


def look(top: Path) -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    for path in sorted(top.rglob("*")):
        name = path.relative_to(top).as_posix()
        if path.is_symlink():
            found[name] = Entry("symlink", os.fsencode(path.readlink()))
        elif path.is_file():
            found[name] = Entry("executable" if os.access(path, os.X_OK) else "file", path.read_bytes())
    return found


@dataclass(slots=True)
class Scene:
    top: Path
    snapshots: Snapshots
    trees: Trees

    async def apply(self, base: Files, result: Files, live: Files | None = None) -> Applied:
        lay_out(self.top, base if live is None else live)
        ids = [await plant(self.trees, files) for files in (base, result)]
        return await apply(self.trees, self.snapshots, *ids)


async def make_scene(place: Path) -> Scene:
    top = place / "top"
    top.mkdir()
    snapshots = Snapshots(top, place / "snapshots")
    return Scene(top, snapshots, await make_trees(place / "store", snapshots))


@pytest.fixture
async def scene(tmp_path: Path) -> Scene:
    return await make_scene(tmp_path)


TEN = "".join(f"line {n}\n" for n in range(10))


async def test_both_sides_changes_to_one_file_come_together(scene: Scene) -> None:
    ours, theirs = TEN.replace("line 1\n", "mine\n"), TEN.replace("line 8\n", "yours\n")
    applied = await scene.apply({"a": TEN}, {"a": theirs}, {"a": ours})
    assert applied == Applied("applied", ("a",))
    assert (scene.top / "a").read_text() == ours.replace("line 8\n", "yours\n")


async def test_a_conflict_names_the_path_and_both_sides_and_writes_nothing(scene: Scene) -> None:
    applied = await scene.apply({"a": "old\n", "b": "b"}, {"a": "theirs\n", "b": "new"}, {"a": "ours\n", "b": "b"})
    assert applied.status == "conflict"
    (conflict,) = applied.conflicts
    assert (conflict.path, conflict.kind) == ("a", "contents")
    assert [side and side.content for side in (conflict.base, conflict.ours, conflict.theirs)] == [
        b"old\n",
        b"ours\n",
        b"theirs\n",
    ]
    assert look(scene.top) == {"a": entry("ours\n"), "b": entry("b")}


async def test_a_file_changed_here_and_deleted_there_is_a_conflict(scene: Scene) -> None:
    applied = await scene.apply({"a": TEN, "b": ""}, {"b": ""}, {"a": TEN + "more\n", "b": ""})
    assert [(found.path, found.kind, found.theirs) for found in applied.conflicts] == [("a", "modify/delete", None)]


async def test_what_both_did_alike_is_no_conflict(scene: Scene) -> None:
    applied = await scene.apply({"a": "old\n"}, {"a": "new\n", "c": "c"}, {"a": "new\n"})
    assert applied == Applied("applied", ("c",))


async def test_names_with_newlines_and_blanks_are_merged_and_reported(scene: Scene) -> None:
    odd = 'b\n "ä'
    applied = await scene.apply({odd: "1\n", "x": "x"}, {odd: "2\n", "x": "x"}, {odd: "3\n", "x": "x"})
    assert [found.path for found in applied.conflicts] == [odd]
    applied = await merge(scene.trees, *[await plant(scene.trees, {odd: text}) for text in ("1\n", "1\n", "2\n")])
    assert await scene.trees.files(applied.tree, [odd]) == {odd: entry("2\n")}


async def test_files_become_folders_links_and_programs_and_back(scene: Scene) -> None:
    before: Files = {"a": "file", "b/c": "in a folder", "run": "#!", "link": Entry("symlink", b"a")}
    after: Files = {
        "a/new/deep": "now a folder",
        "b": "now a file",
        "run": Entry("executable", b"#!"),
        "link": "now a file",
    }
    assert (await scene.apply(before, after, before)).status == "applied"
    assert look(scene.top) == {path: entry(content) for path, content in after.items()}


async def test_the_mode_of_a_replaced_file_is_kept(scene: Scene) -> None:
    lay_out(scene.top, {"secret": "old", "run": "old"})
    (scene.top / "secret").chmod(0o600)
    (scene.top / "run").chmod(0o640)
    files: Files = {"secret": "old", "run": "old"}
    ids = [
        await plant(scene.trees, each)
        for each in (files, {"secret": "new", "run": Entry("executable", b"old"), "x": ""})
    ]
    assert (await apply(scene.trees, scene.snapshots, *ids)).status == "applied"
    modes = {path.name: path.stat().st_mode & 0o777 for path in scene.top.iterdir()}
    assert (modes["secret"], modes["run"]) == (0o600, 0o750)


async def test_an_ignored_file_in_the_way_is_not_written_over(scene: Scene) -> None:
    lay_out(scene.top, {"target/out": "precious"})
    applied = await scene.apply({"a": "1"}, {"a": "2", "target/out": "generated"})
    assert applied.reasons == ("target/out: something that is in no checkpoint is in its place",)
    assert look(scene.top) == {"a": entry("1"), "target/out": entry("precious")}


async def test_a_folder_with_an_ignored_file_in_it_is_not_replaced_by_a_file(scene: Scene) -> None:
    lay_out(scene.top, {"d/x.pyc": "precious"})
    applied = await scene.apply({"d/a": "1"}, {"d": "file"})
    assert applied.reasons == ("d: a folder with other files is in its place",)
    assert look(scene.top) == {"d/a": entry("1"), "d/x.pyc": entry("precious")}


async def test_a_folder_that_became_a_link_is_not_followed(scene: Scene, tmp_path: Path) -> None:
    lay_out(tmp_path / "elsewhere", {"a": "a"})
    (scene.top / "d").symlink_to(tmp_path / "elsewhere")
    ids = [await plant(scene.trees, files) for files in ({"x": "x"}, {"x": "y", "d/b": "b"})]
    lay_out(scene.top, {"x": "x"})
    applied = await apply(scene.trees, scene.snapshots, *ids)
    assert applied.status == "conflict" and look(scene.top)["x"] == entry("x")
    assert look(tmp_path / "elsewhere") == {"a": entry("a")}


@pytest.mark.parametrize("name", [".git", ".GIT", ".."])
async def test_paths_that_lead_out_or_into_a_repository_are_refused(scene: Scene, name: str) -> None:
    lay_out(scene.top, {"a": "1"})
    base = await plant(scene.trees, {"a": "1"})
    # Git makes no such tree of files, but whoever writes objects by hand does.
    line = f"040000 tree {base}\t{name}\n".encode() + await scene.trees.ask("ls-tree", base)
    hostile = (await scene.trees.ask("mktree", input=line)).decode().strip()
    applied = await apply(scene.trees, scene.snapshots, base, hostile)
    assert applied.reasons == (f"{name}/a: is no path of a file here",)
    assert look(scene.top) == {"a": entry("1")}


async def test_only_one_process_at_a_time_puts_files_in_their_places(scene: Scene) -> None:
    async with Doorway(Snapshots(scene.top, scene.top.parent / "snapshots"), 1.0).open():
        lay_out(scene.top, {"a": "1"})
        ids = [await plant(scene.trees, {"a": text}) for text in "12"]
        with pytest.raises(CheckpointError, match="Another process"):
            await apply(scene.trees, scene.snapshots, *ids, wait=0.0)
    assert look(scene.top) == {"a": entry("1")}


async def test_a_failure_half_way_takes_everything_back(scene: Scene) -> None:
    long = "n" * 300  # no file system takes it: found out when everything before it is in its place
    files: Files = {"a": "1", "b/c": "2", "d": "3"}
    applied = await scene.apply(files, {"a": "x", "d": "3", "e/f/g": "new", f"z/{long}": "too long"})
    assert applied.status == "refused" and "File name too long" in applied.reasons[0]
    assert look(scene.top) == {path: entry(content) for path, content in files.items()}
    assert sorted(path.name for path in scene.top.iterdir()) == ["a", "b", "d"]


async def test_a_pick_of_files_is_a_tree_and_its_patch_is_one_that_git_applies(scene: Scene, tmp_path: Path) -> None:
    files: Files = {"a": TEN, "bin": Entry("file", bytes(range(256))), "run": "#!", "old": "gone\n"}
    base = await plant(scene.trees, files)
    picked = await scene.trees.edit(
        base,
        {"a": entry(TEN + "end\n"), "bin": Entry("file", b"\0\1"), "run": Entry("executable", b"#!"), "old": None},
    )
    changes = {change.path: change.change for change in await scene.trees.changes(base, picked)}
    assert changes == {"a": "modified", "bin": "modified", "run": "modified", "old": "deleted"}
    lay_out(scene.top, files)
    patch = await scene.trees.patch(base, picked)
    done = subprocess.run(["git", "apply"], cwd=scene.top, input=patch, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert look(scene.top) == await scene.trees.files(picked, ["a", "bin", "run", "old"])


names = st.sampled_from(["a", "b", "d/a", "d/b", "d/e", "d/e/f"])
trees_of_files = st.dictionaries(names, st.sampled_from(["1", "2", "3"]).map(entry), max_size=6).filter(
    lambda files: not ("d/e" in files and "d/e/f" in files)
)


@dear
@given(trees_of_files, trees_of_files)
def test_any_tree_becomes_any_other(
    tmp_path_factory: pytest.TempPathFactory, before: dict[str, Entry], after: dict[str, Entry]
) -> None:
    async def check() -> None:
        scene = await make_scene(tmp_path_factory.mktemp("any"))
        assert (await scene.apply(before, after)).status == "applied"
        assert look(scene.top) == after
        assert not [path for path in scene.top.rglob("*") if path.is_dir() and not any(path.iterdir())]

    asyncio.run(check())


# --- Killed -----------------------------------------------------------------------------------------------------------

APPLY = """
from pathlib import Path
from kimi_code.repo.merge import apply
from kimi_code.repo.shadow import Shadow
from kimi_code.repo.snapshot import Snapshots
from kimi_code.repo.trees import Trees

async def work(place, base, result):
    place = Path(place)
    trees = Trees(Shadow(place / "store", place / "store", None))
    assert (await apply(trees, Snapshots(place / "top", place / "snapshots"), base, result)).status == "applied"
"""


@posix
async def test_a_kill_at_any_point_leaves_all_or_nothing_and_the_next_command_cleans_up(scene: Scene) -> None:
    files: tuple[Files, Files] = (
        {"a": "1", "b/c": "2", "d": "3", "same": "4"},
        {"a": "x", "d/e/f": "new", "run": Entry("executable", b"#!"), "same": "4"},
    )
    looks = [{path: entry(content) for path, content in each.items()} for each in files]
    lay_out(scene.top, files[0])
    ids = [await plant(scene.trees, each) for each in files]
    at, number, outcomes = 0, 8, set[bool]()
    with dying(APPLY) as attempt:
        while (code := attempt(number, scene.top.parent, ids[at], ids[1 - at])) != 0:
            assert code == -signal.SIGKILL, number
            await Checkpoints(Snapshots(scene.top, scene.top.parent / "snapshots")).turns()
            assert not list(scene.top.glob(".*.kimi-code.tmp")), number
            found = look(scene.top)
            assert found in looks, number
            outcomes.add(done := found == looks[1 - at])
            at, number = (1 - at if done else at), number + 9
    assert look(scene.top) == looks[1 - at]
    assert outcomes == {True, False}


def test_a_conflict_stands_as_long_as_any_mark_of_it_does_and_a_heading_is_none() -> None:
    assert is_marked(b"one\r\n||||||| before both\r\ntwo\r\n")
    assert is_marked(b">>>>>>> to be merged")
    assert not is_marked(b"Heading\n=======\n")

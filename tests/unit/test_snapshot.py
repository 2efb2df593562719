"""Snapshots: whatever changed is seen, whoever changed it, and the user's repository stays as it was, byte for byte."""

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kimi_code.events import FileChange
from kimi_code.repo.checkpoints.surveyor import Surveyor
from kimi_code.repo.snapshot import Limits, Snapshot, Snapshots
from tests.unit.trees import commit_all, git

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX file types and shell scripts")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    (root / "a.txt").write_text("one\ntwo\n")
    return root


@pytest.fixture
def repository(folder: Path) -> Path:
    git(folder, "init", "-q", "--template=")
    commit_all(folder)
    return folder


async def taken(snapshots: Snapshots) -> Snapshot:
    snapshot = await snapshots.take()
    assert snapshot is not None, snapshots.reason
    return snapshot


async def changes_by(snapshots: Snapshots, *commands: str) -> dict[str, FileChange]:
    """What shell commands run in the root change."""
    before = await taken(snapshots)
    for command in commands:
        subprocess.run(command, shell=True, check=True, cwd=snapshots.root)
    return {change.path: change for change in await snapshots.changes(before, await taken(snapshots))}


def content_of(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else b""
        for path in sorted(folder.rglob("*"))
    }


@posix
async def test_every_kind_of_change_is_seen_with_its_lines(repository: Path, store: Path) -> None:
    (repository / "gone.txt").write_text("1\n2\n3\n")
    (repository / "old.txt").write_text("".join(f"{n}\n" for n in range(50)))
    (repository / "untracked.txt").write_text("not in git\n")
    git(repository, "add", "gone.txt", "old.txt")
    found = await changes_by(
        Snapshots(repository, store),
        "printf 'one\\n2\\n3\\n' > a.txt",
        "rm gone.txt",
        "mkdir new && mv old.txt new/name.txt && echo more >> new/name.txt",
        "printf '\\000\\001' > image.bin",
        "echo more >> untracked.txt",
        "printf 'x\\ny' > created.txt",
    )
    assert found == {
        "a.txt": FileChange("a.txt", "modified", 2, 1),
        "gone.txt": FileChange("gone.txt", "deleted", 0, 3),
        "new/name.txt": FileChange("new/name.txt", "renamed", 1, 0),
        "image.bin": FileChange("image.bin", "created", 0, 0),
        "untracked.txt": FileChange("untracked.txt", "modified", 1, 0),
        "created.txt": FileChange("created.txt", "created", 2, 0),
    }


async def test_nothing_changed_means_no_changes(repository: Path, store: Path) -> None:
    snapshots = Snapshots(repository, store)
    before, after = await taken(snapshots), await taken(snapshots)
    assert before == after
    assert await snapshots.changes(before, after) == ()


@posix
async def test_the_users_repository_is_the_same_byte_for_byte(repository: Path, store: Path) -> None:
    (repository / "staged.txt").write_text("staged")
    git(repository, "add", "staged.txt")
    (repository / "a.txt").write_text("stashed")
    git(repository, "stash", "-q")
    (repository / "a.txt").write_text("dirty")
    before = content_of(repository / ".git")
    found = await changes_by(Snapshots(repository, store), "echo more >> a.txt", "rm -f staged.txt", "echo > new")
    assert found.keys() >= {"a.txt", "new"}
    assert content_of(repository / ".git") == before


@posix
async def test_the_first_look_starts_from_a_copy_of_the_users_index_and_reads_no_unchanged_file(
    repository: Path, store: Path
) -> None:
    (repository / "dirty.txt").write_text("committed\n")
    commit_all(repository)
    their_index = repository / ".git" / "index"
    os.utime(their_index, ns=(their_index.stat().st_atime_ns, their_index.stat().st_mtime_ns + 10**9))
    snapshots = Snapshots(repository, store)
    await taken(snapshots)
    assert snapshots.shadow is not None
    # Byte for byte with the times that git found each file to have: what is made anew by reading files is another one.
    assert snapshots.shadow.index.read_bytes() == their_index.read_bytes()
    assert snapshots.shadow.index.stat().st_mtime_ns == their_index.stat().st_mtime_ns

    shutil.rmtree(store)
    (repository / "dirty.txt").write_text("dirty\n")
    snapshots = Snapshots(repository, store)
    await taken(snapshots)
    assert snapshots.shadow is not None
    blobs = [git(repository, "hash-object", name) for name in ("a.txt", "dirty.txt")]
    objects = snapshots.shadow.folder / "objects"
    assert [(objects / blob[:2] / blob[2:]).exists() for blob in blobs] == [False, True]
    known = git(repository, "ls-files", "--debug", "a.txt")
    index = os.fspath(snapshots.shadow.index)
    assert (
        subprocess.run(
            ["git", "ls-files", "--debug", "a.txt"],
            cwd=repository,
            env={**os.environ, "GIT_INDEX_FILE": index},
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        == known
    )


async def test_a_commit_or_checkout_by_the_agent_changes_only_what_files_say(repository: Path, store: Path) -> None:
    found = await changes_by(
        Snapshots(repository, store),
        "echo three >> a.txt && git -c user.name=T -c user.email=t@e commit -qam more",
        "git checkout -q --detach HEAD~1",
        "git checkout -q -",
    )
    assert found == {"a.txt": FileChange("a.txt", "modified", 1, 0)}


@posix
async def test_a_change_of_the_same_size_in_the_same_instant_is_seen(repository: Path, store: Path) -> None:
    snapshots = Snapshots(repository, store)
    for text in ("AAA", "BBB", "CCC", "DDD"):
        assert (await changes_by(snapshots, f"printf {text} > a.txt")).keys() == {"a.txt"}


@posix
async def test_names_may_be_anything(repository: Path, store: Path) -> None:
    names = ["two words", "新しい文", "line\nbreak", "tab\t", ":(top)magic", "-rf", '"quoted"', "back\\slash", "*"]
    snapshots = Snapshots(repository, store)
    before = await taken(snapshots)
    for name in names:
        (repository / name).write_text("x\n")
    after = await taken(snapshots)
    assert sorted(change.path for change in await snapshots.changes(before, after)) == sorted(names)


@posix
async def test_a_name_that_is_no_unicode_is_carried(repository: Path, store: Path) -> None:
    snapshots = Snapshots(repository, store)
    before = await taken(snapshots)
    try:
        Path(os.fsdecode(os.fsencode(repository) + b"/\xff\xfe")).write_text("x")
    except OSError:
        pytest.skip("this file system wants Unicode")
    (change,) = await snapshots.changes(before, await taken(snapshots))
    assert os.fsencode(change.path) == b"\xff\xfe"


@posix
async def test_ignored_files_are_left_out_unless_tracked(repository: Path, store: Path) -> None:
    (repository / ".gitignore").write_text("*.log\n")
    (repository / "kept.log").write_text("1\n")
    git(repository, "add", "-f", "kept.log")
    commit_all(repository)
    (repository / ".git/info").mkdir(exist_ok=True)
    (repository / ".git/info/exclude").write_text("*.tmp\n")
    found = await changes_by(Snapshots(repository, store), "echo >> kept.log; echo > other.log; echo > x.tmp")
    assert found.keys() == {"kept.log"}


@posix
async def test_files_and_folders_may_change_places(repository: Path, store: Path) -> None:
    (repository / "tree").mkdir()
    (repository / "tree/leaf").write_text("leaf\n")
    (repository / "link-to-be").mkdir()
    (repository / "link-to-be/x").write_text("x\n")
    commit_all(repository)
    found = await changes_by(
        Snapshots(repository, store),
        "rm a.txt && mkdir a.txt && echo inner > a.txt/inner",
        "rm -r tree && echo now a file > tree",
        "rm -r link-to-be && ln -s tree link-to-be",
        "ln -s loop loop",
    )
    assert {path: change.change for path, change in found.items()} == {
        "a.txt": "deleted",
        "a.txt/inner": "created",
        "tree": "created",
        "tree/leaf": "deleted",
        "link-to-be": "created",
        "link-to-be/x": "deleted",
        "loop": "created",
    }


@posix
async def test_pipes_sockets_and_huge_files_are_left_out(repository: Path, store: Path) -> None:
    snapshots = Snapshots(repository, store, limits=Limits(file=1000))
    (repository / "grows.txt").write_text("small\n")
    before = await taken(snapshots)
    os.mkfifo(repository / "pipe")
    (repository / "huge").write_bytes(b"x" * 2000)
    (repository / "grows.txt").write_bytes(b"x" * 2000)
    (repository / "small").write_text("x\n")
    after = await taken(snapshots)
    assert [change.path for change in await snapshots.changes(before, after)] == ["small"]
    assert sorted(note.split()[0] for note in after.notes) == ["grows.txt", "huge"]


@posix
async def test_nested_repositories_are_looked_into_but_not_into_their_git_folder(repository: Path, store: Path) -> None:
    snapshots = Snapshots(repository, store)
    before = await taken(snapshots)
    for name in ("born", "empty"):
        (repository / name).mkdir()
        git(repository / name, "init", "-q")
    (repository / "born/x").write_text("x")
    (repository / "born/deep").mkdir()
    (repository / "born/deep/y").write_text("y")
    (repository / "born/.gitignore").write_text("*.o\n")
    (repository / "born/z.o").write_text("z")
    commit_all(repository / "born")
    (repository / "beside").write_text("x\n")
    after = await taken(snapshots)
    found = [change.path for change in await snapshots.changes(before, after)]
    assert found == ["beside", "born/.gitignore", "born/deep/y", "born/x"]
    assert [note.split()[0] for note in after.notes] == ["empty/"]
    assert await taken(Snapshots(repository, store)) == after


@posix
async def test_a_file_once_followed_stays_so_when_it_is_ignored_later(repository: Path, store: Path) -> None:
    (repository / "new").write_text("x\n")
    before = await taken(Snapshots(repository, store))
    (repository / ".gitignore").write_text("new\n")
    snapshots = Snapshots(repository, store)
    after = await taken(snapshots)
    assert [change.path for change in await snapshots.changes(before, after)] == [".gitignore"]


@posix
async def test_files_left_out_of_a_sparse_checkout_are_not_taken_for_deleted(repository: Path, store: Path) -> None:
    for name in ("in", "out"):
        (repository / name).mkdir()
        (repository / name / "x").write_text("x\n")
    commit_all(repository)
    git(repository, "sparse-checkout", "set", "in")
    (repository / "a.txt").write_text("assumed unchanged\n")
    git(repository, "update-index", "--skip-worktree", "a.txt")
    for _ in range(2):
        found = await changes_by(Snapshots(repository, store), "echo more >> a.txt")
        assert found.keys() == {"a.txt"}


@posix
async def test_a_submodule_is_left_out_and_its_configuration_is_not_obeyed(
    repository: Path, store: Path, tmp_path: Path
) -> None:
    outer = tmp_path / "outer"
    outer.mkdir()
    git(outer, "init", "-q")
    git(outer, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(repository), "lib")
    commit_all(outer)
    git(outer / "lib", "config", "core.fsmonitor", f"touch {tmp_path}/owned; false")
    found = await changes_by(Snapshots(outer, store), "echo >> lib/a.txt; echo > beside")
    assert found.keys() == {"beside"}
    assert not (tmp_path / "owned").exists()


@posix
async def test_hooks_and_filters_are_not_run(repository: Path, store: Path, tmp_path: Path) -> None:
    trap = tmp_path / "trap.sh"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/owned\ncat\n")
    trap.chmod(0o755)
    (repository / ".gitattributes").write_text("* filter=evil diff=evil ident text=auto eol=crlf\n")
    commit_all(repository)
    for name in ("filter.evil.clean", "diff.evil.textconv", "diff.evil.command", "core.fsmonitor", "diff.external"):
        git(repository, "config", name, str(trap))
    hook = repository / ".git/hooks/post-index-change"
    hook.parent.mkdir(exist_ok=True)
    shutil.copy2(trap, hook)
    found = await changes_by(Snapshots(repository, store), "printf 'one\\r\\ntwo $Id$\\r\\n' > a.txt")
    assert found == {"a.txt": FileChange("a.txt", "modified", 2, 2)}
    assert not (tmp_path / "owned").exists()


@posix
async def test_line_ends_that_git_converts_are_not_mistaken_for_changes(repository: Path, store: Path) -> None:
    (repository / ".gitattributes").write_text("*.bat text eol=crlf\n")
    (repository / "run.bat").write_bytes(b"one\r\ntwo\r\n")
    commit_all(repository)
    git(repository, "checkout", "-q", "-f", "HEAD")
    found = await changes_by(Snapshots(repository, store), "printf 'three\\r\\n' >> run.bat")
    assert found == {"run.bat": FileChange("run.bat", "modified", 1, 0)}


@posix
async def test_conflicts_and_intended_additions_in_the_users_index_do_no_harm(repository: Path, store: Path) -> None:
    git(repository, "checkout", "-qb", "other")
    (repository / "a.txt").write_text("other\n")
    git(repository, "commit", "-qam", "other")
    git(repository, "checkout", "-q", "main")
    (repository / "a.txt").write_text("main\n")
    git(repository, "commit", "-qam", "main")
    with pytest.raises(subprocess.CalledProcessError):
        git(repository, "merge", "other")
    (repository / "intended").write_text("x\n")
    git(repository, "add", "-N", "intended")
    found = await changes_by(Snapshots(repository, store), "printf 'solved\\n' > a.txt; git add a.txt")
    assert found.keys() == {"a.txt"}


@posix
async def test_a_split_index_and_a_linked_worktree_are_understood(
    repository: Path, store: Path, tmp_path: Path
) -> None:
    git(repository, "update-index", "--split-index")
    (repository / "b.txt").write_text("b\n")
    git(repository, "add", "b.txt")
    git(repository, "worktree", "add", "-q", str(tmp_path / "linked"))
    for root in (repository, tmp_path / "linked"):
        assert (await changes_by(Snapshots(root, store), "echo >> a.txt")).keys() == {"a.txt"}


@posix
async def test_paths_are_relative_to_the_root_even_above_it(repository: Path, store: Path) -> None:
    (repository / "deep").mkdir()
    found = await changes_by(Snapshots(repository / "deep", store), "echo > here; echo >> ../a.txt")
    assert found.keys() == {"here", "../a.txt"}


@posix
async def test_an_ignored_folder_of_a_repository_is_looked_at_by_itself(repository: Path, store: Path) -> None:
    (repository / ".gitignore").write_text("play/\n")
    (repository / "play").mkdir()
    found = await changes_by(Snapshots(repository / "play", store), "echo > here; echo >> ../a.txt")
    assert found.keys() == {"here"}


@posix
async def test_a_folder_without_a_repository_is_followed_too(folder: Path, store: Path) -> None:
    snapshots = Snapshots(folder, store)
    found = await changes_by(snapshots, "rm a.txt; echo > b.txt; mkdir __pycache__; echo > __pycache__/b.pyc")
    assert {path: change.change for path, change in found.items()} == {"a.txt": "deleted", "b.txt": "created"}
    assert not (folder / ".git").exists()
    again = await changes_by(Snapshots(folder, store), "git init -q; echo more >> b.txt")
    assert again == {"b.txt": FileChange("b.txt", "modified", 1, 0)}


@posix
async def test_an_empty_folder_and_an_unborn_repository_are_fine(tmp_path: Path, store: Path) -> None:
    for name in ("plain", "unborn"):
        (tmp_path / name).mkdir()
    git(tmp_path / "unborn", "init", "-q")
    for name in ("plain", "unborn"):
        found = await changes_by(Snapshots(tmp_path / name, store), "echo > new")
        assert found == {"new": FileChange("new", "created", 1, 0)}


@posix
async def test_our_own_data_inside_the_project_is_no_change(repository: Path) -> None:
    data = repository / "our [data]"
    (data / "sessions").mkdir(parents=True)
    snapshots = Snapshots(repository, data / "snapshots", exclude=(data,))
    found = await changes_by(snapshots, "echo > 'our [data]/sessions/journal'; echo > new")
    assert found.keys() == {"new"}


async def test_a_folder_that_is_too_large_is_refused_once_and_for_all(folder: Path, store: Path) -> None:
    for n in range(5):
        (folder / str(n)).write_text("x" * 100)
    many = Snapshots(folder, store, limits=Limits(files=3))
    assert await many.take() is None
    assert "over 3 files" in many.reason
    assert await many.take() is None
    heavy = Snapshots(folder, store, limits=Limits(total=300))
    assert await heavy.take() is None
    assert "too much" in heavy.reason
    git(folder, "init", "-q")
    untracked = Snapshots(folder, store, limits=Limits(files=3))
    assert await untracked.take() is None
    assert "over 3 files" in untracked.reason


async def test_without_git_there_is_a_reason(folder: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(folder))
    snapshots = Snapshots(folder, store)
    assert await snapshots.take() is None
    assert "git is not installed" in snapshots.reason


async def test_no_time_is_a_reason_and_leaves_nothing_behind(repository: Path, store: Path) -> None:
    snapshots = Snapshots(repository, store, limits=Limits(seconds=0))
    assert await snapshots.take() is None
    assert "took longer" in snapshots.reason


async def test_a_store_that_cannot_be_written_is_a_reason(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    snapshots = Snapshots(repository, tmp_path / "file")
    assert await snapshots.take() is None
    assert "could not be stored" in snapshots.reason


async def test_a_damaged_cache_is_rebuilt(folder: Path, store: Path) -> None:
    before = await taken(Snapshots(folder, store))
    (shadow,) = store.iterdir()
    (shadow / "index").write_bytes(b"DIRCgarbage")
    after = await taken(Snapshots(folder, store))
    assert after == before


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root can read everything")
async def test_an_unreadable_file_spoils_only_itself(repository: Path, store: Path) -> None:
    (repository / "secret").write_text("x")
    (repository / "secret").chmod(0)
    snapshots = Snapshots(repository, store)
    assert (await changes_by(snapshots, "echo >> a.txt")).keys() == {"a.txt"}
    assert "secret" in " ".join((await taken(snapshots)).notes)


@posix
async def test_cancelling_at_any_point_leaves_no_litter_and_the_next_one_works(repository: Path, store: Path) -> None:
    snapshots = Snapshots(repository, store)
    before = await taken(snapshots)
    (repository / "new").write_text("x\n")
    for patience in (1, 3, 10, 30):  # passes of the event loop
        taking = asyncio.create_task(snapshots.take())
        for _ in range(patience):
            await asyncio.sleep(0)
        taking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await taking
    (shadow,) = store.iterdir()
    assert [path.name for path in shadow.glob("index*")] == ["index"]
    assert [change.path for change in await snapshots.changes(before, await taken(snapshots))] == ["new"]


async def test_two_sessions_may_look_at_once(repository: Path, store: Path) -> None:
    (repository / "new").write_text("x\n")
    async with asyncio.TaskGroup() as group:
        both = [group.create_task(taken(Snapshots(repository, store))) for _ in range(2)]
    assert both[0].result() == both[1].result()


@pytest.mark.skipif(sys.platform == "win32", reason="modes of POSIX")
def test_a_mode_changed_right_after_a_look_is_seen_by_the_next_one(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "secret").write_text("x")
    (tmp_path / "d" / "other").write_text("x")
    os.utime(tmp_path / "d", (0, 0))  # the folder itself has not changed for long
    surveyor = Surveyor(str(tmp_path))
    assert surveyor.survey((), (), ())[0].mode("d/secret") == 0o644
    (tmp_path / "d" / "secret").chmod(0o600)
    assert surveyor.survey((), (), ())[0].mode("d/secret") == 0o600

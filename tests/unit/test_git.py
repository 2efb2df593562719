"""The state of a working tree, asked of real git, in repositories that are odd, broken or hostile."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kimi_code.repo.git import describe, find_folders, find_root, run_git, version
from kimi_code.repo.git_state import state
from tests.repository import git


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    git(root, "init", "-q")
    (root / "a.txt").write_text("one\n")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "first")
    return root


def test_version_is_a_tuple_that_compares() -> None:
    found = version()
    assert found is not None
    assert found > (2, 20)


def test_without_git_files_still_tell_the_branch(monkeypatch: pytest.MonkeyPatch, repository: Path) -> None:
    monkeypatch.setenv("PATH", str(repository))
    assert version() is None
    assert describe(repository) is None
    assert asyncio.run(state(repository)).describe() == "branch main"
    assert "not installed" in asyncio.run(run_git(("status",), repository)).error


def test_a_git_in_a_relative_path_entry_is_not_run(monkeypatch: pytest.MonkeyPatch, repository: Path) -> None:
    trap = repository / "git"
    trap.write_text("#!/bin/sh\ntouch owned\n")
    trap.chmod(0o755)
    monkeypatch.chdir(repository)
    monkeypatch.setenv("PATH", os.pathsep.join((".", os.environ["PATH"])))
    assert asyncio.run(state(repository)).branch == "main"
    assert not (repository / "owned").exists()


def test_find_root_walks_up_and_accepts_a_git_file(repository: Path, tmp_path: Path) -> None:
    (repository / "deep/er").mkdir(parents=True)
    git(repository, "worktree", "add", "-q", str(tmp_path / "linked"))
    assert find_root(repository / "deep/er") == repository
    assert find_root(tmp_path / "linked") == tmp_path / "linked"
    assert find_root(tmp_path) is None
    folders = find_folders(tmp_path / "linked")
    assert folders is not None
    assert folders.common == (repository / ".git").resolve()
    assert folders.own != folders.common


async def test_counts_are_of_paths_and_names_may_be_anything(repository: Path) -> None:
    (repository / "a.txt").write_text("two\n")
    (repository / "new 文\nline.txt").write_text("x")
    (repository / "staged.txt").write_text("x")
    git(repository, "add", "staged.txt")
    (repository / "folder").mkdir()
    (repository / "folder/1").write_text("x")
    (repository / "folder/2").write_text("x")
    found = await state(repository / "folder")
    assert (found.staged, found.modified, found.untracked, found.conflicted) == (1, 1, 2, 0)
    assert found.branch == "main"
    assert found.head == git(repository, "rev-parse", "HEAD")
    assert found.describe() == "branch main; 1 staged, 1 modified, 2 untracked"


async def test_a_repository_without_commits_has_a_branch_and_no_head(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    found = await state(tmp_path)
    assert (found.branch, found.head, found.problem) == ("main", "", "")
    assert found.describe() == "branch main without commits; clean"


async def test_a_detached_head_is_named_by_its_commit(repository: Path) -> None:
    git(repository, "checkout", "-q", "--detach")
    found = await state(repository)
    assert found.detached
    assert found.branch == ""
    assert found.describe().startswith(f"detached at {found.head[:10]}")


async def test_a_conflicting_merge_is_in_progress(repository: Path) -> None:
    git(repository, "checkout", "-qb", "other")
    (repository / "a.txt").write_text("other\n")
    git(repository, "commit", "-qam", "other")
    git(repository, "checkout", "-q", "main")
    (repository / "a.txt").write_text("main\n")
    git(repository, "commit", "-qam", "main")
    with pytest.raises(subprocess.CalledProcessError):
        git(repository, "merge", "other")
    found = await state(repository)
    assert (found.in_progress, found.conflicted) == ("merge", 1)


async def test_the_distance_to_the_upstream_is_counted_both_ways(repository: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", str(repository), "clone")
    clone = tmp_path / "clone"
    git(clone, "commit", "-q", "--allow-empty", "-m", "mine")
    git(clone, "commit", "-q", "--allow-empty", "-m", "mine too")
    git(repository, "commit", "-q", "--allow-empty", "-m", "theirs")
    git(clone, "fetch", "-q")
    found = await state(clone)
    assert (found.upstream, found.ahead, found.behind) == ("origin/main", 2, 1)
    assert found.describe() == "branch main, 2 ahead of and 1 behind origin/main; clean"


async def test_what_is_no_working_tree_says_so(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    (tmp_path / "broken/.git").mkdir(parents=True)
    git(tmp_path, "init", "-q", "--bare", "bare")
    assert (await state(tmp_path / "plain")).problem == "not a git repository"
    assert "damaged" in (await state(tmp_path / "broken")).problem
    assert "bare" in (await state(tmp_path / "bare")).problem
    assert "not a git" in (await state(tmp_path / "does not exist")).problem


async def test_too_little_time_leaves_what_files_tell(repository: Path) -> None:
    found = await state(repository, limit=0)
    assert (found.branch, found.head) == ("main", git(repository, "rev-parse", "HEAD"))
    assert not found.counted
    assert found.describe() == "branch main"
    git(repository, "pack-refs", "--all")
    assert (await state(repository, limit=0)).head == found.head


async def test_variables_of_another_repository_do_not_lead_astray(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    assert (await state(repository)).describe() == "branch main; clean"


@pytest.mark.skipif(sys.platform == "win32", reason="the traps are shell scripts")
async def test_nothing_a_hostile_repository_names_is_run(repository: Path, tmp_path: Path) -> None:
    owned = tmp_path / "owned"
    trap = tmp_path / "trap.sh"
    trap.write_text(f"#!/bin/sh\ntouch '{owned}'\ncat\n")
    trap.chmod(0o755)
    hooks = repository / ".git/hooks"
    hooks.mkdir(exist_ok=True)
    for name in ("post-index-change", "pre-commit", "fsmonitor-watchman"):
        (hooks / name).write_bytes(trap.read_bytes())
        (hooks / name).chmod(0o755)
    (repository / ".gitattributes").write_text("* filter=evil\n*.b filter=more.evil diff=evil\n")
    (repository / "x.b").write_text("1\n")
    git(repository, "add", "-A")
    for name in ("filter.evil.clean", "filter.evil.process", "filter.more.evil.clean", "diff.evil.command"):
        git(repository, "config", name, str(trap))
    for name in ("core.fsmonitor", "diff.external", "core.pager", "core.sshCommand", "core.gitProxy"):
        git(repository, "config", name, str(trap))
    git(repository, "config", "filter.evil.required", "true")
    (repository / "x.b").write_text("2\n")
    (repository / "a.txt").write_text("2\n")
    subprocess.run(["git", "status"], cwd=repository, capture_output=True, check=False)
    assert owned.exists(), "the traps work"
    owned.unlink()
    found = await state(repository)
    assert found.problem == ""
    assert found.modified == 2
    assert not owned.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="the trap is a shell script")
async def test_a_filter_that_cannot_be_emptied_means_nothing_is_counted(repository: Path, tmp_path: Path) -> None:
    owned = tmp_path / "owned"
    (repository / ".git/config").write_text(f'[filter "e=vil"]\n\tclean = touch {owned}\n')
    (repository / ".gitattributes").write_text("* filter=e=vil\n")
    (repository / "a.txt").write_text("2\n")
    found = await state(repository)
    assert (found.branch, found.counted) == ("main", False)
    assert not owned.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="a pipe that nobody writes makes git wait for ever")
async def test_a_cancelled_command_is_killed_before_the_cancellation_arrives(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for patience in (0, 1, 2, 5, 50):  # loop passes: before, during and after the spawn
        running = asyncio.create_task(run_git(("hash-object", "pipe"), tmp_path))
        for _ in range(patience):
            await asyncio.sleep(0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert len(asyncio.all_tasks()) == 1


async def test_a_folder_that_is_not_there_is_an_answer_not_a_crash(tmp_path: Path) -> None:
    output = await run_git(("status",), tmp_path / "none")
    assert output.code == 126
    assert "could not be started" in output.error


async def test_input_reaches_the_command(repository: Path) -> None:
    output = await run_git(("hash-object", "--stdin"), repository, input=b"one\n")
    assert output.stdout.decode().strip() == git(repository, "rev-parse", "HEAD:a.txt")


def test_the_description_names_remotes_and_submodules(repository: Path, tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "outer")
    outer = tmp_path / "outer"
    git(outer, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(repository), "lib")
    git(outer, "commit", "-qm", "with a submodule")
    git(outer, "remote", "add", "origin", "https://example.org/outer.git")
    found = describe(outer / "lib" / "..")
    assert found is not None
    assert (found.branch, found.remotes) == ("main", ("origin",))
    assert found.submodules == ("lib",)


def test_the_description_of_an_unborn_or_broken_repository_does_not_raise(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "empty")
    found = describe(tmp_path / "empty")
    assert found is not None
    assert found.branch == "main"
    (tmp_path / "broken/.git").mkdir(parents=True)
    assert describe(tmp_path / "broken") is None
    assert describe(tmp_path) is None


def test_asking_for_the_state_does_not_import_gitpython(repository: Path) -> None:
    script = (
        "import asyncio, sys, pathlib; from kimi_code.repo.git_state import state;"
        f"asyncio.run(state(pathlib.Path({str(repository)!r}))); sys.exit('git' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)

"""Checkpoints: what a turn did can be taken back and brought back, and nothing of the user's is ever lost."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from kimi_code.repo.checkpoint import Checkpoints, Report
from kimi_code.repo.snapshot import Limits, Snapshots

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX file types and shell scripts")

Listing = dict[str, tuple[int, bytes]]


def git(cwd: Path, *args: str) -> str:
    identity = ("-c", "user.name=T", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
    command = ["git", "-c", "init.defaultBranch=main", *identity, *args]
    return subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True).stdout.strip()


def commit_all(root: Path) -> None:
    git(root, "add", "-A")
    git(root, "commit", "-qm", "all")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    (root / "a.txt").write_text("one\ntwo\nthree\nfour\nfive\n")
    (root / "b.txt").write_text("b\n")
    git(root, "init", "-q")
    commit_all(root)
    return root


def checkpoints_of(root: Path, *, limits: Limits | None = None, wait: float = 20.0) -> Checkpoints:
    return Checkpoints(Snapshots(root, root.parent / "store", limits=limits), wait=wait)


async def turn(checkpoints: Checkpoints, number: int, *commands: str, session: str = "s", cwd: Path) -> None:
    """A whole turn in which shell commands run in `cwd`."""
    await checkpoints.begin_turn(session, number, f"prompt {number}")
    await checkpoints.take(session, number, f"before turn {number}")
    run(cwd, *commands)
    await checkpoints.end_turn(session, number)


def run(cwd: Path, *commands: str) -> None:
    for command in commands:
        subprocess.run(command, shell=True, check=True, cwd=cwd)


def listing(root: Path) -> Listing:
    """Everything but `.git`: modes, contents, targets of links."""
    found: Listing = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if ".git" in name.split("/"):
            continue
        mode = path.lstat().st_mode
        content = b""
        if stat.S_ISLNK(mode):
            content = os.fsencode(path.readlink())
        elif stat.S_ISREG(mode):
            content = path.read_bytes()
        found[name] = (0 if stat.S_ISLNK(mode) else mode, content)
    return found


def conflicts(report: Report) -> dict[str, str]:
    return {conflict.path: conflict.reason for conflict in report.conflicts}


def done(report: Report) -> set[tuple[str, str]]:
    return {(action.verb, action.path) for action in report.actions}


@posix
async def test_undo_takes_back_all_that_a_turn_did_and_redo_does_it_again(root: Path) -> None:
    checkpoints = checkpoints_of(root)
    (root / "dirty").write_text("the user's own\n")
    before = listing(root)
    await turn(
        checkpoints,
        1,
        "echo more >> a.txt; rm b.txt; mkdir -p new/deep; echo x > new/deep/file; ln -s a.txt link; chmod 600 dirty",
        cwd=root,
    )
    after = listing(root)
    report = await checkpoints.undo()
    assert report.applied and not report.conflicts
    assert done(report) == {
        ("overwrite", "a.txt"),
        ("create", "b.txt"),
        ("delete", "new/deep/file"),
        ("delete", "link"),
        ("chmod", "dirty"),
    }
    assert listing(root) == before
    assert [t.undone for t in await checkpoints.turns()] == ["both"]
    assert (await checkpoints.redo()).applied
    assert listing(root) == after
    assert [t.undone for t in await checkpoints.turns()] == [""]

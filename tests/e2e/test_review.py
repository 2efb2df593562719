"""`--review turn` and `--commit` from the command line: streams, exit codes, flags that need each other, `kill -9`."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.program import Program, finish
from tests.server import call, say

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="FIFOs and SIGKILL of POSIX")


def git(folder: Path, *args: str, input: str | None = None) -> str:
    return subprocess.run(["git", *args], cwd=folder, input=input, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def program(program: Program) -> Program:
    git(program.project, "init", "-q", "-b", "main")
    (program.project / ".git" / "config").open("a").write("[user]\n\tname = Ann\n\temail = ann@example.org\n")
    (program.project / "a.txt").write_text("a\n")
    git(program.project, "add", ".")
    git(program.project, "commit", "-q", "-m", "First")
    return program


def writes(program: Program) -> None:
    program.server.script(call("Write", {"path": "new 漢.txt", "content": "new\n"}), say("Wrote it."))


def test_standard_output_is_a_patch_that_git_takes(program: Program) -> None:
    writes(program)
    done = program.run("-p", "write", "--review", "turn")
    assert done.code == 0
    assert "Wrote it." in done.stderr
    assert git(program.project, "status", "--porcelain") == ""
    git(program.project, "apply", input=done.stdout)
    assert (program.project / "new 漢.txt").read_text() == "new\n"


def test_applied_the_answer_is_standard_output_and_the_patch_is_a_file(program: Program, tmp_path: Path) -> None:
    writes(program)
    out = tmp_path / "x.patch"
    done = program.run("-p", "write", "--review", "turn", "--apply", "--patch-out", str(out), "--no-session")
    assert (done.code, done.stdout) == (0, "Wrote it.\n")
    assert (program.project / "new 漢.txt").read_text() == "new\n"
    git(program.project, "apply", "-R", "--check", str(out))
    assert list((program.data / "patches").glob("*")) == []
    # Of the copy only what the next turn's is made from stays: the files as they were when it began.
    copies = [path for path in (program.data / "checkouts").rglob("a.txt") if path.is_file()]
    assert {path.parent.name for path in copies} <= {"base"}


def test_flags_that_need_or_exclude_each_other_are_named(program: Program) -> None:
    for flags, named in (
        (("--apply",), ("--apply", "--review turn")),
        (("--patch-out", "x"), ("--patch-out", "--review turn")),
        (("--review", "each", "--apply"), ("--apply", "--review turn")),
        (("--branch", "x"), ("--branch", "--commit")),
        (("--review", "turn", "--commit"), ("--commit", "--review turn", "--apply")),
        (("--review", "turn", "-y"), ("-y", "--review turn")),
        (("--review", "turn", "--patch-out", "no/such/folder"), ("--patch-out", "no/such/folder")),
        (("--commit", "--branch", "a..b"), ("a..b", "--branch")),
    ):
        done = program.run("-p", "x", *flags, "--output-format", "json")
        assert (done.code, done.result["status"]) == (2, "usage_error")
        assert all(name in done.result["error"] for name in named), done.result["error"]


def test_without_an_identity_nothing_is_asked_of_the_model(program: Program) -> None:
    git(program.project, "config", "--remove-section", "user")
    done = program.run("-p", "x", "--commit")
    assert done.code == 2
    assert "Git does not know who you are" in done.stderr
    assert program.server.requests == []


def hook(program: Program, name: str) -> tuple[Path, Path]:
    """A hook that says when it runs, and waits to be let go."""
    here, go = (program.project / ".git" / f"{name}.{word}" for word in ("here", "go"))
    for fifo in (here, go):
        os.mkfifo(fifo)
    file = program.project / ".git" / "hooks" / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(f"#!/bin/sh\necho > '{here}'\nread _ < '{go}'\n")
    file.chmod(0o755)
    return here, go


@pytest.mark.parametrize(("name", "commits"), [("pre-commit", 1), ("commit-msg", 1), ("post-commit", 2)])
def test_killed_while_a_hook_runs_the_repository_is_as_before_or_as_after(
    program: Program, name: str, commits: int
) -> None:
    here, go = hook(program, name)
    writes(program)
    program.server.script(say("Add a file"))
    process = program.start("-p", "write", "--commit")
    here.read_text()
    process.send_signal(signal.SIGKILL)
    finish(process)
    go.write_text("\n")
    project = program.project
    assert git(project, "rev-list", "--count", "HEAD") == f"{commits}\n"
    assert not list((project / ".git").glob("*.lock"))
    expected = "" if commits == 2 else "?? new"
    assert git(project, "-c", "core.quotePath=false", "status", "--porcelain").replace('"', "").startswith(expected)
    assert git(project, "diff", "--cached") == ""
    git(project, "fsck", "--strict")
    # And the next run commits as if nothing had been.
    (project / ".git" / "hooks" / name).unlink()
    program.server.script(call("Write", {"path": "b.txt", "content": "b\n"}), say("Done."), say("Add b"))
    assert program.run("-p", "more", "--commit").code == 0
    assert git(project, "show", "--format=%s", "--name-only").split() == ["Add", "b", "b.txt"]

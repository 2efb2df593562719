"""Undo by the installed program: after `kill -9`, of interrupted and concurrent runs, in linked worktrees."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.program import PATIENCE, Program
from tests.repository import git
from tests.server import call, hang, say

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL and FIFOs of POSIX")


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".git" not in path.relative_to(folder).parts
    }


def users_own(folder: Path) -> dict[str, bytes]:
    """Everything in the user's repository."""
    return {str(path): path.read_bytes() for path in sorted((folder / ".git").rglob("*")) if path.is_file()}


def undo(program: Program, *args: str) -> Any:
    return json.loads(program.run("undo", "--json", *args).stdout)


def test_a_killed_turn_is_undone_and_the_users_repository_is_as_it_was(program: Program) -> None:
    project = program.project
    git(project, "init", "-q")
    (project / "a").write_text("committed\n")
    git(project, "add", "a")
    git(project, "commit", "-qm", "one")
    (project / "a").write_text("mine, not committed\n")
    (project / "staged").write_text("staged\n")
    git(project, "add", "staged")
    os.mkfifo(project / "said")
    before, own = files(project), users_own(project)

    ready = "echo agent > a; rm staged; echo new > new; exec 3>said; echo $$ >&3; sleep 600"
    program.server.script(call("Bash", {"command": ready}))
    process = program.start("-p", "Break it all.", "-y")
    with (project / "said").open() as lines:
        command = int(lines.readline())
        process.kill()
        process.communicate()
        os.killpg(command, signal.SIGKILL)
    (project / "said").unlink()

    done = undo(program)
    assert [(state["turn"], state["conversation"]) for state in done["turns"]] == [(1, "rewound")]
    assert {entry["path"] for entry in done["files"]} == {"a", "staged", "new"}
    assert (files(project), users_own(project)) == (before, own)

    program.server.script(say("ok"))
    assert program.run("-p", "What now?", "-c").code == 0
    assert "Break it all." not in json.dumps(program.server.requests[-1].messages)


def test_a_turn_that_runs_elsewhere_is_not_undone_under_its_feet(program: Program) -> None:
    program.server.script(call("Write", {"path": "a", "content": "a"}), hang())
    process = program.start("-p", "first", "-y")
    try:
        program.server.wait_for_requests(2, PATIENCE)
        refused = program.run("undo")
        assert refused.code == 1
        assert (program.project / "a").exists()
        assert program.run("undo", "--code").code == 1
    finally:
        process.kill()
        process.communicate()
    assert program.run("undo").code == 0
    assert not (program.project / "a").exists()


def test_an_interrupted_turn_is_undone_like_any_other(program: Program) -> None:
    program.server.script(call("Write", {"path": "a", "content": "a"}), hang())
    process = program.start("-p", "first", "-y")
    program.server.wait_for_requests(2, PATIENCE)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE)
    assert undo(program)["status"] == "done"
    assert files(program.project) == {}


@pytest.mark.parametrize(("by", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_undo_has_done_nothing(program: Program, by: signal.Signals, code: int) -> None:
    program.server.script(call("Write", {"path": "a", "content": "a"}), say("done"))
    assert program.run("-p", "first", "-y").code == 0
    before = files(program.project)
    hooked = program.project.parent / "bin"
    hooked.mkdir()
    os.mkfifo(hooked / "said")
    # A git that says that it was called, and does not answer: undo is in the midst of its look at the files.
    (hooked / "git").write_text(f"#!/bin/sh\necho $$ > {hooked}/said\nexec sleep 600\n")
    (hooked / "git").chmod(0o755)
    process = program.start("undo", env={"PATH": f"{hooked}{os.pathsep}{os.environ['PATH']}"})
    with (hooked / "said").open() as said:
        said.readline()
        process.send_signal(by)
        _, complaint = process.communicate(timeout=PATIENCE)
    assert process.returncode == code, complaint
    assert "Traceback" not in str(complaint)
    assert files(program.project) == before
    assert undo(program)["status"] == "done"
    assert files(program.project) == {}


def test_a_linked_worktree_has_turns_of_its_own(program: Program, tmp_path: Path) -> None:
    git(program.project, "init", "-q")
    git(program.project, "commit", "-q", "--allow-empty", "-m", "one")
    git(program.project, "worktree", "add", "-q", str(tmp_path / "linked"))
    program.server.script(call("Write", {"path": "a", "content": "a"}), say("done"))
    assert program.run("-p", "first", "-y", cwd=tmp_path / "linked").code == 0
    assert program.run("undo").code == 1
    assert program.run("undo", cwd=tmp_path / "linked").code == 0
    assert files(tmp_path / "linked") == {}


def test_a_difference_is_a_patch_that_git_applies_binary_files_included(program: Program, tmp_path: Path) -> None:
    (program.project / "a").write_text("1\n")
    make = "printf '\\000\\377bytes' > image; echo 2 > a; mkdir d; echo x > 'd/名 前'"
    program.server.script(call("Bash", {"command": make}), say("done"))
    assert program.run("-p", "first", "-y").code == 0
    first, last = json.loads(program.run("checkpoints", "list", "--json").stdout)
    process = program.start("checkpoints", "diff", first["id"], last["id"])
    patch, _ = process.communicate(timeout=PATIENCE)
    other = tmp_path / "other"
    other.mkdir()
    (other / "a").write_text("1\n")
    subprocess.run(["git", "apply", "-"], cwd=other, input=patch, check=True)
    assert files(other) == files(program.project)


def test_two_sessions_at_once_in_one_folder_are_undone_one_by_one(program: Program) -> None:
    program.server.script(call("Write", {"path": "a", "content": "a"}), hang())
    one = program.start("-p", "first", "-y")
    program.server.wait_for_requests(2, PATIENCE)
    program.server.script(call("Write", {"path": "b", "content": "b"}), say("done"))
    assert program.run("-p", "second", "-y").code == 0
    one.send_signal(signal.SIGTERM)
    one.communicate(timeout=PATIENCE)
    assert set(files(program.project)) == {"a", "b"}
    assert program.run("undo", "2").code == 0
    assert files(program.project) == {}


def test_doctor_names_the_checkpoints_whose_objects_are_lost(program: Program) -> None:
    (program.project / "a.txt").write_text("precious\n")
    program.server.script(
        call("Read", {"path": "a.txt"}), call("Write", {"path": "a.txt", "content": "other\n"}), say("Done.")
    )
    assert program.run("-p", "write", "-y").code == 0

    def told() -> str:
        checks = json.loads(program.run("doctor", "--json").stdout)["checks"]
        return next(f"{check['state']}: {check['text']}" for check in checks if check["name"] == "checkpoints")

    assert told() == "ok: all of this folder's are whole"
    first, *others = json.loads(program.run("checkpoints", "list", "--json").stdout)
    blob = hashlib.sha1(b"blob 9\0precious\n").hexdigest()
    (lost,) = Path(program.env["KIMI_CODE_DIR"]).rglob(f"snapshots/*/objects/{blob[:2]}/{blob[2:]}")
    lost.unlink()
    assert told().startswith("note: objects are lost")
    assert first["id"] in told()
    assert not [other for other in others if other["id"] in told()]

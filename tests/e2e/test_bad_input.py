"""Bad surroundings that only a process of its own can be put in: environments, locales, users, keys."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.program import KEY, Program
from tests.server import call, say

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="users and /proc of POSIX")
SOMEBODY = ("setpriv", "--reuid=54321", "--regid=54321", "--clear-groups")


def _somebody_runs_python() -> bool:
    if not (hasattr(os, "getuid") and os.getuid() == 0 and shutil.which("setpriv")):
        return False
    return (
        subprocess.run([*SOMEBODY, sys.executable, "-c", ""], capture_output=True, check=False, cwd="/").returncode == 0
    )


as_root = pytest.mark.skipif(
    not _somebody_runs_python(),
    reason="NOT TESTED HERE: needs root, setpriv, and a Python that another user may run",
)


@pytest.mark.parametrize("wrong", [{"KIMI_BASE_URL": "http://[broken/v1"}, {"ALL_PROXY": "junk://proxy"}], ids=str)
def test_an_address_that_can_be_none_is_an_error_of_the_configuration(program: Program, wrong: dict[str, str]) -> None:
    done = program.run("-p", "Hello.", "--output-format", "json", env=wrong)
    assert (done.code, done.result["status"]) == (2, "usage_error")
    assert f"environment {next(iter(wrong))}: " in str(done.result["error"])


def test_the_key_is_in_no_child_no_journal_no_recording_and_no_output(program: Program, tmp_path: Path) -> None:
    real = shutil.which("git", path=program.env["PATH"])
    assert real is not None
    bin, environments, recording = tmp_path / "bin", tmp_path / "environments", tmp_path / "recording.jsonl"
    bin.mkdir()
    (bin / "git").write_text(f'#!/bin/sh\nenv >> {environments}\nexec {real} "$@"\n')
    (bin / "git").chmod(0o755)
    program.server.script(
        call("Bash", {"command": f"echo {KEY}; env | tee -a {environments}"}, text=f"I know {KEY}"), say(f"Now {KEY}")
    )
    done = program.run(
        *("-p", "hi", "-y"),
        env={"PATH": f"{bin}{os.pathsep}{program.env['PATH']}", "KIMI_CODE_RECORD": str(recording)},
    )
    assert done.code == 0
    assert done.stdout == "Now [secret]\n"
    assert "PATH=" in environments.read_text()
    kept = [path for path in (environments, recording, *program.data.rglob("*")) if path.is_file()]
    assert len(kept) > 3
    assert not [path for path in kept if KEY.encode() in path.read_bytes()]


def test_an_ascii_locale_and_warnings_as_errors_do_no_harm(program: Program) -> None:
    program.server.script(call("Read", {"path": "没有"}), say("完成 ✓"))
    ascii = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "PYTHONWARNINGS": "error"}
    done = program.run("-p", "修理", env=ascii, fresh=True)
    assert done.code == 0
    assert done.stdout == "\\u5b8c\\u6210 \\u2713\n"
    assert program.server.requests[0].last["content"].endswith("修理")


@as_root
def test_a_user_without_a_home_is_told_what_to_set(program: Program) -> None:
    del program.env["HOME"], program.env["KIMI_CODE_DIR"]
    done = program.run("-p", "hi", "--output-format", "json", before=SOMEBODY, cwd=Path("/usr"))
    assert done.code == 2
    assert "Set HOME or KIMI_CODE_DIR" in done.result["error"]


@as_root
def test_a_folder_that_is_not_readable_is_a_usage_error(program: Program, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    done = program.run("-p", "hi", "-C", str(closed), "--output-format", "json", before=SOMEBODY, cwd=Path("/"))
    assert done.code == 2
    assert str(closed) in done.result["error"]

"""The demo really fixes a really broken project, and leaves nothing in doubt about whose words were spoken."""

import os
import subprocess
import sys
from pathlib import Path
from subprocess import DEVNULL, PIPE

import pytest

from kimi_code.cli.demo import unpack
from kimi_code.cli.make_run import arguments
from tests.program import Done, finish, start


def run(tmp_path: Path, *args: str, fresh: bool = False) -> Done:
    kept = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    env = {**kept, "KIMI_CODE_DIR": str(tmp_path / "data"), "TMPDIR": str(temporary), "TMP": str(temporary)}
    return finish(start(args, cwd=tmp_path, env=env, fresh=fresh, stdin=DEVNULL, stdout=PIPE, stderr=PIPE))


def passes_its_tests(project: Path) -> bool:
    command = [sys.executable, "-m", "unittest", "-q"]
    return subprocess.run(command, cwd=project, capture_output=True, check=False).returncode == 0


def test_the_sample_project_is_broken_at_first(tmp_path: Path) -> None:
    assert not passes_its_tests(unpack(tmp_path))


def test_the_demo_fixes_the_bug_and_says_that_its_words_are_scripted(tmp_path: Path) -> None:
    done = run(tmp_path, "demo", "--fast", fresh=True)
    assert done.code == 0, done.stderr
    (project,) = (tmp_path / "temporary").glob("kimi-code-demo-*/billsplit")
    assert passes_its_tests(project)
    first, *_, last = done.stdout.split("git diff")
    assert "words are scripted" in first
    assert "+    share, odd = divmod(total, people)" in last
    assert str(project) in last
    assert "words were scripted" in last
    assert "KIMI_API_KEY" in last
    assert "\x1b[" not in done.stdout + done.stderr
    (journal,) = (tmp_path / "data").rglob("records.jsonl")
    assert '"path":"billsplit/split.py","change":"modified","added":2,"removed":2' in journal.read_text()


def test_make_run_without_arguments_and_without_a_key_is_the_demo() -> None:
    command = [sys.executable, "-m", "kimi_code.cli.make_run", "--version"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True)
    assert shown.stdout.startswith("kimi-code ")
    assert arguments([], {}) == ["demo"]
    assert arguments([], {"KIMI_API_KEY": " "}) == arguments([], {}, on_screen=True) == ["demo"]


@pytest.mark.parametrize("name", ["KIMI_API_KEY", "MOONSHOT_API_KEY"])
def test_make_run_with_a_key_is_the_real_thing(name: str) -> None:
    assert arguments([], {name: "sk-x"}) == ["demo", "--live"]
    assert arguments([], {name: "sk-x"}, on_screen=True) == []
    assert arguments(["-p", "hello"], {name: "sk-x"}) == ["-p", "hello"]


def test_the_live_demo_without_a_key_says_how_to_get_one_and_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/config.toml").write_text('provider = "moonshot"\n')
    done = run(tmp_path, "demo", "--live")
    assert done.code == 3
    assert "KIMI_API_KEY" in done.stderr
    assert "(no changes)" in done.stdout
    assert "exit code 3" in done.stdout

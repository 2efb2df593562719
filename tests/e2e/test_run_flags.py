"""The flags of a run, from the command line to what each is for; runs that are recorded and played again."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.program import KEY, Done, Program, make_program
from tests.server import FakeServer, call, say

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="commands and terminals of POSIX")
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


@pytest.fixture
def program(server: FakeServer, tmp_path: Path) -> Iterator[Program]:
    yield make_program(server, tmp_path)
    server.assert_used_up()


def run(program: Program, *args: str, **how: Any) -> Done:
    return program.run("-p", "hi", "--output-format", "json", *args, **how)


def test_rules_verification_and_schema_hold_together(program: Program, tmp_path: Path) -> None:
    schema = tmp_path / "schema.json"
    schema.write_text(json.dumps(SCHEMA))
    program.server.script(call("Bash", {"command": "touch ok"}), say('{"n": 3}'))
    checked = ("--verify", "test -f ok", "--output-schema", str(schema))
    done = run(program, "--allow", "Bash(touch ok)", *checked)
    assert (done.code, done.result["output"], done.result["denied"]) == (0, {"n": 3}, [])

    (program.project / "ok").unlink()
    program.server.script(call("Bash", {"command": "touch ok"}), say("1"), say("2"), say("3"))
    done = run(program, "-y", "--deny", "Bash(touch *)", *checked[:2])
    assert (done.code, done.result["status"]) == (1, "verify_failed")
    assert [each["title"] for each in done.result["denied"]] == ["touch ok"]
    assert (done.result["tool_calls"], done.result["steps"], done.result["turns"]) == (1, 4, 1)


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "cannot be read"), ("{", "is no JSON Schema"), ('{"type": 3}', "is no JSON Schema")],
)
def test_a_schema_that_is_none_is_a_usage_error(
    program: Program, tmp_path: Path, content: str | None, words: str
) -> None:
    schema = tmp_path / "schema.json"
    if content is not None:
        schema.write_text(content)
    done = run(program, "--output-schema", str(schema))
    assert (done.code, done.result["status"], words in done.result["error"]) == (2, "usage_error", True)


def test_a_check_that_checks_nothing_is_a_usage_error(program: Program) -> None:
    done = run(program, "--verify", " ")  # as from a variable that is not set
    assert (done.code, done.result["status"], "--verify" in done.result["error"]) == (2, "usage_error", True)


def test_an_added_folder_is_free_to_edit_and_any_other_is_not(program: Program, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    write = call("Write", {"path": str(other / "x"), "content": "1\n"})
    program.server.script(write, say("no"), write, say("yes"))
    assert (run(program).code, list(other.iterdir())) == (5, [])
    done = run(program, "--add-dir", str(other))
    assert (done.code, (other / "x").read_text()) == (0, "1\n")


def test_limits_end_a_run_in_jsonl_too(program: Program) -> None:
    (program.project / "a").write_text("x")
    program.server.script(call("Read", {"path": "a"}), call("Read", {"path": "a"}))
    for limit in (("--max-steps", "1"), ("--max-tokens", "1")):
        done = program.run("-p", "hi", "--output-format", "stream-json", *limit)
        assert (done.code, done.result["status"], done.result["steps"]) == (4, "budget_exceeded", 1)
        assert json.loads(done.stdout.splitlines()[-2])["type"] == "turn_ended"


def test_without_a_key_a_local_server_is_found_and_used(program: Program) -> None:
    del program.env["KIMI_API_KEY"], program.env["KIMI_BASE_URL"]
    folder = Path(program.env["KIMI_CODE_DIR"])
    folder.mkdir()
    (folder / "config.toml").write_text(f'local_servers = ["http://127.0.0.1:9/v1", "{program.server.url}"]\n')
    program.server.models = [{"id": "qwen3-coder"}]
    program.server.script(say("from here"))
    done = run(program)
    assert (done.code, done.result["text"]) == (0, "from here")
    assert program.server.requests[0].body["model"] == "qwen3-coder"


def test_a_recorded_run_plays_again_without_a_server(program: Program, tmp_path: Path) -> None:
    recording = tmp_path / "run.jsonl"
    write = call("Write", {"path": "made", "content": "1\n"}, thought="Let me write.")
    program.server.script(write, say("Written."))
    first = run(program, env={"KIMI_CODE_RECORD": str(recording)})
    (program.project / "made").unlink()
    second = run(
        program, "--model", f"scripted:{recording}", "--no-session", env={"KIMI_BASE_URL": "", "KIMI_API_KEY": ""}
    )
    assert KEY not in recording.read_text()
    assert (program.project / "made").read_text() == "1\n"
    same = ("status", "text", "steps", "tool_calls", "files_changed", "usage")
    assert {name: second.result[name] for name in same} == {name: first.result[name] for name in same}


@pytest.mark.parametrize(("env", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
def test_progress_has_colours_on_a_terminal_alone(program: Program, env: dict[str, str], coloured: bool) -> None:
    (program.project / "a").write_text("x\n")
    program.server.script(call("Read", {"path": "a"}), say("Read."))
    screen, terminal = os.openpty()
    process = program.start("-p", "hi", stderr=terminal, env={"TERM": "xterm", **env})
    os.close(terminal)
    out, _ = process.communicate(timeout=30)
    shown = os.read(screen, 65_536)
    os.close(screen)
    assert out == b"Read.\n"
    assert (b"Read    a" in shown, shown.count(b"\n"), b"\x1b[" in shown) == (True, 1, coloured)

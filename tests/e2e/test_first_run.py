"""The program on a terminal of its own, for the first time: from nothing to an answer, and trust."""

import sys
import tomllib

import pytest

from tests.program import KEY, Program
from tests.server import say

if sys.platform == "win32":
    pytest.skip("needs a pty", allow_module_level=True)

from tests.terminal import Terminal


def test_from_nothing_to_a_first_answer(program: Program) -> None:
    del program.env["KIMI_API_KEY"], program.env["KIMI_BASE_URL"]
    config = program.data.parent / "config.toml"
    config.parent.mkdir()
    config.write_text('local_servers = []\nsandbox = "off"\n')
    program.server.script(say("ready"), say("Hello to you."))
    with Terminal(program, "hello there") as terminal:
        terminal.wait_for("Which model shall do the work?")
        terminal.wait_for("Watch the demo")
        terminal.type("\x1b[B\r")
        terminal.wait_for("Where is its API?")
        terminal.type(f"{program.server.url}\r")
        terminal.wait_for("The API key for")
        terminal.type(f"{KEY}\r")
        terminal.wait_for("Which colours?")
        terminal.type("\r")
        terminal.wait_for("Hello to you.")
        terminal.wait_for("answered in")
        assert terminal.leave() == 0
        assert KEY.encode() not in terminal.raw
        assert terminal.modes == terminal.modes_before
    assert tomllib.loads(config.read_text())["model"] == "own/kimi-k3"
    assert program.server.requests[1].last["content"].endswith("hello there")
    assert program.server.requests[1].headers["authorization"] == f"Bearer {KEY}"
    holders = [file for file in program.data.parent.rglob("*") if file.is_file() and KEY.encode() in file.read_bytes()]
    assert holders == [program.data / "keys" / "own.json"]
    # Programs find it too, now that it is kept.
    program.server.script(say("Done."))
    assert program.run("-p", "again").stdout == "Done.\n"


def test_a_folder_that_brings_settings_is_asked_about_before_they_act(program: Program) -> None:
    (program.project / ".kimi-code").mkdir()
    (program.project / ".kimi-code" / "config.toml").write_text('deny = ["Bash(make *)"]\npermission_mode = "plan"\n')
    with Terminal(program, size=(100, 34)) as terminal:
        terminal.wait_for("Trust it as it is now?")
        terminal.wait_for("deny: also Bash(make *)")
        terminal.wait_for("permission_mode = plan")
        terminal.type("\r")
        terminal.wait_for("is not used: this folder is not trusted")
        assert terminal.leave() == 0
    with Terminal(program, size=(100, 34)) as terminal:
        terminal.wait_for("Trust it as it is now?")
        terminal.type("\x1b[B\r")
        terminal.wait_for("Trusted:")
        terminal.wait_for("plan")
        assert terminal.leave() == 0

"""What reaches the terminal besides the screen: its title and progress, notifications, the clipboard, links."""

import base64
import re
import sys
import threading
from pathlib import Path

import pytest

from tests.program import PATIENCE, make_program
from tests.server import FakeServer, Received, Reply, call, say

if sys.platform == "win32":
    pytest.skip("needs a pty", allow_module_level=True)

from tests.terminal import Terminal

# The program, with a clock on which ten seconds pass at each look.
HASTY = """
import itertools, sys
from pathlib import Path
from kimi_code.cli.run import RunFlags
from kimi_code.cli.tui import LocalHost, run
from kimi_code.tui.app import KimiApp
from kimi_code.tui.host import Which

app = KimiApp(LocalHost(RunFlags(), Path.cwd()), Which())
app.clock = itertools.count(0, 100).__next__
sys.exit(run(app))
"""
LINK = re.compile(rb"\x1b\]8;[^;]*;([^\x1b\x07]+)(?:\x1b\\|\x07)")


def test_title_progress_notifications_the_clipboard_and_links_are_told_to_the_terminal(
    server: FakeServer, tmp_path: Path
) -> None:
    program = make_program(server, tmp_path)
    held = threading.Event()

    def late(_: Received) -> Reply:
        held.wait(PATIENCE)
        return call("Bash", {"command": "touch made"})

    server.script(late, say("See src/a.py:12 and [there](https://x.y/z)."))
    with Terminal(program, code=HASTY) as terminal:
        terminal.wait_for("Ask for something")
        assert b"\x1b]2;project" in terminal.raw
        terminal.type("hello\r")
        terminal.until(lambda: b"\x1b]9;4;3\x1b\\" in terminal.raw, "progress")
        terminal.until(lambda: "\x1b]2;● project".encode() in terminal.raw, "a title that says that it works")
        assert b"\x1b]9;kimi-code" not in terminal.raw
        terminal.type("\x1b[O")  # the window is not looked at any more
        held.set()
        terminal.until(lambda: b"\x07\x1b]9;kimi-code waits for you: project\x1b\\" in terminal.raw, "a call")
        terminal.press("y", lambda: "✓ done" in terminal.text)
        terminal.until(lambda: b"\x07\x1b]9;kimi-code is done: project\x1b\\" in terminal.raw, "another call")
        assert terminal.raw.rindex(b"\x1b]9;4;0\x1b\\") > terminal.raw.rindex(b"\x1b]9;4;3\x1b\\")
        terminal.type("\x1b[I")

        links = set(LINK.findall(terminal.raw))
        assert b"https://x.y/z" in links
        assert any(link.endswith(b"/project/src/a.py#L12") for link in links)

        terminal.type("/copy\r")
        whole = base64.b64encode(b"See src/a.py:12 and [there](https://x.y/z).")
        terminal.until(lambda: b"\x1b]52;c;" + whole in terminal.raw, "the answer in the clipboard")
        # From the S to the blank behind it, by the mouse; then Ctrl+C.
        row, line = next((y, line) for y, line in enumerate(terminal.screen, 1) if "See src/a.py" in line)
        left = line.index("See") + 1
        terminal.type(f"\x1b[<0;{left};{row}M\x1b[<32;{left + 3};{row}M\x1b[<0;{left + 3};{row}m\x03")
        terminal.until(
            lambda: b"\x1b]52;c;" + base64.b64encode(b"See") in terminal.raw, "the selection in the clipboard"
        )
        assert "again leaves" not in terminal.text
        terminal.type("\x03")
        terminal.wait_for("again leaves")
        terminal.type("\x03")
        assert terminal.end() == 0
    server.assert_used_up()


def test_with_no_color_no_colour_reaches_the_terminal_and_what_is_chosen_is_reversed(
    server: FakeServer, tmp_path: Path
) -> None:
    program = make_program(server, tmp_path)
    server.script(call("Write", {"path": "a.py", "content": "x = 1\n"}), say("A **bold** word and `code`."))
    with Terminal(program, "-y", "go", env={"NO_COLOR": "1"}) as terminal:
        terminal.wait_for("✓ done")
        terminal.type("\x10")  # all commands
        terminal.wait_for("/help")
        terminal.until(lambda: "/help" in terminal.reversed, "a highlighted command")
    looks = {code for match in re.findall(rb"\x1b\[([0-9;]*)m", terminal.raw) for code in match.decode().split(";")}
    assert looks <= {"", "0", "1", "2", "3", "4", "7", "9"}
    assert {"1", "2", "7"} <= looks
    server.assert_used_up()


@pytest.mark.parametrize("env", [{"LC_ALL": "C"}, {"TERM": "linux"}])
def test_a_terminal_without_signs_gets_plain_ones(server: FakeServer, tmp_path: Path, env: dict[str, str]) -> None:
    program = make_program(server, tmp_path)
    (program.project / "a.py").write_text("x = 1\n")
    server.script(call("Read", {"path": "a.py"}), say("- a\n\n> b\n\n| c | d |\n|---|---|\n| 1 | 2 |"))
    with Terminal(program, "-y", "go", env={"LC_ALL": "", "LANG": "en_US.UTF-8", **env}) as terminal:
        terminal.wait_for("+ done")
        assert terminal.text.isascii()
        assert "+ Read" in terminal.text
        terminal.type("\x10")
        terminal.wait_for("/help")
        assert terminal.text.isascii()
    server.assert_used_up()

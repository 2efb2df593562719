"""Pastes on a real terminal: long texts, and images by their paths as terminals paste dropped files."""

import sys
import threading
from pathlib import Path

import pytest

from tests.program import make_program, take_interrupts
from tests.server import FakeServer, say
from tests.unit.test_images import png

if sys.platform == "win32":
    pytest.skip("needs a pty", allow_module_level=True)

from tests.terminal import Terminal


def test_a_dropped_image_and_a_large_paste_are_chips_at_once_that_are_sent_whole_and_come_back_with_their_prompt(
    server: FakeServer, tmp_path: Path
) -> None:
    take_interrupts()
    program = make_program(server, tmp_path)
    server.models = [{"id": "new-eyes", "supports_image_in": True}]  # a model whose server says that it sees
    (program.project / "my shot.png").write_bytes(png())
    server.script(say("A grey square."), say("Still grey."), say("Long."))
    text = "\r".join(f"línea {number}" for number in range(5_000))
    with Terminal(program, "-m", "new-eyes") as terminal:
        terminal.wait_for("Ask for something")
        terminal.type(f"\x1b[200~'{program.project}/my shot.png'\x1b[201~")
        terminal.wait_for("[image #1: my shot.png]")
        terminal.type("what is it?\r")
        terminal.wait_for("A grey square.")
        terminal.wait_for("✓ done")
        terminal.type("\x1b[A")
        terminal.until(lambda: any(line.startswith(" ❯ [image #1") for line in terminal.screen))
        terminal.type("\r")
        terminal.wait_for("Still grey.")
        terminal.until(lambda: terminal.text.count("✓ done") == 2)
        typing = threading.Thread(target=terminal.type, args=(f"read \x1b[200~{text}\x1b[201~",))
        typing.start()  # waits while the program reads
        terminal.wait_for("read [pasted #1: 5000 lines]")
        typing.join()
        terminal.type("!\r")
        terminal.wait_for("Long.")
    *pictures, long = (request.last["content"] for request in server.requests)
    assert [content[-1]["type"] for content in pictures] == ["image_url"] * 2
    assert long.endswith("read " + text.replace("\r", "\n") + "!")
    server.assert_used_up()

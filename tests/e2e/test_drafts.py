"""What is being typed survives a kill -9 of the program."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.program import PATIENCE, Program, make_program, take_interrupts
from tests.server import FakeServer

if sys.platform == "win32":
    pytest.skip("needs a pty", allow_module_level=True)

from tests.terminal import Terminal


@pytest.fixture
def program(server: FakeServer, tmp_path: Path) -> Iterator[Program]:
    take_interrupts()
    yield make_program(server, tmp_path)


def wait_for_draft(program: Program, terminal: Terminal, text: str) -> None:
    """Until it is on the disk; nothing on the screen tells."""
    until = time.monotonic() + PATIENCE
    while (said := _drafts(program)) != text:
        assert time.monotonic() < until, f"the draft is {said!r}"
        with contextlib.suppress(subprocess.TimeoutExpired):
            terminal.process.wait(0.05)


def _drafts(program: Program) -> str:
    return "".join(file.read_text() for file in Path(program.env["KIMI_CODE_DIR"]).rglob("draft.txt"))


def test_what_is_being_typed_survives_a_kill_however_often_it_was_kept_before(program: Program) -> None:
    with Terminal(program) as terminal:
        terminal.wait_for("kimi-k3")
        terminal.type("first half")
        wait_for_draft(program, terminal, "first half")
        terminal.type(", second half")
        wait_for_draft(program, terminal, "first half, second half")
        terminal.process.kill()
        terminal.end()
    with Terminal(program) as terminal:
        terminal.wait_for("❯ first half, second half")
        terminal.process.kill()
        terminal.end()

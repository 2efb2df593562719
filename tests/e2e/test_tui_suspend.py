"""Ctrl+Z and `fg`, below a parent that does what a shell does with its jobs."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.program import make_program
from tests.server import FakeServer, say

if sys.platform == "win32":
    pytest.skip("needs a pty", allow_module_level=True)

from tests.terminal import Terminal

# The program in a process group of its own, below something that only waits for it, as `uv run` and `make` do. When
# that stops, the terminal is the shell's until a line is typed.
SHELL = """
import os, signal, sys, termios
before = termios.tcgetattr(0)
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
job = os.fork()
if job == 0:
    os.setpgid(0, 0)
    os.tcsetpgrp(0, os.getpid())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)
    os.execv("/bin/sh", ["sh", "-c", f"{sys.executable} -m kimi_code; exit $?"])
while os.WIFSTOPPED(status := os.waitpid(job, os.WUNTRACED)[1]):
    os.tcsetpgrp(0, os.getpgrp())
    print("stopped by", signal.Signals(os.WSTOPSIG(status)).name, flush=True)
    print("modes kept" if termios.tcgetattr(0) == before else "modes lost", flush=True)
    sys.stdin.readline()
    os.tcsetpgrp(0, job)
    os.killpg(job, signal.SIGCONT)
os.tcsetpgrp(0, os.getpgrp())
sys.exit(os.waitstatus_to_exitcode(status))
"""


def wait_for_bytes(terminal: Terminal, words: bytes, start: int) -> None:
    """Until the program has written them, after so many others."""
    terminal.until(lambda: words in terminal.raw[start:], repr(words))


def test_ctrl_z_gives_the_terminal_back_as_it_was_and_fg_brings_the_screen_back_at_the_size_of_now(
    server: FakeServer, tmp_path: Path
) -> None:
    program = make_program(server, tmp_path)
    server.script(say("The first."), say("The second."))
    with Terminal(program, code=SHELL, fresh=True) as terminal:
        terminal.wait_for("Ask for something")
        terminal.type("one\r")
        terminal.wait_for("The first.")
        terminal.wait_for("✓ done")
        terminal.type("half a")
        terminal.wait_for("❯ half a")
        for _ in range(2):
            shown = len(terminal.raw)
            terminal.type("\x1a")
            wait_for_bytes(terminal, b"stopped by SIGTSTP", shown)
            wait_for_bytes(terminal, b"modes kept", shown)
            assert b"\x1b[?1049l" in terminal.raw[shown:]  # what was on the terminal before
            back = len(terminal.raw)
            terminal.resize(70, 20)
            terminal.type("fg\n")
            wait_for_bytes(terminal, b"\x1b[?1049h", back)
            wait_for_bytes(terminal, b"The first.", back)
            wait_for_bytes(terminal, b"half a", back)
        terminal.type(" thought\r")
        terminal.wait_for("The second.")
        terminal.type("\x03")
        terminal.wait_for("again leaves")
        terminal.type("\x03")
        assert terminal.end() == 0
        assert terminal.modes == terminal.modes_before
    assert server.requests[1].last["content"].endswith("half a thought")
    server.assert_used_up()


def test_words_for_the_shell_that_follow_ctrl_z_at_once_are_the_shells(server: FakeServer, tmp_path: Path) -> None:
    program = make_program(server, tmp_path)
    with Terminal(program, code=SHELL, fresh=True) as terminal:
        terminal.wait_for("Ask for something")
        terminal.type_slowly("ab")
        terminal.wait_for("❯ ab")
        shown = len(terminal.raw)
        terminal.type("\x1a")
        wait_for_bytes(terminal, b"\x1b[?1000l", shown)  # still about to stop
        terminal.type("fg\n")
        wait_for_bytes(terminal, b"stopped by SIGTSTP", shown)
        wait_for_bytes(terminal, b"\x1b[?7l", shown)  # the last of what the screen begins with
        terminal.type("\x03")  # clears the prompt
        terminal.until(lambda: "❯ ab" not in terminal.text)
        assert terminal.leave() == 0


def test_ctrl_z_before_there_is_a_screen_keeps_the_terminals_modes_and_the_words_typed_ahead(
    server: FakeServer, tmp_path: Path
) -> None:
    program = make_program(server, tmp_path)
    with Terminal(program, code=SHELL, fresh=True, ground=None) as terminal:
        terminal.until(lambda: b"\x1b]11;?" in terminal.raw)
        terminal.type("ahead")
        terminal.type("\x1a")
        wait_for_bytes(terminal, b"stopped by SIGTSTP", 0)
        wait_for_bytes(terminal, b"modes kept", 0)
        assert b"\x1b[?1049h" not in terminal.raw
        terminal.type("fg\n")
        terminal.wait_for("❯ ahead")
        terminal.type("\x03")
        terminal.until(lambda: "❯ ahead" not in terminal.text)
        assert terminal.leave() == 0
        assert terminal.modes == terminal.modes_before


def test_one_that_is_continued_without_having_been_stopped_still_knows_the_modes_to_give_back(
    server: FakeServer, tmp_path: Path
) -> None:
    program = make_program(server, tmp_path)
    with Terminal(program, fresh=True) as terminal:
        terminal.wait_for("Ask for something")
        for word in ("alpha ", "gamma "):
            shown = len(terminal.raw)
            os.kill(terminal.process.pid, signal.SIGCONT)
            wait_for_bytes(terminal, b"\x1b[?7l", shown)
            terminal.type(word)
            terminal.wait_for(word.strip())
        terminal.wait_for("❯ alpha gamma")
        terminal.type("\x03")
        terminal.until(lambda: "❯ alpha" not in terminal.text)
        assert terminal.leave() == 0
        assert terminal.modes == terminal.modes_before


# A shell that continues its job the moment the first of its processes stops; the job stops fifty times.
HASTY = """
import os, signal, sys
from kimi_code.tui import job
leader = os.fork()
if leader == 0:
    os.setpgid(0, 0)
    child = os.fork()
    if child == 0:
        sys.exit(not all(job.stop(group=True) for _ in range(50)))
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
while os.WIFSTOPPED(status := os.waitpid(leader, os.WUNTRACED)[1]):
    os.killpg(leader, signal.SIGCONT)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def test_a_shell_that_continues_the_job_at_once_never_leaves_us_stopped(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", HASTY], check=True, timeout=30, start_new_session=True)


# Ctrl+Z while the screen is made: the driver is there, its screen is not. Nobody could continue us here.
EARLY = """
import asyncio, signal
from textual.app import App
from kimi_code.tui.driver import TerminalDriver

async def main():
    TerminalDriver(App())
    signal.raise_signal(signal.SIGTSTP)
    signal.raise_signal(signal.SIGCONT)

asyncio.run(main())
"""


def test_a_stop_while_the_screen_is_made_raises_nothing() -> None:
    subprocess.run([sys.executable, "-c", EARLY], check=True, timeout=30, start_new_session=True)


def test_where_no_shell_could_bring_it_back_ctrl_z_says_so_and_the_screen_goes_on(
    server: FakeServer, tmp_path: Path
) -> None:
    program = make_program(server, tmp_path)
    server.script(say("The answer."))
    with Terminal(program) as terminal:
        terminal.wait_for("Ask for something")
        terminal.type("\x1a")
        terminal.wait_for("No shell here")
        terminal.type("hello\r")
        terminal.wait_for("The answer.")
        terminal.type("\x03")
        terminal.wait_for("again leaves")
        terminal.type("\x03")
        assert terminal.end() == 0
        assert terminal.modes == terminal.modes_before

"""The program on a terminal of its own: a pty, and what an emulator shows of what it prints."""

import os
import select
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Self

import pyte

from tests.program import COMMAND, PATIENCE, Process, Program
from tests.warm import POSSIBLE, Forked

_QUESTION = b"\x1b]11;?"  # for the ground's colour, and then for the terminal itself


class Terminal:
    """Runs the program in `program`'s project; `screen` is its text, line by line."""

    def __init__(
        self,
        program: Program,
        *args: str,
        size: tuple[int, int] = (80, 24),
        env: Mapping[str, str] | None = None,
        ground: str | None = "",
        code: str = "",
        fresh: bool = False,
    ) -> None:
        """`size` is columns and rows; `ground` the colour behind the text, "" for a terminal that does not know, None
        for one that answers nothing at all.

        `code` is what Python runs in place of the program; `fresh` as in Program.start.
        """
        import fcntl
        import termios

        self._display = pyte.Screen(*size)
        self._stream = pyte.ByteStream(self._display)
        told = f"\x1b]11;rgb:{ground}\x1b\\" if ground else ""
        self._answer = b"" if ground is None else f"{told}\x1b[?62;22c".encode()
        self.raw = b""
        self._master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        self.modes_before = termios.tcgetattr(slave)
        looks = {
            "TERM": "xterm-256color",
            "COLORTERM": "truecolor",
            "TEXTUAL_FPS": "8",
        }  # painted as seldom as elsewhere
        env = {**program.env, **looks, **(env or {})}
        self.process: Process
        if POSSIBLE and not fresh:
            streams = {"stdin": slave, "stdout": slave, "stderr": slave}
            self.process = Forked(args, cwd=program.project, env=env, terminal=True, code=code, **streams)
        else:
            self.process = subprocess.Popen(
                [sys.executable, "-c", code, *args] if code else [*COMMAND, *args],
                cwd=program.project,
                env=env,
                stdin=slave,
                stdout=slave,
                stderr=slave,
                start_new_session=True,
                preexec_fn=lambda: _own_terminal(slave),
            )
        self._slave = slave
        self._open: tuple[int, ...] = (self._master, slave)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.hang_up()
        if error is not None:
            sys.stderr.write("--- the screen at the end ---\n" + "\n".join(self.screen) + "\n")

    @property
    def screen(self) -> Sequence[str]:
        # As `display` of the emulator, which measures each character anew: the second cell of a wide one is empty.
        columns, lines = range(self._display.columns), self._display.buffer
        return ["".join(lines[y][x].data for x in columns) for y in range(self._display.lines)]

    @property
    def text(self) -> str:
        """The screen as one text; wide characters once."""
        return "\n".join(self.screen)

    @property
    def reversed(self) -> str:
        """What of the screen is shown in reverse."""
        columns, lines = range(self._display.columns), self._display.buffer
        return "".join(lines[y][x].data for y in range(self._display.lines) for x in columns if lines[y][x].reverse)

    @property
    def cursor(self) -> tuple[int, int]:
        """The column and the row of the terminal's own cursor, from 0."""
        return self._display.cursor.x, self._display.cursor.y

    @property
    def modes(self) -> list[object]:
        """The terminal's settings now, as termios tells them."""
        import termios

        return termios.tcgetattr(self._slave)

    def resize(self, columns: int, rows: int) -> None:
        """Another size, told as terminals do."""
        import fcntl
        import termios

        self._display.resize(rows, columns)
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        os.kill(self.process.pid, signal.SIGWINCH)

    def hang_up(self) -> None:
        """Close the window: nobody reads or writes on the other side from now on."""
        for fd in self._open:
            os.close(fd)
        self._open = ()

    def type(self, text: str) -> None:
        """Keys, as bytes of a terminal: "\\r" is Enter, "\\x1b" Esc."""
        os.write(self._master, text.encode())

    def wait_for(self, words: str) -> None:
        """Until the screen has them."""
        self.until(lambda: words in self.text, words)

    def until(self, condition: Callable[[], object], what: str = "") -> None:
        """Take in output until it holds."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            left = deadline - time.monotonic()
            if left <= 0 or not self._read(left):
                raise AssertionError(f"waited for {what or condition}; the screen was:\n" + self.text)

    def type_slowly(self, text: str) -> None:
        """Keys with so much time before each that none is taken for typed ahead."""
        for key in text:
            until = time.monotonic() + 0.4
            while (left := until - time.monotonic()) > 0:
                self._read(left)
            self.type(key)

    def press(self, key: str, done: Callable[[], object]) -> None:
        """A key that answers a request: what comes too soon after it is shown is ignored, so press until it counts."""
        deadline = time.monotonic() + PATIENCE
        while not done() and time.monotonic() < deadline:
            self.type_slowly(key)
            until = time.monotonic() + 5
            while not done() and (left := until - time.monotonic()) > 0:
                self._read(min(left, 0.05))
        if not done():
            raise AssertionError(f"{key!r} did not count; the screen was:\n" + self.text)

    def leave(self) -> int:
        """Ctrl+C, then again when that is asked for."""
        self.type("\x03")
        # It is shown for two seconds only.
        self.until(lambda: b"again leaves" in self.raw, "again leaves")
        self.type("\x03")
        return self.end()

    def end(self) -> int:
        """Wait for the end; returns the exit code."""
        deadline = time.monotonic() + PATIENCE
        while self.process.poll() is None and time.monotonic() < deadline:
            self._read(0.05)
        while self._read(0):
            pass
        return self.process.wait(timeout=1)

    def _read(self, seconds: float) -> bool:
        data = b""
        # All there is, as the screen is looked at after each time.
        while select.select([self._master], [], [], 0 if data else seconds)[0]:
            try:
                part = os.read(self._master, 65_536)
            except OSError:  # Linux tells the end of the other side so
                break
            if not part:
                break
            data += part
        if not data:
            return False
        if self._answer and _QUESTION in data:
            os.write(self._master, self._answer)
        self.raw += data
        self._stream.feed(data)
        return bool(data)


def _own_terminal(slave: int) -> None:
    import fcntl
    import termios

    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

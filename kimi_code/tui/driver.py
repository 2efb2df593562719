"""Textual's driver for a terminal that can go away, a window closed, a connection lost, or be a shell's for a while."""

import asyncio
import contextlib
import os
import selectors
import signal
from codecs import getincrementaldecoder
from collections.abc import Generator
from typing import TYPE_CHECKING, TextIO, cast

from textual.drivers.linux_driver import LinuxDriver

from kimi_code.tui.input.keyboard import Keyboard

if TYPE_CHECKING:
    from kimi_code.tui.app import KimiApp

_READ = 65_536
_LOOK = 0.1  # seconds until the end is noticed, and an Esc that nothing follows


class TerminalDriver(LinuxDriver):
    """Ends the program when nothing can be written any more, and reads a paste in one piece.

    Textual 8 lets its writing thread die then; the next thirty writes fill a queue, and the event loop waits for
    room in it for ever, deaf to SIGHUP too.
    """

    def start_application_mode(self) -> None:
        # Also called after every stop (Ctrl+Z, an editor).
        if not isinstance(self._file, _Outlet):
            app = cast("KimiApp", self._app)
            self._file = cast("TextIO", _Outlet(self._file, app, asyncio.get_running_loop()))
        super().start_application_mode()

    def run_input_thread(self) -> None:
        """Read until the application ends; as Textual's, with a parser of our own."""
        keyboard = Keyboard()
        decode = getincrementaldecoder("utf-8")("replace").decode
        with selectors.SelectSelector() as selector:
            selector.register(self.fileno, selectors.EVENT_READ)
            while not self.exit_event.is_set():
                if not selector.select(_LOOK):
                    messages = keyboard.rest()
                elif data := os.read(self.fileno, _READ):
                    text = decode(data)  # "" for a part of a character
                    messages = keyboard.feed(text) if text else ()
                else:
                    return
                for message in messages:
                    self.process_message(message)

    def stop_job(self) -> bool:
        """Stop as Ctrl+Z stops other programs, until a shell goes on with the job.

        False, and nothing stopped, where no shell could: on a terminal of its own the program would hang for ever.
        Textual 8 stops this process and no other; what started it (`uv run`, `make`) would go on to hold the terminal.
        """
        self.suspend_application_mode()
        stopped = _stop_group()
        self.resume_application_mode()
        return stopped


def _stop_group() -> bool:
    """Stop this process's group, ourselves last; returns whether somebody has continued us."""
    continued: list[int] = []
    before = signal.signal(signal.SIGCONT, lambda number, _: continued.append(number)), signal.getsignal(signal.SIGTSTP)
    try:
        signal.signal(signal.SIGTSTP, signal.SIG_IGN)
        os.killpg(os.getpgrp(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        # To this very thread: it stops before it returns. The system drops it where the group has no shell.
        signal.raise_signal(signal.SIGTSTP)
    finally:
        signal.signal(signal.SIGCONT, before[0])
        signal.signal(signal.SIGTSTP, before[1])
    return bool(continued)


class _Outlet:
    """A terminal to write to; what it does not take is lost, and told to the application once."""

    def __init__(self, file: TextIO, app: "KimiApp", loop: asyncio.AbstractEventLoop) -> None:
        self._file, self._app, self._loop = file, app, loop
        self._gone = False

    def write(self, text: str) -> None:
        with self._noticing():
            self._file.write(text)

    def flush(self) -> None:
        with self._noticing():
            self._file.flush()

    def fileno(self) -> int:
        return self._file.fileno()

    def isatty(self) -> bool:
        return self._file.isatty()

    @contextlib.contextmanager
    def _noticing(self) -> Generator[None]:
        try:
            yield
        except OSError:
            if not self._gone:
                self._gone = True
                with contextlib.suppress(RuntimeError):  # the loop is closed: we are leaving already
                    self._loop.call_soon_threadsafe(self._app.leave, 129)

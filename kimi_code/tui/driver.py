"""Textual's driver for a terminal that can go away: a window is closed, a connection is lost."""

import asyncio
import contextlib
from collections.abc import Generator
from typing import TYPE_CHECKING, TextIO, cast

from textual.drivers.linux_driver import LinuxDriver

if TYPE_CHECKING:
    from kimi_code.tui.app import KimiApp


class TerminalDriver(LinuxDriver):
    """Ends the program when nothing can be written any more.

    Textual 8 lets its writing thread die then; the next thirty writes fill a queue, and the event loop waits for
    room in it for ever, deaf to SIGHUP too.
    """

    def start_application_mode(self) -> None:
        # Also called after every stop (Ctrl+Z, an editor).
        if not isinstance(self._file, _Outlet):
            app = cast("KimiApp", self._app)
            self._file = cast("TextIO", _Outlet(self._file, app, asyncio.get_running_loop()))
        super().start_application_mode()


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

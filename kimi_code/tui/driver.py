"""Textual's driver for a terminal that can go away, a window closed, a connection lost, or be a shell's for a while."""

import asyncio
import contextlib
import os
import selectors
import signal
import termios
import time
from codecs import getincrementaldecoder
from collections.abc import Generator
from typing import TYPE_CHECKING, TextIO, cast

from textual.app import App
from textual.drivers.linux_driver import LinuxDriver
from textual.events import MouseEvent

from kimi_code.tui import job
from kimi_code.tui.input.keyboard import Keyboard

if TYPE_CHECKING:
    from kimi_code.tui.app import KimiApp

_READ = 65_536
_LOOK = 0.1  # seconds until the end is noticed, and an Esc that nothing follows
_STILL = 0.5  # seconds after which no answer of the terminal and no report of its mouse is under way any more


class TerminalDriver(LinuxDriver):
    """Ends the program when nothing can be written any more, and reads a paste in one piece.

    Textual 8 lets its writing thread die then; the next thirty writes fill a queue, and the event loop waits for
    room in it for ever, deaf to SIGHUP too.
    """

    def __init__(
        self, app: App[object], *, debug: bool = False, mouse: bool = True, size: tuple[int, int] | None = None
    ):
        before = signal.getsignal(signal.SIGTSTP)
        super().__init__(app, debug=debug, mouse=mouse, size=size)  # pyright: ignore[reportUnknownMemberType]
        self._shown = False
        self._stopping = False
        self._spoke = 0.0  # when the terminal itself had last something to say, by the monotonic clock
        self._loop_of_app = asyncio.get_running_loop()
        # Textual's raise before there is a screen, and start a second one beside the first when we are continued
        # without having been stopped; the terminal's modes of before are lost then.
        signal.signal(signal.SIGTSTP, signal.SIG_IGN if before is signal.SIG_IGN else self._on_stop)
        signal.signal(signal.SIGCONT, self._on_continue)

    def start_application_mode(self) -> None:
        # Also called after every stop (Ctrl+Z, an editor).
        if not isinstance(self._file, _Outlet):
            app = cast("KimiApp", self._app)
            self._file = cast("TextIO", _Outlet(self._file, app, self._loop_of_app))
        self._come_to_front()
        super().start_application_mode()
        self._shown, self._spoke = True, time.monotonic()

    def stop_application_mode(self) -> None:
        self._shown = False
        super().stop_application_mode()

    def disable_input(self) -> None:
        """As Textual's; but where a shell comes next, what is typed for it is left to it.

        Not while the terminal itself may be saying something: the shell would take that for keys.
        """
        if self.exit_event.is_set():
            return
        signal.signal(signal.SIGWINCH, signal.SIG_DFL)
        self.exit_event.set()
        self._disable_mouse_support()
        if self._key_thread is not None:
            self._key_thread.join()
        self.exit_event.clear()
        speaks = time.monotonic() - self._spoke < _STILL
        if self._stopping and speaks:
            time.sleep(_LOOK)
        if speaks or not self._stopping:
            with contextlib.suppress(termios.error):
                termios.tcflush(self.fileno, termios.TCIFLUSH)

    def run_input_thread(self) -> None:
        """Read until the application ends; as Textual's, with a parser of our own."""
        keyboard = Keyboard()
        decode = getincrementaldecoder("utf-8")("replace").decode
        with selectors.SelectSelector() as selector:
            selector.register(self.fileno, selectors.EVENT_READ)
            while not self.exit_event.is_set():
                ready = selector.select(_LOOK)
                if self.exit_event.is_set():
                    return  # not ours any more
                if not ready:
                    messages = keyboard.rest()
                elif data := os.read(self.fileno, _READ):
                    text = decode(data)  # "" for a part of a character
                    messages = keyboard.feed(text) if text else ()
                else:
                    return
                for message in messages:
                    if isinstance(message, MouseEvent):
                        self._spoke = time.monotonic()
                    self.process_message(message)

    def stop_job(self) -> bool:
        """Stop as Ctrl+Z stops other programs, until a shell goes on with the job.

        False, and nothing stopped, where no shell could: on a terminal of its own the program would hang for ever.
        Textual 8 stops this process and no other; what started it (`uv run`, `make`) would go on to hold the terminal.
        """
        self._step_back()
        stopped = job.stop(group=True)
        self.resume_application_mode()
        return stopped

    def _step_back(self) -> None:
        self._stopping = True
        try:
            self.suspend_application_mode()
        finally:
            self._stopping = False

    def _come_to_front(self) -> None:
        """In the background (`&`, `bg`) no screen can be shown: stop until it can."""
        while job.is_behind(self.fileno) and job.stop(group=True):
            pass

    def _on_stop(self, *_: object) -> None:
        """Somebody sent SIGTSTP, or Ctrl+Z came before the screen did."""
        if self._shown:
            self._loop_of_app.call_soon_threadsafe(self._app.action_suspend_process)
        else:
            job.stop(group=False)

    def _on_continue(self, *_: object) -> None:
        """After a stop that nobody can catch (SIGSTOP): the terminal was somebody else's."""
        if self._shown:
            self._loop_of_app.call_soon_threadsafe(self._take_again)

    def _take_again(self) -> None:
        self._come_to_front()
        if self._shown:
            self._step_back()
            self.resume_application_mode()
            self._app.screen.refresh(layout=True)


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

"""The application: themes, the user's keys, the terminal around it, and the way out. The screens do the rest."""

import asyncio
import os
import shutil
import signal
import time
from collections.abc import Callable, Sequence

from textual import events, on
from textual.app import App
from textual.driver import Driver
from textual.filter import LineFilter
from textual.worker import WorkerFailed

from kimi_code.tui import terminal, theme
from kimi_code.tui.filters import NoColours, PlainSigns
from kimi_code.tui.host import Host, Which
from kimi_code.tui.screens.main import MainScreen
from kimi_code.tui.stylesheet import SharedStylesheet
from kimi_code.tui.timing import after
from kimi_code.tui.widgets.transcript import TranscriptView

_AWAY = 10.0  # seconds without the focus after which somebody is not just looking something up
_LAST_MOMENT = 3.0  # seconds for a session to close when the process must end


class KimiApp(App[int], inherit_bindings=False):
    """Runs one MainScreen. `run_async` returns the exit code; `crash` is the bug that ended it, if one did."""

    CSS_PATH = "app.tcss"
    ENABLE_COMMAND_PALETTE = False
    TITLE = "kimi-code"

    def __init__(
        self,
        host: Host,
        which: Which,
        *,
        prompt: str = "",
        typed: str = "",
        note: str = "",
        dark: bool | None = None,
    ) -> None:
        """`prompt` is sent at once, `typed` stands in the prompt, `note` above all.

        `dark` is whether the terminal's ground is dark, None when it does not say.
        """
        if not os.environ.get("NO_COLOR"):
            os.environ.pop("NO_COLOR", None)  # Textual would take an empty one for a wish (https://no-color.org)
        super().__init__()
        self._dark = dark
        self._speaks_unicode = terminal.speaks_unicode(os.environ)
        self._left_at: float | None = None  # None while somebody looks
        self._calling: asyncio.TimerHandle | None = None
        self.clock = time.monotonic
        self._working: bool | None = None
        self.crash: Exception | None = None
        self.wants_demo = False  # once the screen has closed
        for made in theme.THEMES:
            self.register_theme(made)
        self.use_theme(host.preferences.theme)
        if host.preferences.reduced_motion:
            self.animation_level = "none"  # Textual's, and the marks of what runs
        self.stylesheet = SharedStylesheet(variables=self.get_css_variables())
        self.set_keymap(dict(host.preferences.keys))
        self._host = host
        self.main = MainScreen(host, which, prompt=prompt, typed=typed, note=note)

    def on_mount(self) -> None:
        self.push_screen(self.main)
        self.show_working(False)
        self._catch_signals()

    def get_driver_class(self) -> type[Driver]:
        """Textual's choice, on a terminal of this system with care for its end."""
        usual = super().get_driver_class()
        if usual.__name__ != "LinuxDriver":
            return usual
        from kimi_code.tui.driver import TerminalDriver  # cannot be imported on Windows

        return TerminalDriver

    def on_resize(self, event: events.Resize) -> None:
        """Keep to the size the terminal has now.

        Textual 8 reads it in a signal handler; while a window is dragged the next signal can interrupt that one,
        and then the older size is told last.
        """
        if not self.is_headless and event.size != (now := shutil.get_terminal_size()):
            event.prevent_default()
            self.post_message(events.Resize.from_dimensions(now, None))

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Textual's would make greys of colours where none are wanted."""
        usual = (NoColours(),) if self.no_color else super().get_line_filters()
        return usual if self._speaks_unicode else (*usual, PlainSigns())

    # --- Themes ---

    def theme_names(self) -> Sequence[str]:
        """What can be chosen: "auto", ours by their short names, Textual's."""
        ours = {made.name for made in theme.THEMES}
        return ("auto", *theme.SHORT, *sorted(name for name in self.available_themes if name not in ours))

    def use_theme(self, name: str) -> None:
        """Show another theme; one that does not exist is left out."""
        full = theme.name_of(name, dark=self._dark)
        self.theme = full if full in self.available_themes else theme.name_of("auto", dark=self._dark)

    # --- The terminal around us ---

    def show_working(self, working: bool) -> None:
        """Say in the window's title and tab whether something runs."""
        if working != self._working:
            self._working = working
            mark = "● " if working else ""
            self._write(terminal.title(f"{mark}{self._host.folder.name} · kimi-code") + terminal.progress(working))

    def call_for_attention(self, words: str) -> None:
        """A bell and a notification, once nobody has looked for a while; "" when that is needed no more."""
        if self._calling is not None:
            self._calling.cancel()
        self._calling = None
        if words and self._left_at is not None and self._host.preferences.notify:
            wait = max(_AWAY - (self.clock() - self._left_at), 0.0)
            self._calling = after(wait, self, lambda: self._notify(f"{words}: {self._host.folder.name}"))

    @property
    def calls(self) -> bool:
        """Whether a notification is on its way."""
        return self._calling is not None

    def _notify(self, words: str) -> None:
        self._calling = None
        self._write(terminal.notification(words, os.environ))

    def on_app_blur(self, _: events.AppBlur) -> None:
        self._left_at = self.clock()

    def on_app_focus(self, _: events.AppFocus) -> None:
        self._left_at = None
        self.call_for_attention("")

    def _write(self, sequences: str) -> None:
        if self._driver is not None and not self._driver.is_headless:
            self._driver.write(sequences)

    @on(TranscriptView.LinkClicked)
    def _open_link(self, event: TranscriptView.LinkClicked) -> None:
        from kimi_code.tui.errands import open_link

        self.run_worker(open_link(self, event.url), exclusive=True, group="opening")

    def action_suspend_process(self) -> None:
        """Stop, until the shell that the program was started from brings it back."""
        stop_job: Callable[[], bool] | None = getattr(self._driver, "stop_job", None)
        if stop_job is None or not stop_job():
            self.notify("No shell here could bring the screen back: nothing is suspended.")

    # --- The way out ---

    def leave(self, code: int = 0) -> None:
        """Close the session, then the screen."""
        self.run_worker(self._leave(code), exclusive=True, group="leaving")

    async def _leave(self, code: int) -> None:
        self.main.prompt.save_draft()
        try:
            async with asyncio.timeout(_LAST_MOMENT):
                await self.main.conversation.close()
        except TimeoutError:
            pass  # what was written to the journal is safe
        self._write(terminal.title("") + terminal.progress(False))
        self.exit(code)

    def _catch_signals(self) -> None:
        if self.is_headless:
            return
        loop = asyncio.get_running_loop()
        for name in ("SIGTERM", "SIGHUP", "SIGQUIT"):
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                try:
                    loop.add_signal_handler(number, self.leave, 128 + int(number))
                except (NotImplementedError, RuntimeError):  # Windows
                    return

    def report_bug(self, error: Exception) -> None:
        """A mistake of the screen's own that nothing else suffers from: told once."""
        if self.crash is None:
            self.crash = error
            self.notify(f"A part of the screen broke ({type(error).__name__}). The work goes on.", severity="error")

    def _handle_exception(self, error: Exception) -> None:
        # What follows the first one is most likely its consequence.
        cause: BaseException = error.error if isinstance(error, WorkerFailed) else error
        self.crash = self.crash or (cause if isinstance(cause, Exception) else error)
        super()._handle_exception(error)

    def _fatal_error(self) -> None:
        # The report is written by who started us: without local variables, which may hold secrets.
        self._close_messages_no_wait()

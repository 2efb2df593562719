"""What commands work with, on the main screen: lines among the transcript's, lists to pick from, other sessions."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from textual.content import Content
from textual.screen import Screen

from kimi_code.errors import KimiError
from kimi_code.events import Notice, Record
from kimi_code.tui.conversation import Job
from kimi_code.tui.host import Host, Which

if TYPE_CHECKING:
    from kimi_code.session.session import Session
    from kimi_code.tui.screens.main import MainScreen
    from kimi_code.tui.screens.picker import Row
    from kimi_code.tui.widgets.prompt import Prompt

T = TypeVar("T")


class ScreenDesk:
    """The Desk of commands.py."""

    def __init__(self, screen: "MainScreen") -> None:
        self._screen = screen

    @property
    def host(self) -> Host:
        return self._screen.host

    @property
    def session(self) -> "Session":
        return self._screen.session

    async def settled(self) -> None:
        await self._screen.conversation.settled()

    def submit(self, job: Job) -> None:
        self._screen.conversation.submit(job)

    def say(self, text: str) -> None:
        self._tell(Notice("info", text))

    def fail(self, error: Exception) -> None:
        self._tell(Notice("error", str(error)))

    def _tell(self, notice: Notice) -> None:
        # For the person alone: not published, so that no journal keeps it.
        self._screen.hearing.show_record(Record(0, "main", time.time(), notice))

    def read(self, title: str, text: Content | Callable[[int], Content]) -> None:
        from kimi_code.tui.screens.page import Page

        self._screen.app.push_screen(Page(title, text))

    async def pick(self, title: str, rows: "Sequence[Row]", *, hint: str = "", query: str = "") -> str | None:
        from kimi_code.tui.screens.picker import Picker

        return await self._screen.app.push_screen_wait(Picker(title, rows, hint=hint, query=query))

    async def ask_line(self, title: str) -> str | None:
        from kimi_code.tui.screens.line import Line

        return await self._screen.app.push_screen_wait(Line(title))

    async def show(self, screen: Screen[T]) -> T | None:
        return await self._screen.app.push_screen_wait(screen)

    def aside(self, question: str) -> None:
        from kimi_code.tui.screens.aside import Aside

        self._screen.app.push_screen(Aside(self.session, question))

    def enter_swarm(self) -> bool:
        return self._screen.swarming.enter()

    async def set_up(self) -> None:
        from kimi_code.tui import doorway

        await doorway.set_up_again(self._screen)

    async def open(self, which: Which) -> None:
        conversation = self._screen.conversation
        if conversation.state == "working":
            raise KimiError("A turn is running.", hint="Interrupt it with Esc first.")
        await conversation.open(which)

    async def choose_session(self) -> None:
        from kimi_code.tui.screens.sessions import Sessions

        session = self._screen.conversation.session
        store = await asyncio.to_thread(self.host.store)
        sessions = Sessions(store, self.host.folder, session.id if session else "")
        chosen = await self._screen.app.push_screen_wait(sessions)
        if chosen is not None:
            await self.open(Which(id=chosen))

    def standing_changed(self) -> None:
        self._screen.standing_changed()

    def files_changed(self) -> None:
        self._screen.files_changed()

    def copy(self, text: str) -> None:
        self._screen.app.copy_to_clipboard(text)

    def last_answer(self) -> str:
        return self._screen.transcript.last_answer()

    def themes(self) -> Sequence[str]:
        return self._screen.app.theme_names()

    def use_theme(self, name: str) -> None:
        self._screen.app.use_theme(name)

    def leave(self) -> None:
        self._screen.app.leave()  # which saves the draft

    # --- What keys and the prompt ask for ---

    async def run(self, line: str) -> None:
        """A slash command."""
        from kimi_code.tui import commands

        await commands.run(self, line)

    async def choose_command(self) -> None:
        """Pick a command from all of them, and run it."""
        from kimi_code.tui.commands import COMMANDS
        from kimi_code.tui.screens.picker import Row

        chosen = await self.pick("Commands", [Row(c.name, f"/{c.name}", c.what) for c in COMMANDS])
        if chosen is not None:
            await self.run(f"/{chosen}")

    async def choose_from_history(self, prompt: "Prompt") -> None:
        """Put an older prompt in the place of what is written."""
        from kimi_code.tui.screens.picker import Row

        rows = [Row(text, one_line(text)) for text in dict.fromkeys(reversed(prompt.past))]
        text = await self.pick("History", rows, query=prompt.text.strip())
        if text is not None:
            prompt.replace_text(text)

    async def note(self, text: str) -> None:
        """Add a line to the project's instructions."""
        try:
            file = await asyncio.to_thread(self.host.note, text)
        except (KimiError, OSError) as error:
            self.fail(error)
        else:
            self.say(f"Added to {file}; sessions opened from now on know it.")


def one_line(text: str) -> str:
    """The beginning of a text, without line ends."""
    return " ".join(text.split())[:200]

"""A question beside the conversation, and its answer as it comes. Closing it ends the request; nothing of it stays."""

import time
from typing import TYPE_CHECKING

from textual.content import Content
from textual.widgets import Static

from kimi_code.controls import clean
from kimi_code.errors import KimiError
from kimi_code.tui.screens.page import Page
from kimi_code.tui.theme import MUTED

if TYPE_CHECKING:
    from kimi_code.session.session import Session

_FRAME = 1 / 15  # seconds between repaints


class Aside(Page):
    """A page that asks when it is shown."""

    def __init__(self, session: "Session", question: str) -> None:
        super().__init__(f"By the way: {clean(question)}", Content.styled("Asking…", MUTED))
        self._session, self._question = session, question
        self._pieces: list[str] = []
        self._shown_at = 0.0
        self.done = False

    def on_mount(self) -> None:
        super().on_mount()
        self.run_worker(self._ask())

    async def _ask(self) -> None:
        try:
            answer = await self._session.aside(self._question, self._hear)
        except KimiError as error:
            self._put(Content.styled(str(error), "$text-error"))
        else:
            self._put(Content(clean(answer.strip()) or "The model gave no answer."))
        self.done = True

    def _hear(self, piece: str) -> None:
        self._pieces.append(piece)
        if time.monotonic() - self._shown_at >= _FRAME:
            self._shown_at = time.monotonic()
            self._put(Content(clean(self._session.scrub("".join(self._pieces)))))

    def _put(self, text: Content) -> None:
        self.query_one("#page-body Static", Static).update(text)
        self.query_one("#page-body").scroll_end(animate=False)

"""Questions of the program's own, one at a time in the prompt's place: a list to choose from, or a line to type."""

import asyncio
from collections.abc import Callable, Sequence

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from kimi_code.controls import clean
from kimi_code.tui.hanging import hanging
from kimi_code.tui.keys import bindings
from kimi_code.tui.screens.picker import Row
from kimi_code.tui.strips.line import padded, width_of
from kimi_code.tui.theme import MUTED

_MARGINS = 3  # cells beside the options


class Steps(Vertical):
    """Hidden while nothing is asked. `choose` and `enter` return the answer, or None when it was left with Esc."""

    BINDINGS = bindings("question")

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._rows: tuple[Row, ...] = ()
        self._answer: asyncio.Future[str | None] | None = None
        self._seen: Callable[[str], None] = lambda _: None

    def compose(self) -> ComposeResult:
        yield Static("", id="steps-question", markup=False)
        options = OptionList(id="steps-options")
        yield options
        yield Input(id="steps-words")
        yield Static("", id="steps-hint", markup=False)

    @property
    def _room(self) -> int:
        return self.size.width or self.screen.size.width - 2

    @property
    def asking(self) -> bool:
        """Whether an answer is waited for."""
        return self._answer is not None

    async def choose(
        self, question: str, rows: Sequence[Row], seen: Callable[[str], None] = lambda _: None
    ) -> str | None:
        """One of the rows' values; the first is highlighted. `seen` hears of what is highlighted."""
        self._rows, self._seen = tuple(rows), seen
        self._ask(question, "↑ ↓ choose   Enter take   Esc leave")
        self.query_one("#steps-words").display = False
        options = self.query_one("#steps-options", OptionList)
        options.display = True
        width = max(width_of(clean(row.label)) for row in rows) + 3
        options.clear_options()
        room = max(self._room - _MARGINS, 1)
        for row in rows:
            lead = Content(padded(clean(row.label), width if row.detail else 0))
            words = hanging(lead, Content.styled(clean(row.detail), MUTED), room) if row.detail else [lead]
            options.add_option(Option(Content("\n").join(words)))
        options.highlighted = 0
        options.focus()
        return await self._answered()

    async def enter(self, question: str, *, hint: str = "", hidden: bool = False) -> str | None:
        """A line of text; with `hidden` nobody sees it."""
        self._rows = ()
        self._ask(question, "Enter go on   Esc back")
        self.query_one("#steps-options").display = False
        words = self.query_one("#steps-words", Input)
        words.display = True
        words.password, words.value, words.placeholder = hidden, "", hint
        words.focus()
        answer = await self._answered()
        words.value = ""  # it may be a secret
        return answer

    def _ask(self, question: str, hint: str) -> None:
        self._close(None)
        lines = hanging(Content.styled("? ", "bold $text-accent"), Content(clean(question)), self._room)
        self.query_one("#steps-question", Static).update(Content("\n").join(lines))
        self.query_one("#steps-hint", Static).update(Content.styled(hint, MUTED))
        self.display = True

    async def _answered(self) -> str | None:
        answer = self._answer = asyncio.get_running_loop().create_future()
        try:
            return await answer
        finally:
            if self._answer is answer:
                self._answer = None
                self.display = False

    def _close(self, value: str | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self._close(event.value)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self._close(self._rows[event.option_index].value)

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        if event.option_index < len(self._rows):
            self._seen(self._rows[event.option_index].value)

    def action_move(self, by: int) -> None:
        options = self.query_one("#steps-options", OptionList)
        if self._rows:
            options.highlighted = ((options.highlighted or 0) + by) % len(self._rows)

    def action_answer(self) -> None:
        highlighted = self.query_one("#steps-options", OptionList).highlighted
        if self._rows and highlighted is not None:
            self._close(self._rows[highlighted].value)
        elif not self._rows:
            self._close(self.query_one("#steps-words", Input).value)

    def action_decline(self) -> None:
        self._close(None)

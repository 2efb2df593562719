"""A full screen of lines to read: a title, lines that scroll. Returns nothing."""

from textual.app import ComposeResult
from textual.screen import Screen
from textual.widgets import Static

from kimi_code.tui.keys import bindings
from kimi_code.tui.widgets.hint import Hint
from kimi_code.tui.widgets.lines import LinesView, Make


class LinesScreen(Screen[None]):
    """`make(width)` makes the lines."""

    BINDINGS = bindings("list", "scroll")

    def __init__(self, title: str, make: Make) -> None:
        super().__init__()
        self._title, self._make = title, make

    def compose(self) -> ComposeResult:
        yield Static(self._title, id="lines-title", markup=False)
        yield LinesView(self._make, id="lines-body")
        yield Hint("↑ ↓ PgUp PgDn scroll   Esc close", id="lines-hint")

    def action_move(self, by: int) -> None:
        self.query_one(LinesView).scroll_relative(y=by, animate=False)

    def action_page(self, by: int) -> None:
        self.query_one(LinesView).page(by)

    def action_take(self) -> None:
        self.dismiss(None)

    def action_close(self) -> None:
        self.dismiss(None)

"""Something to read: a title, text that scrolls. Returns nothing."""

from collections.abc import Callable

from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from kimi_code.tui.keys import bindings
from kimi_code.tui.widgets.hint import Hint

Words = Content | str | Callable[[int], Content]


class Page(ModalScreen[None]):
    """Text over the screen below."""

    BINDINGS = bindings("list")

    def __init__(self, title: str, text: Words) -> None:
        """`text`, or what makes it for a width in cells."""
        super().__init__()
        self._title, self._text = title, text

    def compose(self) -> ComposeResult:
        with Vertical(id="page"):
            yield Static(self._title, id="page-title", markup=False)
            with VerticalScroll(id="page-body"):
                yield Static("" if callable(self._text) else self._text, id="page-text", markup=False)
            yield Hint("↑ ↓ scroll   Esc close", id="page-hint")

    def on_mount(self) -> None:
        self.query_one("#page-body").focus()
        self.call_after_refresh(self._fit)

    def on_resize(self) -> None:
        self.call_after_refresh(self._fit)

    def _fit(self) -> None:
        if callable(self._text):
            room = self.query_one("#page-body", VerticalScroll).size.width - 1  # but a scroll bar
            self.query_one("#page-text", Static).update(self._text(max(room, 1)))

    def action_move(self, by: int) -> None:
        self.query_one("#page-body").scroll_relative(y=by, animate=False)

    def action_take(self) -> None:
        self.dismiss(None)

    def action_close(self) -> None:
        self.dismiss(None)

"""Ask for one line of text. Returns it, or None."""

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from kimi_code.tui.keys import bindings
from kimi_code.tui.widgets.hint import Hint


class Line(ModalScreen[str | None]):
    """A line to type, over the screen below."""

    BINDINGS = bindings("list")

    def __init__(self, title: str, text: str = "") -> None:
        super().__init__()
        self._title, self._text = title, text

    def compose(self) -> ComposeResult:
        with Vertical(id="line"):
            yield Static(self._title, id="line-title", markup=False)
            yield Input(self._text, id="line-text", select_on_focus=False)
            yield Hint("Enter take   Esc close", id="line-hint")

    def on_input_submitted(self) -> None:
        self.action_take()

    def action_move(self, by: int) -> None:
        pass

    def action_take(self) -> None:
        self.dismiss(self.query_one("#line-text", Input).value)

    def action_close(self) -> None:
        self.dismiss(None)

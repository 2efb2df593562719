"""Choose one of many: a line to type, a list that narrows. Returns the choice, or None."""

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from kimi_code.tui.hanging import hanging
from kimi_code.tui.input.fuzzy import Choices
from kimi_code.tui.keys import bindings
from kimi_code.tui.strips.line import fit
from kimi_code.tui.theme import MUTED
from kimi_code.tui.widgets.hint import Hint
from kimi_code.values import frozen

_SHOWN_MOST = 200
_HINT = "↑ ↓ choose   Enter take   Esc close"


@frozen
class Row:
    """A line of the list: `value` is returned, `label` and `detail` are shown, both are searched."""

    value: str
    label: str
    detail: str = ""


class Picker(ModalScreen[str | None]):
    """A list over the screen below."""

    BINDINGS = bindings("list")

    def __init__(self, title: str, rows: Sequence[Row], *, hint: str = _HINT, query: str = "") -> None:
        super().__init__()
        self._title, self._hint, self._first_query = title, hint, query
        self.set_rows(rows)

    def set_rows(self, rows: Sequence[Row]) -> None:
        """Other rows from now on; `refilter` shows them."""
        self._rows = {f"{row.label} {row.detail}\0{index}": row for index, row in enumerate(rows)}
        self._order = list(self._rows)
        self._choices = Choices(self._rows)
        self._shown: list[Row] = []
        self._filtered: str | None = None

    def compose(self) -> ComposeResult:
        with Vertical(id="picker"):
            with Vertical(id="picker-head"):
                yield Static(self._title, id="picker-title", markup=False)
                yield Input(self._first_query, id="picker-query", placeholder="Search")
            options = OptionList(id="picker-options")
            options.can_focus = False
            yield options
            yield Hint(self._hint, id="picker-hint")

    def on_mount(self) -> None:
        self.query_one("#picker-hint").display = bool(self._hint)
        self.refilter()

    def on_resize(self) -> None:
        self.call_after_refresh(self._fit)

    def _fit(self) -> None:
        """The same rows at another width."""
        options = self.query_one("#picker-options", OptionList)
        highlighted = options.highlighted
        self._fill(options)
        options.highlighted = highlighted

    def refilter(self) -> None:
        """Show what fits the words typed."""
        query = self._filtered = self.query_one("#picker-query", Input).value
        keys = self._choices.best(query, _SHOWN_MOST) if query.strip() else self._order[:_SHOWN_MOST]
        self._shown = [self._rows[key] for key in keys]
        options = self.query_one("#picker-options", OptionList)
        self._fill(options)
        options.highlighted = 0 if self._shown else None

    def _fill(self, options: OptionList) -> None:
        """The rows in two columns, the words of the second below each other."""
        labels = [Content(row.label) for row in self._shown]
        width = max((label.cell_length for label in labels), default=0) + 2
        room = max((options.size.width or self.size.width) - 1, 1)  # but a scroll bar
        options.clear_options()
        for row, label in zip(self._shown, labels, strict=True):
            lead = label.pad_right(width - label.cell_length)
            lines = hanging(lead, Content.styled(row.detail, MUTED), room) if row.detail else [_cut(label, room)]
            options.add_option(Option(Content("\n").join(lines)))

    @property
    def chosen(self) -> Row | None:
        """The highlighted row."""
        index = self.query_one("#picker-options", OptionList).highlighted
        return self._shown[index] if index is not None and index < len(self._shown) else None

    def say(self, text: str) -> None:
        """Words below the list."""
        hint = self.query_one("#picker-hint", Hint)
        hint.say(text)
        hint.display = bool(text)

    def on_input_changed(self) -> None:
        self.refilter()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if event.value != self._filtered:
            self.refilter()  # what was typed last is still on its way here
        self.action_take()

    def on_option_list_option_selected(self) -> None:
        self.action_take()

    def action_move(self, by: int) -> None:
        options = self.query_one("#picker-options", OptionList)
        if self._shown:
            options.highlighted = ((options.highlighted or 0) + by) % len(self._shown)

    def action_take(self) -> None:
        row = self.chosen
        if row is not None:
            self.dismiss(row.value)

    def action_close(self) -> None:
        self.dismiss(None)


def _cut(label: Content, room: int) -> Content:
    """On one line, with a sign where it goes on."""
    return Content(fit(label.plain, room)) if label.cell_length > room else label

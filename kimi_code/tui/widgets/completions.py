"""The list above the prompt: commands, files, arguments. It never has the focus; the prompt's keys move it."""

from collections.abc import Sequence

from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from kimi_code.tui.input.completion import Suggestion
from kimi_code.tui.strips.line import padded, width_of
from kimi_code.tui.theme import MUTED


class Completions(OptionList, can_focus=False):
    """Shown while there is something to suggest."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._before = ""
        self._shown: tuple[Suggestion, ...] = ()

    @property
    def is_open(self) -> bool:
        return bool(self._shown)

    def fits(self, before: str) -> bool:
        """Whether it is open, and for this text before the caret: what was typed since may not be answered yet."""
        return self.is_open and before == self._before

    @property
    def moved(self) -> bool:
        """Whether the user has gone from the first one to another."""
        return bool(self.highlighted)

    def suggest(self, suggestions: Sequence[Suggestion], before: str = "") -> None:
        """Show these, made for the text before the caret, or nothing."""
        self._before = before
        self._shown = tuple(suggestions)
        self.clear_options()
        self.display = bool(suggestions)
        if not suggestions:
            return
        width = min(max(width_of(item.label or item.text) for item in suggestions) + 2, 44)
        self.add_options([Option(_row(item, width)) for item in suggestions])
        self.highlighted = 0

    def move(self, by: int) -> None:
        """To the next (1) or previous (-1) one, around the ends."""
        if self._shown:
            self.highlighted = ((self.highlighted or 0) + by) % len(self._shown)

    @property
    def chosen(self) -> Suggestion | None:
        """The highlighted one."""
        return self._shown[self.highlighted or 0] if self._shown else None


def _row(item: Suggestion, width: int) -> Content:
    return Content.assemble(padded((item.label or item.text).rstrip(), width), (item.detail, MUTED))

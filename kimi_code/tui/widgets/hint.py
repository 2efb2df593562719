"""The line below a screen or a list that names its keys; several lines where one is too narrow."""

from textual.content import Content
from textual.widgets import Static

from kimi_code.tui.hanging import in_lines

_BETWEEN = "   "


class Hint(Static):
    """Keys and what they do, three blanks between each: none stands on another line than its words."""

    def __init__(self, text: str = "", *, id: str) -> None:
        super().__init__("", id=id, markup=False)
        self._words = Content(text)

    def say(self, text: str | Content) -> None:
        """Name others, or say something in their place."""
        self._words = Content(text) if isinstance(text, str) else text
        self._fit()

    def on_resize(self) -> None:
        self._fit()

    def _fit(self) -> None:
        parts = [part for part in self._words.split(_BETWEEN) if part.plain.strip()]
        self.update(in_lines(parts, self.size.width, margin="") if self.size.width else self._words)

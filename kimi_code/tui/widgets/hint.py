"""The line below a screen or a list that names its keys; several lines where one is too narrow."""

from textual.content import Content
from textual.geometry import Size
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
        self.refresh(layout=True)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return self._in_lines(width).plain.count("\n") + 1

    def render(self) -> Content:
        return self._in_lines(self.size.width)

    def _in_lines(self, width: int) -> Content:
        parts = [part for part in self._words.split(_BETWEEN) if part.plain.strip()]
        lines = in_lines(parts, width, margin="").split("\n")
        return Content("\n").join(piece for line in lines for piece in _wrapped(line, width))


def _wrapped(line: Content, width: int) -> list[Content]:
    """What is longer than a line goes on below it."""
    return line.wrap(width) if 0 < width < line.cell_length else [line]

"""Lines of styled text that scroll, with a cursor if wanted; made anew for every width."""

from collections.abc import Callable, Sequence

from textual import events
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from kimi_code.tui.palette import Palette, scrolled
from kimi_code.tui.strips.line import BLANK, FANCY, Line, Span, cut, restyle

Make = Callable[[int], Sequence[Line]]


class LinesView(ScrollView):
    """Shows what `make(width)` gives; no key is its own, its owner moves it."""

    DEFAULT_CSS = "LinesView { width: 1fr; }\n" + scrolled("LinesView")

    class Clicked(Message):
        """A line was clicked; lines count from 0."""

        def __init__(self, view: "LinesView", line: int) -> None:
            super().__init__()
            self.view, self.line = view, line

    def __init__(self, make: Make = lambda width: (), *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.can_focus = False
        self._make = make
        self._lines: Sequence[Line] = ()
        self._palette = Palette(self)
        self._cursor = -1

    def show(self, make: Make, *, cursor: int = -1) -> None:
        """Other lines, from the top or with the cursor in sight."""
        self._make = make
        self._cursor = cursor
        self.remake()
        if cursor < 0:
            self.scroll_to(y=0, animate=False)
        else:
            self.move_to(cursor)

    def remake(self) -> None:
        """The same, as it is now."""
        width = self.scrollable_content_region.width
        if width <= 0:
            return
        self._lines = self._make(width)
        self.virtual_size = Size(width, len(self._lines))
        self.refresh()

    @property
    def lines(self) -> Sequence[Line]:
        """All of them, as they were made last."""
        return self._lines

    @property
    def cursor(self) -> int:
        """The line that is chosen, -1 for none."""
        return self._cursor

    def move_to(self, line: int, *, margin: int = 2) -> None:
        """Choose a line and bring it into sight, with some of what is around it."""
        self._cursor = max(min(line, len(self._lines) - 1), 0)
        top, height = self.scroll_offset.y, self.size.height
        margin = min(margin, max(height // 3, 0))
        if self._cursor - margin < top:
            self.scroll_to(y=max(self._cursor - margin, 0), animate=False)
        elif self._cursor + margin >= top + height:
            self.scroll_to(y=self._cursor + margin - height + 1, animate=False)
        self.refresh()

    def page(self, by: int) -> None:
        """Scroll by screens; a cursor comes along."""
        step = by * max(self.size.height - 2, 1)
        if self._cursor >= 0:
            self.move_to(self._cursor + step)
        else:
            self.scroll_relative(y=step, animate=False)

    def on_resize(self, _: events.Resize) -> None:
        self.remake()
        if self._cursor >= 0:
            self.move_to(self._cursor)

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._palette.clear()

    def render_line(self, y: int) -> Strip:
        at = self.scroll_offset.y + y
        line = self._lines[at] if at < len(self._lines) else BLANK
        if at == self._cursor:
            line = _chosen(line)
        return self._palette.strip(line, self.scrollable_content_region.width)

    def on_click(self, event: events.Click) -> None:
        at = self.scroll_offset.y + event.y
        if at < len(self._lines):
            self.post_message(self.Clicked(self, at))


def _chosen(line: Line) -> Line:
    """The line as the cursor's: a sign where there is room for one, for colour alone says nothing."""
    length = len(line.text)
    spans = line.spans or (Span(" "),)
    if spans[0].text[:1] == " ":
        spans = (Span(FANCY.user, "accent"), *cut(spans, 1, max(length, 1)))
    return Line(restyle(spans, 0, max(length, 1), "chosen"), line.gutter, line.glue, f"{line.fill} chosen".strip())

"""The hunks of an approval to walk through: which are taken, which are left. The panel around it has the keys."""

from typing import ClassVar

from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from kimi_code.tui.palette import CLASSES, Palette, scrolled, stylesheet
from kimi_code.tui.picks import Picks
from kimi_code.tui.strips.line import Line
from kimi_code.tui.strips.picked import pick_lines


class HunkList(ScrollView, can_focus=False):
    """Shows `picks`; `redraw` after every change of it."""

    COMPONENT_CLASSES: ClassVar[set[str]] = CLASSES
    DEFAULT_CSS = scrolled("HunkList") + "HunkList { overflow-y: auto; }\n" + stylesheet("HunkList")

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._picks = Picks()
        self._lines: list[Line] = []
        self._starts: list[int] = []
        self._palette = Palette(self)

    def show(self, picks: Picks) -> None:
        """Show these from now on."""
        self._picks = picks
        self.redraw()
        self.scroll_to(y=0, animate=False)

    def redraw(self) -> None:
        """Something is taken, left, split, or chosen."""
        width = self.scrollable_content_region.width or self.size.width
        if not width:
            return
        self._lines, self._starts = [], []
        for number in range(len(self._picks.all)):
            self._starts.append(len(self._lines))
            self._lines += pick_lines(self._picks, number, width)
        self.virtual_size = Size(width, len(self._lines))
        self.refresh()
        self._keep_in_sight()

    def _keep_in_sight(self) -> None:
        """All of the chosen one, or at least its beginning."""
        if not self._starts:
            return
        start = self._starts[self._picks.at]
        end = [*self._starts, len(self._lines)][self._picks.at + 1]
        top, height = self.scroll_offset.y, self.scrollable_content_region.height
        if start < top or end - start >= height:
            self.scroll_to(y=start, animate=False)
        elif end > top + height:
            self.scroll_to(y=end - height, animate=False)

    def on_resize(self) -> None:
        self._palette.clear()
        self.redraw()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._palette.clear()

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return sum(len(pick_lines(self._picks, number, width)) for number in range(len(self._picks.all)))

    def render_line(self, y: int) -> Strip:
        index, width = y + self.scroll_offset.y, self.scrollable_content_region.width
        line = self._lines[index] if index < len(self._lines) else Line()
        return self._palette.strip(line, width)

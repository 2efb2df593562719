"""The hunks of an approval to walk through: which are taken, which are left. The panel around it has the keys."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from kimi_code.tui.palette import Palette, scrolled
from kimi_code.tui.picks import Picks
from kimi_code.tui.strips.line import Line
from kimi_code.tui.strips.picked import HUNK_MOST, note, pick_lines

_DRAWN_MOST = 200  # lines at a time: more follows when it is gone to


@dataclass(slots=True)
class _Drawn:
    """Lines, where each pick among them begins, and those of which not all is drawn."""

    lines: list[Line] = field(default_factory=list[Line])
    starts: dict[int, int] = field(default_factory=dict[int, int])
    unfinished: set[int] = field(default_factory=set[int])


class HunkList(ScrollView, can_focus=False):
    """Shows `picks`; `redraw` after every change of it."""

    DEFAULT_CSS = scrolled("HunkList") + "HunkList { overflow-y: auto; }\n"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._picks = Picks()
        self._drawn = _Drawn()
        self._first = 0
        self._most: dict[str, int] = {}  # lines of a hunk that more were asked of
        self._palette = Palette(self)

    def show(self, picks: Picks) -> None:
        """Show these from now on."""
        self._picks, self._first = picks, 0
        self._most.clear()
        self.redraw()
        self.scroll_to(y=0, animate=False)

    @property
    def lines(self) -> Sequence[Line]:
        """Those that are drawn: of very many, the ones around what is chosen."""
        return self._drawn.lines

    def redraw(self) -> None:
        """Something is taken, left, split, or chosen."""
        width = self.scrollable_content_region.width or self.size.width
        if not width:
            return
        self._drawn = self._draw(width)
        if self._picks.all and self._picks.at not in self._drawn.starts:
            # Going back, what comes before is in sight as well.
            self._first = self._picks.at if self._picks.at > self._first else self._reach_back(self._picks.at)
            self._drawn = self._draw(width)
        self.virtual_size = Size(width, len(self._drawn.lines))
        self.refresh()
        self._keep_in_sight()

    def scroll_on(self, by: int) -> None:
        """By lines; behind the last one of a long hunk that is drawn more of it is."""
        top = self.scroll_offset.y
        if by > 0 and top >= self.max_scroll_y and self._picks.at in self._drawn.unfinished:
            id = self._picks.current.id
            self._most[id] = 4 * self._most.get(id, HUNK_MOST)
            self.redraw()
            self.scroll_to(y=top + by, animate=False)
        else:
            self.scroll_relative(y=by, animate=False)

    def _draw(self, width: int) -> "_Drawn":
        picks, drawn = self._picks.all, _Drawn()
        if self._first:
            drawn.lines.append(note(f"{self._first:,} before", width))
        for number in range(self._first, len(picks)):
            if len(drawn.lines) > _DRAWN_MOST:
                drawn.lines.append(note(f"{len(picks) - number:,} after", width))
                break
            drawn.starts[number] = len(drawn.lines)
            most = self._most.get(picks[number].id, HUNK_MOST)
            lines, rest = pick_lines(self._picks, number, width, most=most)
            drawn.lines += lines
            if rest:
                drawn.unfinished.add(number)
        return drawn

    def _reach_back(self, number: int) -> int:
        room = _DRAWN_MOST // 2
        while number > 0 and (room := room - self._picks.all[number - 1].length) > 0:
            number -= 1
        return number

    def _keep_in_sight(self) -> None:
        """All of the chosen one, or at least its beginning."""
        starts = self._drawn.starts
        if not starts:
            return
        start = starts[self._picks.at]
        end = starts.get(self._picks.at + 1, len(self._drawn.lines))
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
        return len(self._draw(width).lines)

    def render_line(self, y: int) -> Strip:
        index, width = y + self.scroll_offset.y, self.scrollable_content_region.width
        lines = self._drawn.lines
        line = lines[index] if index < len(lines) else Line()
        return self._palette.strip(line, width)

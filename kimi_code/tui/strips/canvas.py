"""All entries as one tall column of lines, of which only those near what is in sight are ever made.

The height of an entry nobody has seen is a guess. What keeps the view still is that its place is kept as an entry and
a line of it, never as a number of lines from the top.
"""

from collections.abc import Callable, Iterable, Sequence

from kimi_code.session.entries import Answer, Card, Compaction, Ending, Entry, Gone, Note, Retry, Thought, Words
from kimi_code.tui.strips.cards import Fold, Look
from kimi_code.tui.strips.entries import Painter, estimate, foldable, hidden, joined, moves, usual
from kimi_code.tui.strips.heights import Heights
from kimi_code.tui.strips.line import BLANK, Line, copied, cut, width_of

_KEPT_LINES = 20_000  # made lines that are kept


class Canvas:
    """The lines of `entries`, which its owner appends to and changes, and tells by `changed`."""

    def __init__(self, entries: Sequence[Entry], look: Callable[[], Look], painter: Painter) -> None:
        self._entries = entries
        self._look = look
        self._painter = painter
        self._made: dict[int, list[Line]] = {}  # the oldest use first
        self._made_lines = 0
        self._folds: dict[int, Fold] = {}
        self._all_open = False
        self._moving: set[int] = set()
        self._heights = Heights()
        self._anchor = (0, 0)
        self.reset()

    # --- What changed ---

    def reset(self) -> None:
        """Everything looks different: another width, another theme's signs, all cards unfolded."""
        self._made.clear()
        self._made_lines = 0
        width = self._look().width
        self._heights = Heights(self._guess(index, width) for index in range(len(self._entries)))

    def changed(self, indices: Iterable[int]) -> None:
        """These entries are new or different."""
        width = self._look().width
        for index in sorted(set(indices)):
            while len(self._heights) <= index:
                self._heights.append(self._guess(len(self._heights), width))
            self._forget(index)
            if hidden(self._entries[index]):
                self._heights.set(index, 0)
                self._forget(index + 1)  # its neighbour has changed
            elif not self._heights[index]:  # it was hidden, and is seen again
                self._heights.set(index, self._guess(index, width))
                self._forget(index + 1)
            (self._moving.add if moves(self._entries[index]) else self._moving.discard)(index)

    @property
    def moving(self) -> bool:
        """Whether something changes with time alone."""
        return bool(self._moving)

    def tick(self, top: int, height: int) -> list[int]:
        """Time went by: the entries in sight that have changed by it."""
        first, last = self._heights.find(top)[0], self._heights.find(top + height)[0]
        ticked = [index for index in self._moving if first <= index <= last]
        self.changed(ticked)
        for index in ticked:
            self._measure(index)
        return ticked

    def _forget(self, index: int) -> None:
        made = self._made.pop(index, None)
        if made is not None:
            self._made_lines -= len(made)

    def _guess(self, index: int, width: int) -> int:
        entry = self._entries[index]
        height = estimate(entry, self.fold(index), width)
        return height + (height > 0 and not joined(self._entries[index - 1] if index else None, entry))

    # --- Places ---

    @property
    def height(self) -> int:
        """Lines in all; exact for what was seen."""
        return self._heights.total

    def top_of(self, index: int) -> int:
        """The line where the entry begins."""
        return self._heights.above(index)

    def at(self, y: int) -> tuple[int, int]:
        """The entry at a line, and the line's number in it, from 0, empty lines before it included."""
        return self._heights.find(y)

    def place(self, y: int) -> None:
        """The user went to line `y`."""
        if len(self._heights):
            self._anchor = self._heights.find(y)

    def settle(self, height: int, *, at_end: bool, asked: int = -1) -> int:
        """Make what is in sight, and a screen beyond it each way; returns the line at the top of the view.

        At the end, the entry that is `asked` about begins in sight: there one begins to judge it.
        """
        count = len(self._heights)
        if not count or height <= 0:
            return 0
        if not at_end:
            index, offset = min(self._anchor[0], count - 1), self._anchor[1]
            self._measure(index)
            offset = min(offset, max(self._heights[index] - 1, 0))
            self._measure_up(index, height)
            short = self._measure_down(index, 2 * height + offset) - (height + offset)
            top = self._heights.above(index) + offset
            if short >= 0 or top <= self.height - height:
                self._anchor = index, offset
                return top
        self._measure_up(count, 2 * height)
        top = max(self.height - height, 0)
        if 0 <= asked < count and (head := self._heights.above(asked) + self.head_of(asked)) < top:
            self._anchor = self._heights.find(head)
            return self.settle(height, at_end=False)
        self._anchor = self._heights.find(top)
        return top

    def _measure_up(self, index: int, lines: int) -> None:
        while index > 0 and lines > 0:
            index -= 1
            lines -= self._measure(index)

    def _measure_down(self, index: int, lines: int) -> int:
        seen = 0
        while index < len(self._heights) and seen < lines:
            seen += self._measure(index)
            index += 1
        return seen

    def _measure(self, index: int) -> int:
        height = len(self.lines_of(index))
        self._heights.set(index, height)
        return height

    # --- Lines ---

    def lines_of(self, index: int) -> list[Line]:
        """The lines of an entry, the empty one before it included."""
        made = self._made.pop(index, None)
        if made is None:
            entry = self._entries[index]
            made = self._painter.lines(index, entry, self.fold(index), self._look())
            if made and not joined(self._seen_before(index), entry):
                made = [BLANK, *made]
            self._made_lines += len(made)
        self._made[index] = made
        while self._made_lines > _KEPT_LINES and len(self._made) > 1:
            self._forget(next(iter(self._made)))
        return made

    def line(self, y: int) -> Line:
        """One line; an empty one where there is none."""
        index, offset = self._heights.find(y)
        if index >= len(self._heights):
            return BLANK
        lines = self.lines_of(index)
        return lines[offset] if offset < len(lines) else BLANK

    def _seen_before(self, index: int) -> Entry | None:
        for before in range(index - 1, -1, -1):
            if not hidden(self._entries[before]):
                return self._entries[before]
        return None

    def head_of(self, index: int) -> int:
        """The number of the entry's first line with text, in the entry."""
        lines = self.lines_of(index)
        return 1 if lines and lines[0] is BLANK else 0

    # --- Folding ---

    def fold(self, index: int) -> Fold:
        """How much of the entry is shown."""
        if self._all_open:
            return Fold.ALL
        return self._folds.get(index) or usual(self._entries[index])

    def can_fold(self, index: int) -> bool:
        """Whether `toggle` does anything to the entry."""
        return 0 <= index < len(self._heights) and foldable(self._entries[index]) and not hidden(self._entries[index])

    def toggle(self, index: int) -> bool:
        """Show all of the entry, or only its first line; returns whether all is shown now."""
        if self._all_open:
            # The others stay as they are seen.
            self._folds = {i: Fold.ALL for i in range(len(self._entries)) if foldable(self._entries[i])}
            self._all_open = False
        before, fold = len(self.lines_of(index)), self.fold(index)
        self._folds[index] = Fold.ALL
        self._forget(index)
        if fold is Fold.ALL or (fold is Fold.PREVIEW and len(self.lines_of(index)) <= before):
            self._folds[index] = Fold.PREVIEW if isinstance(self._entries[index], Words) else Fold.LINE
            self._forget(index)
        self._measure(index)
        return self._folds[index] is Fold.ALL

    def toggle_all(self) -> bool:
        """Show all of everything, or each as is usual for it; returns whether all is shown now."""
        self._all_open = not self._all_open
        self._folds.clear()
        self.reset()
        return self._all_open

    # --- Text ---

    def text(self, start: tuple[int, int], end: tuple[int, int] | None) -> str:
        """What is between two places, each a character (from 0) and a line; to the end where there is no `end`."""
        last_x, last_y = end if end is not None else (-1, self.height - 1)
        lines = [self.line(y) for y in range(start[1], min(last_y, self.height - 1) + 1)]
        if not lines:
            return ""
        if end is not None and last_y < self.height:
            lines[-1] = _without(lines[-1], 0, last_x)
        lines[0] = _without(lines[0], start[0], len(lines[0].text))
        return copied(lines)

    # --- What is where ---

    def turn_from(self, y: int, by: int) -> int | None:
        """The user's words before (-1; the beginning where there are none) or after (1; None) those at line `y`."""
        index, offset = self.at(y)
        if by < 0 and offset > 0:
            index += 1
        index += by
        while 0 <= index < len(self._entries) and not isinstance(self._entries[index], Words):
            index += by
        return None if index >= len(self._entries) else max(index, 0)

    def foldable_from(self, index: int, by: int) -> int | None:
        """The first entry that can be folded, from `index` on; None for none."""
        while 0 <= index < len(self._entries) and not self.can_fold(index):
            index += by
        return index if 0 <= index < len(self._entries) else None

    def file_of(self, indices: Iterable[int]) -> str:
        """The first link to a file in the first card of these that has one; "" for none."""
        cards = (index for index in indices if isinstance(self._entries[index], Card))
        spans = (span for index in cards for line in self.lines_of(index) for span in line.spans)
        return next((span.link for span in spans if span.link.startswith("file:")), "")

    def link_at(self, x: int, y: int) -> str:
        """The link at a cell; "" for none."""
        for span in self.line(y).spans:
            x -= width_of(span.text)
            if x < 0:
                return span.link
        return ""

    def last_answer(self) -> str:
        """The Markdown of the newest answer; "" when there is none."""
        answers = (entry for entry in reversed(self._entries) if isinstance(entry, Answer) and not entry.void)
        return next((entry.text for entry in answers if entry.text.strip()), "")

    def find(self, text: str, start: int, step: int) -> int | None:
        """The next entry from `start` on, by `step` of 1 or -1, that has the text in any case."""
        wanted = text.casefold()
        index = start
        while 0 <= index < len(self._heights):
            if not hidden(self._entries[index]) and wanted in words_of(self._entries[index]).casefold():
                return index
            index += step
        return None


def _without(line: Line, start: int, end: int) -> Line:
    """The line between two characters; its decoration goes by itself."""
    return Line(tuple(cut(line.spans, start, end)), max(line.gutter - start, 0), line.glue)


def words_of(entry: Entry) -> str:
    """What an entry says, for searching."""
    match entry:
        case Words(text=text) | Note(text=text):
            return text
        case Answer() | Thought():
            return entry.text
        case Card():
            return f"{entry.tool} {entry.title} {entry.summary} {entry.result}"
        case Retry(reason=reason):
            return reason
        case Ending(error=error):
            return error
        case Compaction() | Gone():
            return ""

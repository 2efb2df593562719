"""Lines of styled text as plain data, and how text is cut into them: by cells, never by characters."""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

from rich.cells import cell_len, split_graphemes

from kimi_code.controls import clean
from kimi_code.values import frozen

TAB = 4
# What would reorder or break a line: overrides of the direction of writing, other line ends, halves of characters.
_STRANGE = re.compile("[\u202a-\u202e\u2066-\u2069\ufeff]|[\u2028\u2029]|[\ud800-\udfff]")
# Characters that may not begin a line, in Chinese and Japanese typesetting.
_NOT_FIRST = frozenset("，。、；：！？）】》」』〉”’…·—ー々,.;:!?)]}%")
_NOT_LAST = frozenset("（【《「『〈“‘([{")


class Span(NamedTuple):
    """Text in one style. `style` is names of styles, later ones over earlier ones; `link` a URL."""

    text: str
    style: str = ""
    link: str = ""


class Line(NamedTuple):
    """One line of the screen.

    `gutter` characters at its beginning are decoration that a copy leaves out. `glue` is None for a line of its own;
    for the continuation of the line above, what stood between the two. `fill` is the style of the rest of the row.
    """

    spans: tuple[Span, ...] = ()
    gutter: int = 0
    glue: str | None = None
    fill: str = ""

    @property
    def text(self) -> str:
        return "".join(span.text for span in self.spans)


BLANK = Line()


@frozen
class Marks:
    """The signs that carry meaning; every one is one cell wide."""

    user: str = "›"
    agent: str = "●"
    thought: str = "○"
    folded: str = "▸"
    open: str = "▾"
    done: str = "✓"
    failed: str = "✗"
    denied: str = "⊘"
    asked: str = "?"
    again: str = "↻"
    bullet: str = "•"
    quote: str = "▎"
    rule: str = "─"
    bar: str = "│"
    more: str = "…"
    unchecked: str = "☐"
    checked: str = "☑"
    minus: str = "−"
    wrapped: str = "↳"
    working: tuple[str, ...] = tuple("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏")


FANCY = Marks()


def plain(text: str) -> str:
    """What may be shown of what others say: no control sequences, no tricks of direction, tabs as spaces."""
    text = clean(text)
    if not text.isascii():
        text = _STRANGE.sub(_tame, text)
    return text.expandtabs(TAB) if "\t" in text else text


def exact(text: str) -> str:
    """What is asked about, with nothing left out: a character that shows nothing is named, as in ‹U+200B›.

    A command or a change that hides some of itself would be approved for what it seems to be.
    """
    if not text.isprintable():
        text = "".join(map(_named, f" {text}", text, f"{text[1:]} "))
    return text.expandtabs(TAB) if "\t" in text else text


def _named(before: str, each: str, after: str) -> str:
    # Emoji and some scripts are joined by characters without a width.
    joins = each in "\u200c\u200d" and not before.isascii() and not after.isascii()
    return each if each.isprintable() or each in "\n\t" or joins else f"‹U+{ord(each):04X}›"


def _tame(match: re.Match[str]) -> str:
    character = match.group()
    return " " if character in "\u2028\u2029" else "\ufffd" if character >= "\ud800" and character != "\ufeff" else ""


def width_of(text: str) -> int:
    """Cells that `text` takes."""
    return len(text) if text.isascii() else cell_len(text)


def fit(text: str, width: int) -> str:
    """`text` on one line of at most `width` cells, ended by … where it is cut."""
    text = " ".join(text.split())
    return text if width_of(text) <= width else head(text, max(width - 1, 0)) + "…" * (width > 0)


def fit_end(text: str, width: int) -> str:
    """As `fit`, but the beginning is cut: of a path, the end tells more."""
    text = " ".join(text.split())
    if width_of(text) <= width:
        return text
    graphemes = split_graphemes(text)[0]
    room, start = width - 1, len(text)
    for begin, _, cells in reversed(graphemes):
        if cells > room:
            break
        room, start = room - cells, begin
    return "…" * (width > 0) + text[start:]


def padded(text: str, width: int) -> str:
    """`text` and blanks behind it, `width` cells at least."""
    return text + " " * (width - width_of(text))


def head(text: str, width: int) -> str:
    """The beginning of `text` that fits into `width` cells."""
    if text.isascii():
        return text[:width]
    room, end = width, 0
    for _, stop, cells in split_graphemes(text)[0]:
        if cells > room:
            break
        room, end = room - cells, stop
    return text[:end]


def wrap(spans: Sequence[Span], width: int, *, hard: bool = False) -> list[Line]:
    """The spans on lines of at most `width` cells: broken at spaces and by wide characters, code (`hard`) anywhere.

    Line feeds in the text begin new lines. There is always at least one line.
    """
    text = "".join(span.text for span in spans)
    if "\n" not in text:
        return _wrap_one(spans, text, width, hard)
    lines: list[Line] = []
    parts = text.split("\n")
    ends = list(accumulate(len(part) + 1 for part in parts))
    ranges = [(end - 1 - len(part), end - 1) for part, end in zip(parts, ends, strict=True)]
    for part, piece in zip(parts, _pieces(spans, ranges), strict=True):
        lines += _wrap_one(piece, part, width, hard)
    return lines


def _wrap_one(spans: Sequence[Span], text: str, width: int, hard: bool) -> list[Line]:
    if width_of(text) <= width:
        return [Line(tuple(spans))]
    ranges = list(breaks(text, max(width, 1), hard=hard))
    glue = [None, *(text[before:start] for (_, before), (start, _) in pairwise(ranges))]
    return [Line(piece, 0, between) for piece, between in zip(_pieces(spans, ranges), glue, strict=True)]


def _pieces(spans: Sequence[Span], ranges: Iterable[tuple[int, int]]) -> Iterator[tuple[Span, ...]]:
    """The spans of each range of their text; the ranges ascend, so each span is looked at once or twice."""
    first = at = 0  # `at` is where the span `first` begins
    for start, end in ranges:
        while first < len(spans) and at + len(spans[first].text) <= start:
            at += len(spans[first].text)
            first += 1
        stop, until = first, at
        while stop < len(spans) and until < end:
            until += len(spans[stop].text)
            stop += 1
        yield tuple(cut(spans[first:stop], start - at, end - at))


def breaks(text: str, width: int, *, hard: bool = False) -> Iterator[tuple[int, int]]:
    """Where the lines of `text` begin and end, as offsets; spaces at a break belong to neither."""
    return _breaks_ascii(text, width, hard) if text.isascii() else _breaks_wide(text, width, hard)


def _breaks_ascii(text: str, width: int, hard: bool) -> Iterator[tuple[int, int]]:
    at, length = 0, len(text)
    while length - at > width:
        space = -1 if hard else text.rfind(" ", at + 1, at + width + 1)
        if space < 0 or not text[at:space].strip():
            yield at, at + width
            at += width
            continue
        end = space
        while text[end - 1] == " ":
            end -= 1
        yield at, end
        at = space
        while at < length and text[at] == " ":
            at += 1
    if at < length or not length:
        yield at, length


def _breaks_wide(text: str, width: int, hard: bool) -> Iterator[tuple[int, int]]:
    graphemes = split_graphemes(text)[0]
    first = index = 0  # of the line, in graphemes
    room, chance = width, -1  # where the line may be broken
    while index < len(graphemes):
        start, end, cells = graphemes[index]
        if cells > room and index > first and not (text[start:end] == " " and not hard):
            stop = index if hard or chance <= first else chance
            last = stop
            while not hard and last > first + 1 and text[graphemes[last - 1][0]] == " ":
                last -= 1
            yield graphemes[first][0], graphemes[last - 1][1]
            first = index = stop
            room, chance = width, -1
            continue
        room -= cells
        index += 1
        if not hard and index < len(graphemes) and _may_break(text, (start, end, cells), graphemes[index]):
            chance = index
    if first < len(graphemes) or not graphemes:
        # Only spaces go past the edge.
        yield (graphemes[first][0] if graphemes else 0), len(text) + min(room, 0)


def _may_break(text: str, before: tuple[int, int, int], after: tuple[int, int, int]) -> bool:
    left, right = text[before[0]], text[after[0]]
    if left == " ":
        return right != " "
    return (before[2] == 2 or after[2] == 2) and right not in _NOT_FIRST and left not in _NOT_LAST and right != " "


def cut(spans: Iterable[Span], start: int, end: int) -> Iterator[Span]:
    """The part of the spans between two offsets of their text."""
    at = 0
    for span in spans:
        length = len(span.text)
        if at >= end:
            return
        if at + length > start:
            text = span.text[max(start - at, 0) : end - at]
            if text:
                yield Span(text, span.style, span.link) if len(text) < length else span
        at += length


def restyle(spans: Iterable[Span], start: int, end: int, style: str) -> tuple[Span, ...]:
    """The spans, with `style` over all others between two offsets."""
    kept = tuple(spans)
    length = sum(len(span.text) for span in kept)
    return (
        *cut(kept, 0, start),
        *(Span(span.text, f"{span.style} {style}".strip(), span.link) for span in cut(kept, start, end)),
        *cut(kept, end, length),
    )


def indent(lines: Iterable[Line], first: Sequence[Span], rest: Sequence[Span]) -> list[Line]:
    """The lines behind a prefix, which is decoration: `first` before the first of them, `rest` before the others."""
    indented: list[Line] = []
    prefix = tuple(span for span in first if span.text)
    gutter = sum(len(span.text) for span in prefix)
    for line in lines:
        indented.append(Line((*prefix, *line.spans), gutter + line.gutter, line.glue, line.fill))
        if len(indented) == 1:
            prefix = tuple(span for span in rest if span.text)
            gutter = sum(len(span.text) for span in prefix)
    return indented


def copied(lines: Iterable[Line]) -> str:
    """The text of lines as it is worth copying: decoration left out, what was wrapped put together again."""
    parts: list[str] = []
    for line in lines:
        text = line.text[line.gutter :].rstrip()
        if line.glue is not None and parts:
            parts[-1] += line.glue + text
        else:
            parts.append(text)
    return "\n".join(parts)

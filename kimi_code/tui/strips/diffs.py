"""A diff as lines: unified, or side by side where there is room; numbered, coloured, changed words marked."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import NamedTuple

from kimi_code.events import Diff, Hunk
from kimi_code.tui.strips.code import highlight, language_of
from kimi_code.tui.strips.line import FANCY, Line, Span, exact, restyle, width_of, wrap
from kimi_code.values import frozen

SIDE_BY_SIDE_LEAST = 150  # cells
_NUMBER_LEAST = 4
_NARROW = 50  # cells; below, no room is given away
_WORDS = re.compile(r"\w+|\s+|[^\w\s]")
# Lines less alike than this have nothing that could be called the changed words.
_ALIKE = 0.4
_COMPARED_MOST = 400  # words of a line

Spans = tuple[Span, ...]


class Place(NamedTuple):
    """A line of a file: of the old one where `mark` is '-', else of the new one. Numbers count from 1."""

    number: int
    mark: str
    text: str


@frozen
class _Row:
    """A line of one side: `mark` is ' ', '-' or '+'."""

    number: int
    mark: str
    spans: Spans
    text: str

    @property
    def place(self) -> Place:
        return Place(self.number, self.mark, self.text)


def diff_lines(diff: Diff, width: int) -> list[Line]:
    """All hunks; a binary file or a mere renaming has none and gives no lines."""
    width, digits = columns(diff, width)
    lines: list[Line] = []
    for hunk in diff.hunks:
        if lines:
            lines.append(Line((Span(" " * (digits - 1) + FANCY.more, "muted"),), digits))
        lines += hunk_lines(hunk, language_of(diff.path), width, digits)
    return lines


def columns(diff: Diff, width: int) -> tuple[int, int]:
    """The width to draw hunks of a diff with, which decides how, and that of their line numbers."""
    digits = max((len(str(_last_number(hunk))) for hunk in diff.hunks), default=0)
    if width >= _NARROW:
        digits = max(digits, _NUMBER_LEAST)
    if not (diff.added and diff.removed):
        width = min(width, SIDE_BY_SIDE_LEAST - 1)  # one side of nothing would be half a screen of nothing
    return width, digits


def hunk_lines(hunk: Hunk, language: str, width: int, digits: int = 4) -> list[Line]:
    """One hunk; `digits` is the width of the line numbers."""
    return [line for line, _ in placed_lines(hunk, language, width, digits)]


def placed_lines(hunk: Hunk, language: str, width: int, digits: int = 4) -> list[tuple[Line, Place]]:
    """The same, each with its place in the file; side by side, the new one where there is one."""
    lines: list[tuple[Line, Place]] = []
    gone = all(line[:1] == "-" for line in hunk.lines)
    for old, new in _groups(hunk, language):
        if width >= SIDE_BY_SIDE_LEAST:
            lines += _side_by_side(old, new, width, digits)
            continue
        unchanged = bool(new) and new[0].mark == " "
        for row in new if unchanged else (*old, *new):
            place = row.place
            lines += [(line, place) for line in _unified(row, width, digits, gone=gone)]
    return lines


def beginning(hunk: Hunk, most: int) -> tuple[Hunk, int]:
    """About `most` lines of a hunk, and how many it has besides; what was removed and what came for it get a half each.

    What is left out is left out from one place on, so that the numbers of what is kept stay true.
    """
    if len(hunk.lines) <= most:
        return hunk, 0
    kept: list[str] = []
    before, run, cut = "", 0, False
    for line in hunk.lines:
        mark = line[:1]
        if mark != before:
            if cut and (before, mark) != ("-", "+"):
                break
            before, run = mark, 0
        run += 1
        if run <= most // 2 and len(kept) < most:
            kept.append(line)
        else:
            cut = True
    return replace(hunk, lines=tuple(kept)), len(hunk.lines) - len(kept)


def _last_number(hunk: Hunk) -> int:
    return max(hunk.old_start, hunk.new_start) + len(hunk.lines)


def _groups(hunk: Hunk, language: str) -> Iterator[tuple[Sequence[_Row], Sequence[_Row]]]:
    """Runs of lines: unchanged ones (the same on both sides), or those removed and those put in their place."""
    old, new = iter(_coloured(hunk, " -", language)), iter(_coloured(hunk, " +", language))
    old_number, new_number = hunk.old_start, hunk.new_start
    removed: list[_Row] = []
    added: list[_Row] = []
    for line in hunk.lines:
        mark = line[:1]
        if mark == "-":
            if added:
                yield _marked(removed, added)
                removed, added = [], []
            removed.append(_Row(old_number, mark, next(old), line[1:]))
            old_number += 1
        elif mark == "+":
            added.append(_Row(new_number, mark, next(new), line[1:]))
            new_number += 1
        else:
            if removed or added:
                yield _marked(removed, added)
                removed, added = [], []
            text = line[1:]
            yield (_Row(old_number, " ", next(old), text),), (_Row(new_number, " ", next(new), text),)
            old_number, new_number = old_number + 1, new_number + 1
    if removed or added:
        yield _marked(removed, added)


def _coloured(hunk: Hunk, side: str, language: str) -> list[Spans]:
    """The lines of one side, coloured as one text, for strings and comments go over several lines."""
    text = "\n".join(
        exact(line[1:].removesuffix("\r")).replace("\n", " ") for line in hunk.lines if (line[:1] or " ") in side
    )
    return highlight(text, language)


def _marked(removed: list[_Row], added: list[_Row]) -> tuple[Sequence[_Row], Sequence[_Row]]:
    """Both sides with the words that differ marked, in lines that stand for each other as far as there are both."""
    old, new = list(removed), list(added)
    for index, (before, after) in enumerate(zip(removed, added, strict=False)):
        left, right = _words(before.spans, after.spans)
        old[index] = _Row(before.number, before.mark, left, before.text)
        new[index] = _Row(after.number, after.mark, right, after.text)
    return old, new


def _words(before: Spans, after: Spans) -> tuple[Spans, Spans]:
    from difflib import SequenceMatcher

    old = _WORDS.findall("".join(span.text for span in before))
    new = _WORDS.findall("".join(span.text for span in after))
    if len(old) > _COMPARED_MOST or len(new) > _COMPARED_MOST:
        return before, after
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    if matcher.ratio() < _ALIKE:
        return before, after
    for kind, i1, i2, j1, j2 in matcher.get_opcodes():
        if kind != "equal":
            before = restyle(before, _offset(old, i1), _offset(old, i2), "removed-word")
            after = restyle(after, _offset(new, j1), _offset(new, j2), "added-word")
    return before, after


def _offset(words: Sequence[str], index: int) -> int:
    return sum(len(word) for word in words[:index])


def _style(mark: str) -> str:
    return {"-": "removed", "+": "added"}.get(mark, "")


def _unified(row: _Row, width: int, digits: int, *, gone: bool) -> list[Line]:
    """`  118 │ + text`: numbers are those of the new file, so that they count up; removed lines have none in it, but
    where nothing else is there (`gone`) their old one."""
    style = _style(row.mark)
    wrapped = wrap(row.spans, max(width - digits - 5, 1), hard=True)
    lines: list[Line] = []
    for index, line in enumerate(wrapped):
        label = str(row.number) if index == 0 and (gone or row.mark != "-") else ""
        prefix = (
            Span(f"{label:>{digits}} {FANCY.bar} ", "muted"),
            Span(f"{row.mark if index == 0 else ' '} ", f"{style} sign".strip()),
        )
        lines.append(Line((*prefix, *_tinted(line.spans, style)), digits + 5, line.glue, style))
    return lines


def _tinted(spans: Sequence[Span], style: str) -> tuple[Span, ...]:
    if not style:
        return tuple(spans)
    return tuple(Span(span.text, f"{style} {span.style}".strip(), span.link) for span in spans)


def _side_by_side(old: Sequence[_Row], new: Sequence[_Row], width: int, digits: int) -> Iterator[tuple[Line, Place]]:
    half = (width - 3) // 2
    for left, right in zip_longest(old, new):
        either = right or left
        assert either is not None
        cells = zip_longest(_half(left, half, digits), _half(right, half, digits), fillvalue=(Span(" " * half),))
        for before, after in cells:
            yield Line((*before, Span(f" {FANCY.bar} ", "muted"), *after)), either.place


def _half(row: _Row | None, width: int, digits: int) -> list[Spans]:
    """One side's cell, every line exactly `width` cells."""
    if row is None:
        return []
    style = _style(row.mark)
    room = max(width - digits - 3, 1)
    cells: list[Spans] = []
    for index, line in enumerate(wrap(row.spans, room, hard=True)):
        label, mark = (str(row.number), row.mark) if index == 0 else ("", " ")
        spare = room - width_of(line.text)
        cells.append(
            (
                Span(f"{label:>{digits}} ", "muted"),
                Span(f"{mark} ", f"{style} sign".strip()),
                *_tinted(line.spans, style),
                *((Span(" " * spare, style),) if spare > 0 else ()),
            )
        )
    return cells

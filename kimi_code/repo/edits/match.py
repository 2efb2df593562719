"""A file's lines, what is overlooked when an old text is looked for in them, and what a new text becomes there."""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import accumulate
from typing import Literal

from kimi_code.repo.diff import changed_spans, split_lines
from kimi_code.repo.text import line_ending, with_line_ending
from kimi_code.values import frozen

Level = Literal[
    "exact",
    "line endings",
    "trailing blanks",
    "punctuation",
    "indentation",
    "line numbers",
    "blank lines",
    "escapes",
    "elision",
]

BLANKS = " \t"
_BOM = "\ufeff"

# Characters that are easily taken for ASCII ones; each stands for exactly one, so that columns stay.
_ALIKE = {
    **dict.fromkeys("‘’‚‛′", "'"),
    **dict.fromkeys("“”„‟″", '"'),
    **dict.fromkeys("‐‑‒–—―−", "-"),
    **dict.fromkeys("\u00a0\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000", " "),
}
# Substituting the few that are there takes a fifth of the time of str.translate, which looks at every character.
_ANY_ALIKE = re.compile(f"[{''.join(_ALIKE)}]")


@frozen
class Place:
    """The old text stands at [start, end) of the file, and `text` belongs there instead."""

    start: int
    end: int
    text: str


@frozen
class Found:
    """All places under the level that decided, overlapping ones too; none when no level fits.

    `obstacle` says why a new text cannot be put where the old one stands.
    """

    level: Level
    places: tuple[Place, ...] = ()
    obstacle: str = ""


Accept = Callable[[Place], bool]


def anywhere(_: Place) -> bool:
    """Accepts every place."""
    return True


class Source:
    """A file's text with its lines, split once for all levels. Only LF ends a line; a CR before it belongs to it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.raw = text.split("\n")
        self.starts = [0, *accumulate(len(line) + 1 for line in self.raw)]
        crlf = "\r\n" in text
        *ended, last = self.raw
        self.lines = [*(line.removesuffix("\r") for line in ended), last] if crlf else self.raw
        self.has_crlf = crlf
        self._folded: dict[str, Folded] = {}

    def folded(self, fold: "Fold") -> "Folded":
        """The lines under `fold`; computed once."""
        if fold.level not in self._folded:
            self._folded[fold.level] = Folded(fold.lines(self.lines))
        return self._folded[fold.level]

    @cached_property
    def stripped(self) -> "Folded":
        """The lines without their indentation."""
        return Folded([line.lstrip(BLANKS) for line in self.folded(LOOSEST).lines])

    @cached_property
    def ending(self) -> str:
        """The line ending most lines have."""
        return line_ending(self.text)

    def line_at(self, position: int) -> int:
        """The line of a position, both from 0."""
        return bisect_right(self.starts, position) - 1

    def is_line_start(self, position: int) -> bool:
        return self.starts[self.line_at(position)] == position

    def is_line_end(self, position: int) -> bool:
        """Whether only blanks and a line's end follow, or the position is a line's start."""
        line = self.line_at(position)
        return self.starts[line] == position or not self.raw[line][position - self.starts[line] :].strip(" \t\r")


@frozen
class Fold:
    """Makes lines that are the same under a level equal. Columns of what it keeps do not move."""

    level: Level
    punctuation: bool = False
    blanks: bool = False

    def line(self, line: str) -> str:
        if self.punctuation and not line.isascii():
            line = _ANY_ALIKE.sub(lambda match: _ALIKE[match[0]], line)
        return line.rstrip(BLANKS) if self.blanks else line

    def lines(self, lines: Sequence[str]) -> list[str]:
        return [self.line(line) for line in lines] if self.blanks else list(lines)


class Folded:
    """Lines as one text that is searched at the speed of C, and back from its positions to lines."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        self.text = "\n".join(lines)
        self.starts = list(accumulate((len(line) + 1 for line in lines), initial=0))

    def find(self, wanted: str) -> Iterator[int]:
        at = self.text.find(wanted)
        while at >= 0:
            yield at
            at = self.text.find(wanted, at + 1)

    def find_lines(self, wanted: str) -> Iterator[int]:
        """The numbers of the first lines where `wanted` (lines without the last LF) stands as whole lines."""
        bounded = f"\n{self.text}\n"
        at = bounded.find(f"\n{wanted}\n")
        while at >= 0:
            yield bisect_right(self.starts, at) - 1
            at = bounded.find(f"\n{wanted}\n", at + 1)

    def locate(self, position: int) -> tuple[int, int]:
        line = min(bisect_right(self.starts, position) - 1, len(self.lines) - 1)
        return line, position - self.starts[line]


ENDINGS = Fold("line endings")
FOLDS = (ENDINGS, Fold("trailing blanks", blanks=True), Fold("punctuation", punctuation=True, blanks=True))
LOOSEST = FOLDS[-1]


def plain(old: str, new: str) -> tuple[str, str]:
    """Without the byte order mark and the CRs that a file's own lines decide about."""
    if old.startswith(_BOM):
        old, new = old.removeprefix(_BOM), new.removeprefix(_BOM)
    return (old.replace("\r\n", "\n"), new.replace("\r\n", "\n")) if "\r\n" in old else (old, new)


def places_under(source: Source, old: str, new: str, fold: Fold) -> Iterator[Place]:
    if fold is ENDINGS and not source.has_crlf:
        yield from _verbatim(source, old, new)
        return
    folded = source.folded(fold)
    lines = old.split("\n")
    keys = fold.lines(lines)
    wanted = "\n".join(keys)
    if fold is not ENDINGS and not wanted.strip():  # only white space: then white space is all that matters
        return
    made: dict[str, str] = {}  # many places mostly hold the same text
    for at in folded.find(wanted):
        place = _place(source, folded, lines, keys, at, at + len(wanted))
        if place is not None:
            replaced = source.text[slice(*place)]
            if replaced not in made:
                made[replaced] = rendered(source, *place, old, new, fold=fold)
            yield Place(*place, made[replaced])
    if not made and wanted.endswith("\n") and folded.text.endswith(wanted[:-1]) and source.lines[-1]:
        place = _place(source, folded, lines[:-1], keys[:-1], len(folded.text) - len(wanted) + 1, len(folded.text))
        if place is not None:
            old, new = old.removesuffix("\n"), new.removesuffix("\n")
            yield Place(*place, rendered(source, *place, old, new, fold=fold))


def _verbatim(source: Source, old: str, new: str) -> Iterator[Place]:
    text = source.text
    start = text.find(old)
    if start < 0 and source.raw[-1] and old.endswith("\n") and len(old) > 1 and text.endswith(old[:-1]):
        # A last line without line feed is a line all the same.
        old, new = old[:-1], new.removesuffix("\n")
        start = len(text) - len(old)
    while start >= 0:
        yield Place(start, start + len(old), new)
        start = text.find(old, start + 1)


def _place(
    source: Source, folded: Folded, lines: Sequence[str], keys: Sequence[str], start: int, end: int
) -> tuple[int, int] | None:
    """The span in the file of the span [start, end) in the folded text; None where only a part of a line fits.

    Blanks that the fold took off the first or the last line of the old text must have stood for a whole line's.
    """
    first, column = folded.locate(start)
    last, width = folded.locate(end)
    if lines[0] and not keys[0] and column:
        return None
    if lines[-1] != keys[-1]:
        if width != len(folded.lines[last]):
            return None
        width = len(source.lines[last])
    return source.starts[first] + column, source.starts[last] + width


def rendered(
    source: Source,
    start: int,
    end: int,
    old: str,
    new: str,
    *,
    fold: Fold = LOOSEST,
    reindent: Callable[[str], str] = str,
) -> str:
    """What belongs at [start, end), where `old` stands under `fold`, line by line.

    Lines that `new` takes over from `old` stay as the file has them; of a line that is changed, its unchanged head and
    tail do. New lines get the line ending of the place.
    """
    replaced = source.text[start:end]
    ending = line_ending(replaced) if "\n" in replaced else source.ending
    pieces, before, after = split_lines(replaced), split_lines(old), split_lines(new)
    parts: list[str] = []
    at = 0
    for span in changed_spans(before, after):
        parts += pieces[at : span.old_start]
        fresh = [reindent(line) for line in after[span.new_start : span.new_end]]
        stood = pieces[span.old_start : span.old_end]
        if len(stood) == len(fresh):
            were = map(reindent, before[span.old_start : span.old_end])
            parts += [_carried(*line, fold, ending) for line in zip(stood, were, fresh, strict=True)]
        else:
            parts += [with_line_ending(line, ending) for line in fresh]
        at = span.old_end
    return "".join([*parts, *pieces[at:]])


def _carried(piece: str, old: str, new: str, fold: Fold, ending: str) -> str:
    """`new` with the head, the tail and the line ending that it shares with `old` as the file's `piece` has them."""
    new = with_line_ending(new, line_ending(piece) if piece.endswith("\n") else ending)
    core, was, now = (line.rstrip("\r\n").rstrip(BLANKS) for line in (piece, old, new))
    if fold.line(core) != fold.line(was):
        return new
    most = min(len(was), len(now))
    head = next((i for i in range(most) if was[i] != now[i]), most)
    tail = next((i for i in range(most - head) if was[-1 - i] != now[-1 - i]), most - head)
    blanks_kept = _blanks(old) == _blanks(new)
    return (
        core[:head]
        + now[head : len(now) - tail]
        + core[len(core) - tail :]
        + (_blanks(piece) if blanks_kept else _blanks(new))
        + new[len(new.rstrip("\r\n")) :]
    )


def _blanks(line: str) -> str:
    line = line.rstrip("\r\n")
    return line[len(line.rstrip(BLANKS)) :]

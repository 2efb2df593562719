"""Fuzzy matching of symbol names and paths: exact, prefix, word boundaries, subsequence; case never matters.

Names are kept as one text and narrowed by regular expressions, so that 50,000 of them take milliseconds.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from enum import IntEnum
from heapq import nsmallest
from itertools import accumulate, pairwise

# More matches of one or two letters are not worth looking at one by one.
_CANDIDATES_MOST = 20_000  # names
_FOUND_MOST = 4_000
_SCORED_MOST = 500  # paths


class Closeness(IntEnum):
    """How well a query fits a name; less is better."""

    SAME = 0
    SAME_LETTERS = 1
    PREFIX = 2
    WORDS = 3
    INSIDE = 4
    SUBSEQUENCE = 5


_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\W\d_a-zA-Z]+")


def words_of(name: str) -> list[str]:
    """The lower-cased words of a camel, snake or dotted name: `HTTPServer_error2` is http, server, error, 2."""
    return [word.lower() for word in _WORD.findall(name)]


def closeness(query: str, name: str) -> Closeness | None:
    """How `query` fits `name`; None when its letters are not in it in that order."""
    if query == name:
        return Closeness.SAME
    wanted, lowered = query.lower(), name.lower()
    if wanted == lowered:
        return Closeness.SAME_LETTERS
    if lowered.startswith(wanted):
        return Closeness.PREFIX
    if not _has_letters(_letters(wanted), lowered):
        return None
    if _follows_words(_letters(wanted), words_of(name)):
        return Closeness.WORDS
    return Closeness.INSIDE if wanted in lowered else Closeness.SUBSEQUENCE


def _letters(query: str) -> str:
    """Without underscores: `query_set` fits `getQuerySet`."""
    return query.replace("_", "") or query


def _has_letters(wanted: str, text: str) -> bool:
    offset = -1
    for letter in wanted:
        offset = text.find(letter, offset + 1)
        if offset < 0:
            return False
    return True


def _follows_words(wanted: str, words: Sequence[str]) -> bool:
    """Whether `wanted` is made of beginnings of some of the words, in their order: `gqs` and `queset` of get_query_set.

    `reached` holds how far into `wanted` the words so far can have led.
    """
    reached = {0}
    for word in words:
        further: set[int] = set()
        for start in reached:
            length = 0
            while length < len(word) and start + length < len(wanted) and word[length] == wanted[start + length]:
                length += 1
                further.add(start + length)
        reached |= further
    return len(wanted) in reached


def _subsequence(query: str) -> re.Pattern[str]:
    """A line that holds the letters in this order; no part of it can be matched in two ways, so it never backtracks."""
    gaps = "".join(f"{re.escape(a)}[^\\n{re.escape(b)}]*" for a, b in pairwise(query))
    return re.compile(f"{gaps}{re.escape(query[-1])}[^\\n]*")


class Lines:
    """Many names or paths as one lower-cased text; a match is the number of a name in the order given."""

    def __init__(self, names: Iterable[str]) -> None:
        # A newline in a file's name would be two lines; such a name still has one line, with a blank in it.
        self.names = list(names)
        lowered = [_one_line(name) for name in self.names]
        self._text = "".join(f"\n{name}" for name in lowered)
        self._starts = list(accumulate((len(name) + 1 for name in lowered), initial=1))
        self._last: tuple[str, list[int]] = ("", [])

    def __len__(self) -> int:
        return len(self.names)

    def _line(self, offset: int) -> int:
        return bisect_right(self._starts, offset) - 1

    def containing(self, query: str) -> list[int]:
        """The names with `query` in them as it is; a few thousand at most."""
        return list(dict.fromkeys(self._find(_one_line(query))))

    def named(self, query: str) -> list[int]:
        """The paths whose last part begins with `query`; a few thousand at most."""
        wanted = _one_line(query)
        found = dict.fromkeys((*self._find(f"/{wanted}"), *self._find(f"\n{wanted}")))
        return [line for line in found if _one_line(self.names[line]).rpartition("/")[2].startswith(wanted)]

    def _find(self, wanted: str) -> Iterator[int]:
        offset = self._text.find(wanted)
        for _ in range(_FOUND_MOST):
            if offset < 0:
                return
            yield self._line(offset + len(wanted) - 1)
            offset = self._text.find(wanted, offset + len(wanted))

    def subsequence(self, query: str) -> list[int]:
        """The names with the letters of `query` in that order. Typing on narrows what was found before."""
        wanted = _one_line(query)
        before, candidates = self._last
        if before and wanted.startswith(before):
            matches = _subsequence(wanted).search
            found = [line for line in candidates if matches(_one_line(self.names[line]))]
        else:
            found = [self._line(match.start()) for match in _subsequence(wanted).finditer(self._text)]
        self._last = (wanted, found)
        return found


def _one_line(name: str) -> str:
    lowered = name.lower()
    # A few letters are longer in lower case (İ); what counts here is only that text and lengths agree.
    return lowered.replace("\n", " ") if "\n" in lowered else lowered


def match_names(query: str, names: Lines) -> list[tuple[Closeness, int]]:
    """All names that fit a non-empty query, with how well, in no order."""
    query = query.strip()
    if not query:
        return []
    found: list[tuple[Closeness, int]] = []
    for line in names.subsequence(_letters(query))[:_CANDIDATES_MOST]:
        fit = closeness(query, names.names[line])
        if fit is not None:
            found.append((fit, line))
    return found


def match_paths(query: str, paths: Lines, limit: int = 50) -> list[str]:
    """The paths that fit best: by the file's name before folders, whole before parts, short before long.

    Blanks separate parts that must all fit, in any order. An empty query fits all.
    """
    parts = query.replace("\\", "/").split()
    if not parts:
        return nsmallest(limit, paths.names, key=lambda path: (path.count("/"), path))
    scored: list[tuple[int, int, str]] = []
    for line in _path_candidates(parts, paths, limit):
        path = paths.names[line]
        fits = [_path_fit(part, path) for part in parts]
        if None not in fits:
            scored.append((sum(fit or 0 for fit in fits), len(path), path))
    return [path for _, _, path in nsmallest(limit, scored)]


def _path_candidates(parts: Sequence[str], paths: Lines, limit: int) -> list[int]:
    """Narrow by the longest part, the strictest way that leaves enough: all that follow are worse."""
    longest = max(parts, key=len)
    found: list[int] = []
    for narrowed in (paths.named, paths.containing, paths.subsequence):
        found = narrowed(longest)
        if len(parts) == 1 and len(found) >= limit:
            break
    return found if len(found) <= _SCORED_MOST else nsmallest(_SCORED_MOST, found, key=lambda n: len(paths.names[n]))


def _path_fit(part: str, path: str) -> int | None:
    """Less is better; None when the letters are not there in that order."""
    part, path = part.lower(), path.lower()
    name = path.rpartition("/")[2]
    if part in (path, name):
        return 0
    if part in path:
        return 1 if name.startswith(f"{part}.") else 2 if name.startswith(part) else 4 if part in name else 5
    if _has_letters(part, name):
        return 3 if _follows_words(part, words_of(name)) else 7
    return (6 if _follows_words(part, words_of(path)) else 8) if _has_letters(part, path) else None

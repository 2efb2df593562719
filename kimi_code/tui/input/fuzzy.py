"""Fuzzy choice among many strings, fast enough for every key press: 50,000 paths in a few milliseconds."""

import heapq
import re
from collections.abc import Iterable, Sequence

_SCORED_MOST = 3_000


class Choices:
    """Strings to choose from; kept short ones first, as those are meant more often."""

    def __init__(self, candidates: Iterable[str]) -> None:
        self._all = sorted(candidates, key=lambda text: (len(text), text))
        self._lower = [text.lower() for text in self._all]
        self._last: tuple[str, list[int]] = ("", list(range(len(self._all))))

    def __len__(self) -> int:
        return len(self._all)

    def best(self, query: str, limit: int = 50) -> list[str]:
        """Those that hold the letters of `query` in their order, the best first."""
        query = query.lower().replace(" ", "")
        if not query:
            return self._all[:limit]
        matches = re.compile(".*?".join(map(re.escape, query)), re.DOTALL).search
        before, indices = self._last
        # One more letter matches only what matched so far.
        pool = indices if before and query.startswith(before) else range(len(self._all))
        found = [index for index in pool if matches(self._lower[index])]
        self._last = (query, found)
        scored = heapq.nsmallest(limit, found[:_SCORED_MOST], key=lambda index: _cost(query, self._lower[index]))
        return [self._all[index] for index in scored]


def _cost(query: str, text: str) -> tuple[int, int, int]:
    """Smaller is better: a name that begins with the query, has it in one piece, at a word's start; then the span."""
    name = text.rpartition("/")[2]
    if name.startswith(query):
        return (0, len(text), 0)
    at = text.find(query)
    if at >= 0:
        word_start = at == 0 or not text[at - 1].isalnum()
        return (1 if query in name else 2, 0 if word_start else 1, len(text))
    return (3, _span(query, text), len(text))


def _span(query: str, text: str) -> int:
    end = len(text)
    # From the end: the last letters of a path say more than its first.
    for letter in reversed(query):
        end = text.rfind(letter, 0, end)
    last, at = end, end
    for letter in query:
        at = text.find(letter, last)
        last = at + 1
    return at - end


def best(query: str, candidates: Sequence[str], limit: int = 50) -> list[str]:
    """As Choices, for a handful."""
    return Choices(candidates).best(query, limit)

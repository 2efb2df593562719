"""The lines of a file that are most like an old text that is not in it: only ever shown, never replaced."""

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence

from kimi_code.repo.edits.match import Source

_SHOWN_MOST = 12  # lines
_LINE_MOST = 200  # characters of a line that are shown and compared
_WORDS_MOST = 40
_HITS_MOST = 200  # places looked at for one word
_COMPARED_MOST = 4  # windows compared in detail

_WORD = re.compile(r"[^\W_]{2,}")


def describe_nearest(source: Source, old: str, name: str) -> str | None:
    """A listing of the nearest lines, marked where they differ; None when nothing is like `old`, called `name`."""
    wanted = old.replace("\r\n", "\n").removesuffix("\n").split("\n")
    scored = [(_likeness(source.lines, wanted, start), start) for start in _candidates(source, wanted)]
    score, start = max(scored, key=lambda found: (found[0], -found[1]), default=(0.0, 0))
    if score < 0.5:
        return None
    shown = source.lines[start : start + min(len(wanted), _SHOWN_MOST)]
    listing = list(_listing(shown, wanted, start + 1, name))
    if len(wanted) > len(shown):
        listing.append(f"  ({len(wanted) - len(shown)} more lines)")
    if [_bare(line) for line in source.lines[start : start + len(wanted)]] == [_bare(line) for line in wanted]:
        listing.append("They differ in white space only: copy them exactly, without the number and the tab.")
    return "\n".join(listing)


def _listing(lines: Sequence[str], wanted: Sequence[str], first: int, name: str) -> Iterator[str]:
    """Numbered lines as Read shows them; below the first that differs, a mark at the difference."""
    marked = False
    for number, (line, want) in enumerate(zip(lines, wanted, strict=False), first):
        yield f"{' ' if line == want else '>'} {number}\t{line[:_LINE_MOST]}"
        if line != want and not marked:
            marked = True
            column = _common_head(line, want)
            if column < _LINE_MOST:
                under = "".join("\t" if char == "\t" else " " for char in line[:column])
                yield f"  {' ' * len(str(number))}\t{under}^ here {name} has {_excerpt(want[column:])}"


def _excerpt(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:40]}...") if text else "no more in this line"


def _common_head(one: str, other: str) -> int:
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _bare(line: str) -> str:
    return "".join(line.split())


def _candidates(source: Source, wanted: Sequence[str]) -> list[int]:
    """First lines of the windows that share the rarest words with `wanted`, best first.

    A word is looked for as a part of the text, by the speed of str.find: for each, bounded work.
    """
    votes: defaultdict[int, float] = defaultdict(float)
    for word, offset in _words(wanted):
        hits = list(_hits(source.text, word))
        for at in hits:
            votes[max(bisect_right(source.starts, at) - 1 - offset, 0)] += len(word) / len(hits)
    # A line more or less in between splits the votes of one place over neighbours.
    together = {
        start: score + 0.5 * (votes.get(start - 1, 0) + votes.get(start + 1, 0)) for start, score in votes.items()
    }
    return sorted(together, key=lambda start: (-together[start], start))[:_COMPARED_MOST]


def _words(wanted: Sequence[str]) -> list[tuple[str, int]]:
    """The longest words of the old text, each with the line it is in, and the halves of long ones: a slip is in one."""
    found: dict[str, int] = {}
    for offset, line in enumerate(wanted):
        for word in _WORD.findall(line[:_LINE_MOST]):
            found.setdefault(word, offset)
    longest = sorted(found.items(), key=lambda item: -len(item[0]))[:_WORDS_MOST]
    halves = [
        (half, offset)
        for word, offset in longest[: _WORDS_MOST // 4]
        if len(word) >= 6
        for half in (word[: len(word) // 2], word[len(word) // 2 :])
    ]
    return longest + halves


def _hits(text: str, word: str) -> Iterator[int]:
    at = text.find(word)
    for _ in range(_HITS_MOST):
        if at < 0:
            return
        yield at
        at = text.find(word, at + len(word))


def _likeness(lines: Sequence[str], wanted: Sequence[str], start: int) -> float:
    """0 to 1: how much the window at `start` is like `wanted`, by its first lines."""
    from difflib import SequenceMatcher

    compared = min(len(wanted), _SHOWN_MOST)
    total = weight = 0.0
    for line, want in zip(lines[start : start + compared], wanted, strict=False):
        line, want = line[:_LINE_MOST], want[:_LINE_MOST]
        ratio = 1.0 if line == want else SequenceMatcher(None, line, want, autojunk=False).quick_ratio()
        size = len(want.strip()) + 1
        total, weight = total + ratio * size, weight + size
    beyond = wanted[max(len(lines) - start, 0) : compared]  # what the end of the file leaves no line for
    weight += sum(len(want.strip()) + 1 for want in beyond)
    return total / weight if weight else 0.0

"""Two texts to hunks, and some of the hunks back to a text. Pure.

Unique common lines first, the gaps between them compared in detail.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from hashlib import blake2b

from kimi_code.events import Change, Diff, Hunk
from kimi_code.values import frozen

_CONTEXT = 3
# Above this many pairs of lines, a gap without a unique common line is shown as replaced whole.
_COMPARED_MOST = 1_000_000


@frozen
class Span:
    """Old lines [old_start, old_end) became new lines [new_start, new_end); all count from 0."""

    old_start: int
    old_end: int
    new_start: int
    new_end: int


@frozen
class Comparison:
    """What differs between two texts of a file, None where there is no file; `spans` are of the lines of both."""

    path: str
    old: str | None
    new: str | None
    before: Sequence[str]
    after: Sequence[str]
    spans: Sequence[Span]

    @property
    def change(self) -> Change:
        return "created" if self.old is None else "deleted" if self.new is None else "modified"

    def diff(self) -> Diff:
        """The change as data, every hunk with its id."""
        return Diff(
            self.path,
            self.change,
            added=sum(span.new_end - span.new_start for span in self.spans),
            removed=sum(span.old_end - span.old_start for span in self.spans),
            hunks=tuple(hunk for hunk, _ in self._pieces()),
            id=file_id(self.path),
        )

    def pick(self, ids: Collection[str]) -> str | None:
        """The text when only what `ids` name is done (hunks, or the whole diff); byte for byte old or new elsewhere."""
        if file_id(self.path) in ids:
            return self.new
        picked = [span for hunk, group in self._pieces() for span in _wanted(hunk, group, ids)]
        if self.change != "modified":  # one hunk, or none: there is no half of a file that comes or goes
            return self.new if picked else self.old
        parts: list[str] = []
        at = 0
        for span in picked:
            parts += [*self.before[at : span.old_start], *self.after[span.new_start : span.new_end]]
            at = span.old_end
        return "".join([*parts, *self.before[at:]])

    def _pieces(self) -> Iterator[tuple[Hunk, Sequence[Span]]]:
        taken: Counter[str] = Counter()
        for group in _groups(self.spans):
            hunk = _hunk(self.before, self.after, group)
            id = _hunk_id(self.path, self.before, self.after, group)
            taken[id] += 1
            yield replace(hunk, id=f"{id}-{taken[id]}" if taken[id] > 1 else id), group


def _wanted(hunk: Hunk, group: Sequence[Span], ids: Collection[str]) -> Sequence[Span]:
    if hunk.id in ids:
        return group
    return [span for number, span in enumerate(group, 1) if _part_id(hunk, number) in ids]


def _part_id(hunk: Hunk, number: int) -> str:
    return f"{hunk.id}.{number}"


def parts(hunk: Hunk) -> tuple[Hunk, ...]:
    """The hunk as one hunk for each run of changed lines, with ids that `pick` takes; () where it cannot be split."""
    runs = _runs(hunk.lines)
    if len(runs) < 2 or not hunk.id:
        return ()
    found: list[Hunk] = []
    at, old, new = 0, hunk.old_start, hunk.new_start
    befores, afters = (0, *(end for _, end in runs)), (*(start for start, _ in runs[1:]), len(hunk.lines))
    for number, ((start, end), before, after) in enumerate(zip(runs, befores, afters, strict=False), 1):
        # The context reaches neither the run before nor the one after.
        first, last = max(before, start - _CONTEXT), min(after, end + _CONTEXT)
        skipped, at = hunk.lines[at:first], first
        old += sum(line[:1] != "+" for line in skipped)
        new += sum(line[:1] != "-" for line in skipped)
        found.append(Hunk(old, new, hunk.lines[first:last], _part_id(hunk, number)))
    return tuple(found)


def _runs(lines: Sequence[str]) -> list[tuple[int, int]]:
    """Where each run of changed lines begins and ends."""
    runs: list[tuple[int, int]] = []
    for index, line in enumerate(lines):
        if line[:1] not in "+-":
            continue
        if runs and runs[-1][1] == index:
            runs[-1] = runs[-1][0], index + 1
        else:
            runs.append((index, index + 1))
    return runs


def compare(path: str, old: str | None, new: str | None) -> Comparison:
    """What differs between two texts of any but the largest size; None where there is no file."""
    before, after = split_lines(old or ""), split_lines(new or "")
    return Comparison(path, old, new, before, after, changed_spans(before, after))


def make_diff(path: str, old: str | None, new: str | None) -> Diff:
    """The change of one file from `old` to `new`; None where there is no file."""
    return compare(path, old, new).diff()


def file_id(path: str, detail: str = "") -> str:
    """The id of a whole diff; `detail` tells apart several of one file."""
    return _digest((path, detail))


def _hunk_id(path: str, before: Sequence[str], after: Sequence[str], group: Sequence[Span]) -> str:
    # The place in the old text tells equal hunks apart, and does not move when others are left out.
    parts = [path, str(group[0].old_start)]
    for span in group:
        parts += ["-", *before[span.old_start : span.old_end], "+", *after[span.new_start : span.new_end]]
    return _digest(parts)


def _digest(parts: Sequence[str]) -> str:
    return blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()


def split_lines(text: str) -> list[str]:
    """Lines with their endings, so that a change of an ending alone is a change; only LF ends a line."""
    lines = text.split("\n")
    last = lines.pop()
    return [line + "\n" for line in lines] + ([last] if last else [])


def changed_spans(before: Sequence[str], after: Sequence[str]) -> list[Span]:
    """What differs, in order and never touching: the least for small changes, a good answer for large ones."""
    spans: list[Span] = []
    for span in _between_anchors(before, after, differing(before, after)):
        if spans and spans[-1].old_end == span.old_start and spans[-1].new_end == span.new_start:
            spans[-1] = Span(spans[-1].old_start, span.old_end, spans[-1].new_start, span.new_end)
        else:
            spans.append(span)
    return spans


def differing(before: Sequence[str], after: Sequence[str]) -> Span:
    """All but the lines that both have in common at the beginning and at the end."""
    head = _common_head(before, after)
    most = min(len(before), len(after)) - head
    tail = 0
    while tail < most and before[-1 - tail] == after[-1 - tail]:
        tail += 1
    return Span(head, len(before) - tail, head, len(after) - tail)


def _common_head(before: Sequence[str], after: Sequence[str]) -> int:
    for index, (old, new) in enumerate(zip(before, after, strict=False)):
        if old != new:
            return index
    return min(len(before), len(after))


def _between_anchors(before: Sequence[str], after: Sequence[str], whole: Span) -> Iterator[Span]:
    """Patience diff: lines that both sides have exactly once, in the same order, hold; gaps go into detail."""
    old, new = whole.old_start, whole.new_start
    for i, j in [*_anchors(before, after, whole), (whole.old_end, whole.new_end)]:
        if i > old or j > new:
            yield from _in_detail(before, after, Span(old, i, new, j))
        old, new = i + 1, j + 1


def _anchors(before: Sequence[str], after: Sequence[str], whole: Span) -> list[tuple[int, int]]:
    counts_old = Counter(before[whole.old_start : whole.old_end])
    counts_new = Counter(after[whole.new_start : whole.new_end])
    place = {after[j]: j for j in range(whole.new_start, whole.new_end) if counts_new[after[j]] == 1}
    pairs = [
        (i, place[before[i]])
        for i in range(whole.old_start, whole.old_end)
        if counts_old[before[i]] == 1 and before[i] in place
    ]
    return _longest_rising(pairs)


def _longest_rising(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The longest run of pairs (not necessarily neighbours) whose second members rise; by patience sorting."""
    tops: list[int] = []
    at: list[int] = []
    before: list[int] = []
    for index, (_, j) in enumerate(pairs):
        pile = bisect_left(tops, j)
        before.append(at[pile - 1] if pile else -1)
        if pile == len(tops):
            tops.append(j)
            at.append(index)
        else:
            tops[pile], at[pile] = j, index
    chain: list[tuple[int, int]] = []
    index = at[-1] if at else -1
    while index >= 0:
        chain.append(pairs[index])
        index = before[index]
    return chain[::-1]


def _in_detail(before: Sequence[str], after: Sequence[str], gap: Span) -> Iterator[Span]:
    from difflib import SequenceMatcher

    old, new = before[gap.old_start : gap.old_end], after[gap.new_start : gap.new_end]
    if not old or not new or len(old) * len(new) > _COMPARED_MOST:
        yield gap
        return
    for tag, i1, i2, j1, j2 in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag != "equal":
            yield Span(gap.old_start + i1, gap.old_start + i2, gap.new_start + j1, gap.new_start + j2)


def _groups(spans: Sequence[Span]) -> Iterator[Sequence[Span]]:
    """Spans so near to each other that they are shown, and picked, as one hunk."""
    group: list[Span] = []
    for span in spans:
        if group and span.old_start - group[-1].old_end > 2 * _CONTEXT:
            yield group
            group = []
        group.append(span)
    if group:
        yield group


def _hunk(before: Sequence[str], after: Sequence[str], spans: Sequence[Span]) -> Hunk:
    lead = min(_CONTEXT, spans[0].old_start)
    at = spans[0].old_start - lead
    lines: list[str] = []
    for span in spans:
        lines += _marked(" ", before[at : span.old_start])
        lines += _marked("-", before[span.old_start : span.old_end])
        lines += _marked("+", after[span.new_start : span.new_end])
        at = span.old_end
    lines += _marked(" ", before[at : at + _CONTEXT])
    return Hunk(spans[0].old_start - lead + 1, spans[0].new_start - lead + 1, tuple(lines))


def _marked(mark: str, lines: Sequence[str]) -> list[str]:
    return [mark + line.rstrip("\r\n") for line in lines]

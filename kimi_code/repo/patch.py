"""Edits as pure functions text -> text. PatchError says why one does not fit, with the nearest real lines."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kimi_code.errors import PatchError
from kimi_code.repo.text import line_ending, with_line_ending

_LF = "\n"


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace `old` by `new`: the only place where it stands, or all of them."""

    old: str
    new: str
    replace_all: bool = False


@dataclass(frozen=True, slots=True)
class Patched:
    """The text after all edits, and how many places were replaced."""

    text: str
    replaced: int


def apply(text: str, edits: Sequence[Edit]) -> Patched:
    """Apply `edits` one after the other, each to the result of those before: all of them, or PatchError and none.

    Line endings do not count when `old` is looked for, and the new lines get those of the place. An `old` that ends
    in a line feed also fits a last line that has none. Everything outside the replaced places stays as it is.
    """
    replaced = 0
    for number, edit in enumerate(edits, 1):
        try:
            text, places = _apply_one(text, edit)
        except PatchError as error:
            where = f"Edit {number} of {len(edits)} (none was applied): " if len(edits) > 1 else ""
            raise PatchError(where + error.message) from None
        replaced += places
    return Patched(text, replaced)


def _apply_one(text: str, edit: Edit) -> tuple[str, int]:
    if not edit.old:
        raise PatchError(
            "old_string is empty. Copy the lines to replace from the file, or use Write for the whole file."
        )
    if _unified(edit.old) == _unified(edit.new):
        raise PatchError("old_string and new_string are the same, so there is nothing to do.")
    spans, new = _find(text, edit)
    if not spans:
        raise PatchError(_why_not_found(text, edit))
    if len(spans) > 1 and not edit.replace_all:
        raise PatchError(_found_often(text, spans))
    if len(spans) > 1:
        spans = list(_apart(spans))
    parts: list[str] = []
    at = 0
    for start, end in spans:
        parts += [text[at:start], with_line_ending(new, _ending_at(text, start, end))]
        at = end
    return "".join([*parts, text[at:]]), len(spans)


def _find(text: str, edit: Edit) -> tuple[list[tuple[int, int]], str]:
    """All places of the old text as [start, end), overlapping ones too, and the new text that belongs there."""
    old = _unified(edit.old)
    new = _unified(edit.new) if old != edit.old else edit.new
    spans = list(_places(text, old))
    if not spans and old.endswith("\n") and len(old) > 1 and not text.endswith("\n"):
        last = [(start, end) for start, end in _places(text, old[:-1]) if end == len(text)]
        return last, new.removesuffix("\n").removesuffix("\r")
    return spans, new


def _unified(text: str) -> str:
    return text.replace("\r\n", _LF)


def _places(text: str, old: str) -> Iterator[tuple[int, int]]:
    """Where `old`, whose lines end in LF, stands in `text`, whatever its lines end in."""
    if "\r\n" not in text or "\n" not in old:
        start = text.find(old)
        while start >= 0:
            yield start, start + len(old)
            start = text.find(old, start + 1)
        return
    ending = r"(?:\r\n|(?<!\r)\n)"
    for match in re.finditer(f"(?=({ending.join(map(re.escape, old.split(_LF)))}))", text):  # overlapping places too
        yield match.start(1), match.end(1)


def _apart(spans: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Those of `spans` that do not overlap an earlier one."""
    free = 0
    for start, end in spans:
        if start >= free:
            yield start, end
            free = end


def _ending_at(text: str, start: int, end: int) -> str:
    """The line ending that new lines get: that of the replaced lines, else the file's."""
    replaced = text[start:end]
    return line_ending(replaced if "\n" in replaced else text)


# --- Why an edit does not fit --------------------------------------------------------------------------------------

_NUMBERED = re.compile(r"\s*\d+\t")
_LISTED_MOST = 10
_SHOWN_MOST = 12
_LINE_MOST = 200


def _found_often(text: str, spans: Sequence[tuple[int, int]]) -> str:
    lines = ", ".join(str(_line_at(text, start)) for start, _ in spans[:_LISTED_MOST])
    more = f" and {len(spans) - _LISTED_MOST} more" if len(spans) > _LISTED_MOST else ""
    return (
        f"old_string is there {len(spans)} times, at lines {lines}{more}. "
        "Add lines around it until it is there once, or set replace_all."
    )


def _why_not_found(text: str, edit: Edit) -> str:
    old, new = _unified(edit.old), _unified(edit.new)
    if new.strip() and (there := next(_places(text, new), None)):
        return f"Already applied: old_string is not in the file, and new_string is, at line {_line_at(text, there[0])}."
    lines = old.rstrip("\n").split("\n")
    if all(_NUMBERED.match(line) for line in lines):
        return "old_string has the line numbers of Read's listing in it. Leave out each number and the tab after it."
    nearest = _nearest(_unified(text).split(_LF), lines)
    if nearest is None:
        return "old_string is not in the file, and nothing like it is. Read the file again."
    return f"old_string is not in the file. The nearest lines are ('>' marks those that differ):\n{nearest}"


def _line_at(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1


def _nearest(lines: Sequence[str], old: Sequence[str]) -> str | None:
    """The listing of the window of `lines` that is most like `old`, None when nothing is."""
    start, score = max(
        ((start, _likeness(lines, old, start)) for start in _candidates(lines, old)),
        key=lambda found: found[1],
        default=(0, 0.0),
    )
    if score < 0.5:
        return None
    shown = min(len(old), _SHOWN_MOST)
    listing = [
        f"{' ' if line == wanted else '>'} {number}\t{line[:_LINE_MOST]}"
        for number, (line, wanted) in enumerate(zip(lines[start : start + shown], old, strict=False), start + 1)
    ]
    if len(old) > shown:
        listing.append(f"  ({len(old) - shown} more lines)")
    if all(_bare(a) == _bare(b) for a, b in zip(lines[start : start + len(old)], old, strict=False)):
        listing.append("They differ in white space only: copy them exactly, without the number and the tab.")
    return "\n".join(listing)


def _bare(line: str) -> str:
    return "".join(line.split())


def _candidates(lines: Sequence[str], old: Sequence[str]) -> list[int]:
    """Where a window may start: where most lines are the same but for white space, else where one line is much alike.

    Bounded: at most 20 windows by votes, else one pass over the first 20,000 lines with cheap tests first.
    """
    from collections import Counter

    wanted: dict[str, list[int]] = {}
    for offset, line in enumerate(old):
        if bare := _bare(line):
            wanted.setdefault(bare, []).append(offset)
    votes: Counter[int] = Counter()
    for index, line in enumerate(lines):
        for offset in wanted.get(_bare(line), ())[:5]:
            votes[max(index - offset, 0)] += 1
    if votes:
        return [start for start, _ in votes.most_common(20)]
    return _alike(lines, old)


def _alike(lines: Sequence[str], old: Sequence[str]) -> list[int]:
    from difflib import SequenceMatcher

    offset, longest = max(enumerate(old), key=lambda numbered: len(numbered[1].strip()))
    matcher = SequenceMatcher(None, b=longest.strip()[:_LINE_MOST], autojunk=False)
    found: list[tuple[float, int]] = []
    costly = 500
    for index, line in enumerate(lines[:20_000]):
        matcher.set_seq1(line.strip()[:_LINE_MOST])
        if matcher.real_quick_ratio() > 0.6 and matcher.quick_ratio() > 0.6:
            found.append((matcher.ratio(), max(index - offset, 0)))
            costly -= 1
            if not costly:
                break
    return [start for _, start in sorted(found, reverse=True)[:5]]


def _likeness(lines: Sequence[str], old: Sequence[str], start: int) -> float:
    """0 to 1: how much the window at `start` is like `old`, by its first lines."""
    from difflib import SequenceMatcher

    compared = min(len(old), _SHOWN_MOST)
    window = lines[start : start + compared]
    ratios = [
        1.0 if a == b else SequenceMatcher(None, a[:_LINE_MOST], b[:_LINE_MOST], autojunk=False).ratio()
        for a, b in zip(window, old, strict=False)
    ]
    return sum(ratios) / compared

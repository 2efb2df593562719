"""Vim's keys for a text and a caret, as far as a prompt needs them. Pure: what a key does is a value."""

import re
from dataclasses import dataclass
from typing import Literal

from kimi_code.values import frozen

Mode = Literal["insert", "normal"]

_WORD = re.compile(r"\w+|[^\w\s]+")
_OPERATORS = "dcy"
_COUNT_MOST = 999


@frozen
class Pressed:
    """What a key made of the text and the caret's offset; `undo` says that the last change is to be taken back."""

    text: str
    at: int
    undo: bool = False


@dataclass(slots=True)
class Vim:
    """The mode, what was yanked, and the beginning of a command that is not complete yet."""

    mode: Mode = "insert"
    _yanked: str = ""
    _lines: bool = False  # whether what was yanked is whole lines
    _pending: str = ""
    _count: str = ""

    def press(self, key: str, text: str, at: int) -> Pressed | None:
        """What `key` (a character, or "escape") does at offset `at`; None where it is not Vim's."""
        if self.mode == "insert":
            if key != "escape":
                return None
            self.mode = "normal"
            return Pressed(text, max(at - 1, _start(text, at)))
        if key == "escape":
            unfinished, self._pending, self._count = bool(self._pending or self._count), "", ""
            return Pressed(text, at) if unfinished else None
        if len(key) != 1:
            return None
        if key.isdigit() and (key != "0" or self._count):
            self._count += key
            return Pressed(text, at)
        return self._command(key, text, min(at, len(text)))

    def _command(self, key: str, text: str, at: int) -> Pressed | None:
        if key in _OPERATORS + "g" and not self._pending:
            self._pending = key
            return Pressed(text, at)
        operator, self._pending = self._pending, ""
        count, self._count = min(int(self._count or 1), _COUNT_MOST), ""
        if operator == "g":
            return Pressed(text, 0) if key == "g" else Pressed(text, at)
        if operator:
            return self._operate(operator, key, count, text, at)
        to = _motion(key, text, at, count)
        if to is not None:
            return Pressed(text, _on_character(text, to))
        if key in "jk":
            return _vertical(text, at, count if key == "j" else -count)
        return self._edit(key, count, text, at)

    def _edit(self, key: str, count: int, text: str, at: int) -> Pressed:
        start, end = _start(text, at), _end(text, at)
        match key:
            case "i":
                return self._insert(text, at)
            case "a":
                return self._insert(text, min(at + 1, end))
            case "I":
                return self._insert(text, _first_word(text, at))
            case "A":
                return self._insert(text, end)
            case "o":
                return self._insert(f"{text[:end]}\n{text[end:]}", end + 1)
            case "O":
                return self._insert(f"{text[:start]}\n{text[start:]}", start)
            case "x":
                return self._cut("d", text, at, min(at + count, end))
            case "X":
                return self._cut("d", text, max(at - count, start), at)
            case "D":
                return self._cut("d", text, at, end)
            case "C":
                return self._cut("c", text, at, end)
            case "p" | "P":
                return self._put(text, at, after=key == "p", count=count)
            case "u":
                return Pressed(text, at, undo=True)
            case _:
                return Pressed(text, at)  # not one of ours: nothing happens, and nothing is typed

    def _operate(self, operator: str, key: str, count: int, text: str, at: int) -> Pressed:
        if key == operator:
            return self._cut_lines(operator, text, at, count)
        if operator == "c" and key == "w":
            key = "e"  # as Vim has it: the space after the word stays
        to = _motion(key, text, at, count)
        if to is None:
            return Pressed(text, at)
        if key == "e":
            to += 1
        if key == "w":
            # The last word's deletion ends with its line.
            to = min(to, _end(text, at)) if at < _end(text, at) else to
        return self._cut(operator, text, min(at, to), max(at, to))

    def _cut(self, operator: str, text: str, start: int, end: int) -> Pressed:
        end = min(end, len(text))
        if start < end:
            self._yanked, self._lines = text[start:end], False
        if operator == "y":
            return Pressed(text, start)
        text = text[:start] + text[end:]
        return self._insert(text, start) if operator == "c" else Pressed(text, _on_character(text, start))

    def _cut_lines(self, operator: str, text: str, at: int, count: int) -> Pressed:
        start, end = _start(text, at), _end(text, at)
        for _ in range(count - 1):
            if end < len(text):
                end = _end(text, end + 1)
        self._yanked, self._lines = text[start:end], True
        if operator == "y":
            return Pressed(text, at)
        if operator == "c":
            return self._insert(text[:start] + text[end:], start)
        rest = text[:start] + text[end + 1 :] if end < len(text) else text[: max(start - 1, 0)]
        return Pressed(rest, _first_word(rest, min(start, len(rest))))

    def _put(self, text: str, at: int, *, after: bool, count: int) -> Pressed:
        if not self._yanked:
            return Pressed(text, at)
        if self._lines:
            lines = "\n".join([self._yanked] * count)
            if after:
                end = _end(text, at)
                return Pressed(f"{text[:end]}\n{lines}{text[end:]}", end + 1)
            start = _start(text, at)
            return Pressed(f"{text[:start]}{lines}\n{text[start:]}", start)
        piece = self._yanked * count
        place = min(at + after, _end(text, at))
        text = text[:place] + piece + text[place:]
        return Pressed(text, _on_character(text, place + len(piece) - 1))

    def _insert(self, text: str, at: int) -> Pressed:
        self.mode = "insert"
        return Pressed(text, at)


def offset_of(text: str, location: tuple[int, int]) -> int:
    """The offset of a row and column."""
    row, column = location
    return sum(len(line) + 1 for line in text.split("\n")[:row]) + column


def location_of(text: str, at: int) -> tuple[int, int]:
    """The row and column of an offset."""
    return text.count("\n", 0, at), at - _start(text, at)


def _start(text: str, at: int) -> int:
    return text.rfind("\n", 0, at) + 1


def _end(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end


def _first_word(text: str, at: int) -> int:
    start, end = _start(text, at), _end(text, at)
    return start + len(text[start:end]) - len(text[start:end].lstrip())


def _on_character(text: str, at: int) -> int:
    """In normal mode the caret stands on a character, not behind the last one of a line."""
    return max(min(at, _end(text, min(at, len(text))) - 1), _start(text, min(at, len(text))))


def _motion(key: str, text: str, at: int, count: int) -> int | None:
    start, end = _start(text, at), _end(text, at)
    match key:
        case "h":
            return max(at - count, start)
        case "l" | " ":
            return min(at + count, end)
        case "0":
            return start
        case "^":
            return _first_word(text, at)
        case "$":
            return end
        case "G":
            return len(text)
        case "w":
            starts = [word.start() for word in _WORD.finditer(text) if word.start() > at]
            return starts[count - 1] if count <= len(starts) else len(text)
        case "b":
            starts = [word.start() for word in _WORD.finditer(text) if word.start() < at]
            return starts[-count] if count <= len(starts) else 0
        case "e":
            ends = [word.end() - 1 for word in _WORD.finditer(text) if word.end() - 1 > at]
            return ends[count - 1] if count <= len(ends) else max(len(text) - 1, 0)
        case _:
            return None


def _vertical(text: str, at: int, by: int) -> Pressed | None:
    """Lines down, or up; None beyond the first and the last, where the history is."""
    lines = text.split("\n")
    row = text.count("\n", 0, at)
    to = min(max(row + by, 0), len(lines) - 1)
    if to == row:
        return None
    column = at - _start(text, at)
    start = sum(len(line) + 1 for line in lines[:to])
    return Pressed(text, _on_character(text, start + min(column, len(lines[to]))))

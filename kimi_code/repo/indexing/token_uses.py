"""Which names a Python file uses, from its tokens: a tree's node for every name costs more than all else of a file.

What is no code is hidden first (strings, comments, what the tree knows); in the rest every word is a keyword or a name.
"""

import re
from collections.abc import Container, Iterable, Sequence
from keyword import kwlist
from typing import TYPE_CHECKING

from kimi_code.repo.indexing.python_tree import opaque_of
from kimi_code.repo.syntax import Captures, Span

if TYPE_CHECKING:
    from kimi_code.repo.syntax import Node

_KEYWORDS = frozenset(("__future__", *kwlist))
# All that is in no token becomes a blank. Quotes stay, so that the letters before a string are told from names.
_IN_TOKENS = frozenset(b"\n._\1\"'") | {byte for byte in range(256) if byte >= 128 or chr(byte).isalnum()}
_BLANKS = bytes(byte if byte in _IN_TOKENS else 32 for byte in range(256))
_HIDDEN = bytes(10 if byte == 10 else 32 for byte in range(256))
_LINE_END = ";"  # in no other token
_HASH, _LF, _FORMATTED = b"#\n\1"  # the last stands for a formatted string: no text has it
# Strings and comments, where nothing is broken. A zero is put before each quote and hash: the search for one byte is
# ten times as fast as that for any of three.
_MARKED = ((b'"', b'\0"'), (b"'", b"\0'"), (b"#", b"\0#"))
_LITERALS = re.compile(
    rb"""(\0(?:\#[^\n]*"""
    rb"""|"(?:\0"\0"[^"\\]*(?:(?:\\\0?.|"(?!\0"\0"))[^"\\]*)*"\0"\0"|[^"\\\n]+"|[^"\\\n]*(?:\\\0?.[^"\\\n]*)*")"""
    rb"""|'(?:\0'\0'[^'\\]*(?:(?:\\\0?.|'(?!\0'\0'))[^'\\]*)*'\0'\0'|[^'\\\n]+'|[^'\\\n]*(?:\\\0?.[^'\\\n]*)*')))""",
    re.S,
)
_PREFIX = re.compile(rb".?[fFtT]\Z|[fFtT][rR]\Z", re.S)  # before a string that may be formatted
_PREFIXED = tuple(re.compile(quote + b"(?<=[fFtTrR]" + quote + b")") for quote in (b"'", b'"'))

Uses = dict[str, tuple[int, ...]]


class _Tokens(dict[str, list[int] | None]):
    """The lines of each token that is a use which counts, after a zero; asked for a token it does not know, it tells.

    `lines` has them by name: an attribute's token begins with a dot.
    """

    def __init__(self, kept: Container[str] | None) -> None:
        super().__init__()
        self.lines: dict[str, list[int]] = {}
        self._kept = kept

    def __missing__(self, token: str) -> list[int] | None:
        first = token[0]
        if first == ".":
            counts = token[1:2] >= "A"
        elif self._kept is not None and first > "Z":
            counts = token in self._kept
        else:
            counts = first >= "A" and token not in _KEYWORDS and token.isidentifier()
        lines = self[token] = self.lines.setdefault(token.lstrip("."), [0]) if counts else None
        return lines


def token_uses(code: bytes, known: Container[str] | None) -> Uses:
    """The lines of every use of a name in code, in order.

    Attributes count all, other names when they are `known` (None: all) or capitalised.
    """
    spaced = code.replace(b"...", b" ").replace(b".", b" .").translate(_BLANKS).replace(b"\n", b" ; ")
    tokens = spaced.decode("utf-8", "replace").split()
    if "." in tokens:
        tokens = _with_attributes(tokens)
    uses = _Tokens(known)
    line, line_end = 1, [0]
    uses[_LINE_END] = line_end
    for lines in filter(None, map(uses.__getitem__, tokens)):
        if lines is line_end:
            line += 1
        elif lines[-1] != line:
            lines.append(line)
    return {name: tuple(lines[1:]) for name, lines in uses.lines.items()}


def _with_attributes(tokens: Sequence[str]) -> list[str]:
    """The tokens, where a dot with blanks after it, that ends no number, goes to its name."""
    joined: list[str] = []
    before, after_dot = "", False
    for token in tokens:
        if token == ".":
            after_dot = not before[:1].isdigit()
        elif after_dot and token != _LINE_END and token[0] != ".":
            after_dot = False
            joined.append("." + token)
        else:
            joined.append(token)
        before = token
    return joined


def read_code(content: bytes, root: "Node", captures: Captures, spans: Iterable[Span]) -> bytes:
    """The text without strings, comments, what is captured as opaque, and `spans` within lines; its lines stay."""
    code = bytearray(content)
    for start, end in spans:
        code[start:end] = b" " * (end - start)
    _hide(code, [node.byte_range for node in captures.get("opaque", ())])
    if not root.has_error:
        return _without_literals(code, root)
    formats = (node.byte_range for node in captures.get("format", ()))
    _hide(code, [(start, end) for start, end in formats if content.find(b"{", start, end) < 0])
    return bytes(code)


def _hide(code: bytearray, spans: Iterable[Span]) -> None:
    for start, end in spans:
        code[start:end] = code[start:end].translate(_HIDDEN)


def _without_literals(code: bytearray, root: "Node") -> bytes:
    """An empty string for each, no comments; of formatted strings, the expressions stay."""
    parts = _split(code)
    if any(map(_PREFIX.match, {before[-2:] for before in parts[::2]})):
        _hide_formatted(code, root)
        parts = _split(code)
    parts[1::2] = map(_emptied, parts[1::2])
    return b"".join(parts)


def _split(code: bytes | bytearray) -> list[bytes]:
    """Code and literals in turns."""
    for byte, marked in _MARKED:
        code = code.replace(byte, marked)
    return _LITERALS.split(code)


def _hide_formatted(code: bytearray, root: "Node") -> None:
    """Leave a mark for a formatted string, and its expressions. The tree knows where it ends: it may hold quotes."""
    end = 0
    for quote in sorted(found.start() for each in _PREFIXED for found in each.finditer(code)):
        if quote >= end and (string := _formatted_at(quote, root)) is not None:
            end = string.end_byte
            _hide(code, opaque_of(string, code))
            code[quote] = _FORMATTED


def _formatted_at(quote: int, root: "Node") -> "Node | None":
    start = root.descendant_for_byte_range(quote, quote + 1)
    if start is None or start.type != "string_start" or start.start_byte == quote:
        return None
    return start.parent


def _emptied(literal: bytes) -> bytes:
    if literal[1] == _HASH:
        return b""
    return b'""' + b"\n" * literal.count(b"\n") if _LF in literal else b'""'


def import_dots(content: bytes, imports: Iterable[Span]) -> list[Span]:
    """The dots in import statements, whose names are no attributes."""
    dots: list[Span] = []
    for start, end in imports:
        place = content.find(b".", start, end)
        while place >= 0:
            dots.append((place, place + 1))
            place = content.find(b".", place + 1, end)
    return dots

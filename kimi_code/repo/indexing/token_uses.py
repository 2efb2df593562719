"""Which names a Python file uses, from its tokens: a tree's node for every name costs more than all else of a file.

What is no code is hidden first (strings, comments, what the tree knows); in the rest every word is a keyword or a name.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from keyword import kwlist
from typing import TYPE_CHECKING

from kimi_code.repo.indexing.python_tree import opaque_of
from kimi_code.repo.syntax import Captures, Span

if TYPE_CHECKING:
    from kimi_code.repo.syntax import Node

_KEYWORDS = frozenset((b"__future__", *(word.encode() for word in kwlist)))
_NAME = re.compile(rb"[\w\x80-\xff]+")
# All that is in no token becomes a blank. Quotes stay, so that the letters before a string are told from names.
_IN_TOKENS = frozenset(b"\n._\"'") | {byte for byte in range(256) if byte >= 128 or chr(byte).isalnum()}
_BLANKS = bytes(byte if byte in _IN_TOKENS else 32 for byte in range(256))
_HIDDEN = bytes(10 if byte == 10 else 32 for byte in range(256))
_LINE_END = b";"  # in no other token
_HASH, _LF, _DOT, _A, _Z = b"#\n.AZ"
# Strings and comments, where nothing is broken. Each alternative begins with a letter of its own: such a pattern finds
# the next one fast.
_LITERALS = re.compile(
    rb"""("[^"\\\n]+"|'[^'\\\n]+'|\#[^\n]*"""
    rb"""|\"\"\"[^"\\]*(?:(?:\\.|\"(?!\"\"))[^"\\]*)*\"\"\"|'''[^'\\]*(?:(?:\\.|'(?!''))[^'\\]*)*'''"""
    rb"""|"[^"\\\n]*(?:\\.[^"\\\n]*)*"|'[^'\\\n]*(?:\\.[^'\\\n]*)*')""",
    re.S,
)
_PREFIX = re.compile(rb".?[fFtT]\Z|[fFtT][rR]\Z", re.S)  # before a string that may be formatted

Uses = dict[str, tuple[int, ...]]


def token_uses(code: bytes, known: Iterable[str] | None) -> Uses:
    """The lines of every use of a name in code, in order.

    Attributes count all, other names when they are `known` (None: all) or capitalised.
    """
    tokens = code.replace(b"...", b" ").replace(b".", b" .").translate(_BLANKS).replace(b"\n", b" ; ").split()
    if b"." in tokens:
        tokens = _with_attributes(tokens)
    kept = None if known is None else {name.encode() for name in known}
    names = _names_in(set(tokens), kept)
    names[_LINE_END] = _LINE_END
    found: dict[bytes, list[int]] = {}
    line = 1
    for name in filter(None, map(names.get, tokens)):
        if name is _LINE_END:
            line += 1
        elif (lines := found.get(name)) is None:
            found[name] = [line]
        elif lines[-1] != line:
            lines.append(line)
    return {name.decode("utf-8", "replace"): tuple(lines) for name, lines in found.items()}


def _names_in(tokens: Iterable[bytes], kept: Collection[bytes] | None) -> dict[bytes, bytes]:
    """The tokens that are uses which count, each with the name that it uses."""
    names: dict[bytes, bytes] = {}
    for token in tokens:
        first = token[0]
        if first == _DOT:
            if token[1:2] >= b"A":
                names[token] = token[1:]
        elif kept is not None and first > _Z:
            if token in kept:
                names[token] = token
        elif first >= _A and token not in _KEYWORDS and _NAME.fullmatch(token):
            names[token] = token
    return names


def _with_attributes(tokens: Sequence[bytes]) -> list[bytes]:
    """The tokens, where a dot with blanks after it, that ends no number, goes to its name."""
    joined: list[bytes] = []
    before, after_dot = b"", False
    for token in tokens:
        if token == b".":
            after_dot = not before[:1].isdigit()
        elif after_dot and token != _LINE_END and token[0] != _DOT:
            after_dot = False
            joined.append(b"." + token)
        else:
            joined.append(token)
        before = token
    return joined


def read_code(content: bytes, root: "Node", captures: Captures, spans: Iterable[Span]) -> bytes:
    """The text without its strings and comments, what is captured as opaque, and `spans`; its lines stay."""
    code = bytearray(content)
    _hide(code, spans)
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
    parts = _LITERALS.split(code)
    if any(map(_PREFIX.match, {before[-2:] for before in parts[::2]})):
        parts = _with_formatted(code, root)
    parts[1::2] = map(_emptied, parts[1::2])
    return b"".join(parts)


def _with_formatted(code: bytearray, root: "Node") -> list[bytes]:
    """Code and literals in turns; formatted strings are code. The tree knows where one ends, as it may hold quotes."""
    parts: list[bytes] = []
    place = 0
    while found := _LITERALS.search(code, place):
        start, end = found.span()
        string = _formatted_at(start, root) if start > place and code[start - 1] in b"fFtTrR" else None
        if string is None:
            parts += (bytes(code[place:start]), found[0])
        else:
            end = string.end_byte
            _hide(code, opaque_of(string, code))
            parts += (bytes(code[place:start] + b'"' + code[start:end]), b"")
        place = end
    parts.append(bytes(code[place:]))
    return parts


def _formatted_at(quote: int, root: "Node") -> "Node | None":
    start = root.descendant_for_byte_range(quote, quote + 1)
    if start is None or start.type != "string_start" or start.start_byte == quote:
        return None
    return start.parent


def _emptied(literal: bytes) -> bytes:
    if not literal or literal[0] == _HASH:
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

"""Which names a Python file uses, from its tokens: a tree's node for every name costs more than all else of a file.

The tree says what is no code (strings, comments); in the rest every word is a keyword or a name.
"""

import re
from collections.abc import Iterable
from keyword import kwlist

from kimi_code.repo.syntax import Span

_KEYWORDS = frozenset((b"__future__", *(word.encode() for word in kwlist)))
_NAME = re.compile(rb"[\w\x80-\xff]+")
# All that is in no token becomes a blank. Quotes stay, so that the letters before a string are told from names.
_IN_TOKENS = frozenset(b"\n._\"'") | {byte for byte in range(256) if byte >= 128 or chr(byte).isalnum()}
_BLANKS = bytes(byte if byte in _IN_TOKENS else 32 for byte in range(256))
_DOT, _A, _Z = b".AZ"

Uses = dict[str, tuple[int, ...]]


def token_uses(
    content: bytes,
    opaque: Iterable[Span],
    imports: Iterable[Span],
    names: Iterable[int],
    known: Iterable[str] | None,
) -> Uses:
    """The lines of every use of a name, in order; not at `names` (offsets), nor in `opaque` parts.

    Attributes count all, other names when they are `known` (None: all) or capitalised.
    """
    code = _code(content, opaque, imports, names).replace(b"...", b" ").replace(b".", b" .")
    kept = None if known is None else {name.encode() for name in known}
    found: dict[bytes, list[int]] = {}
    after_dot = False
    for line, text in enumerate(code.translate(_BLANKS).split(b"\n"), 1):
        tokens = text.split()
        for token in tokens:
            first = token[0]
            if first == _DOT:
                token = token[1:]
                if not token:  # of a name after blanks, or of a number
                    after_dot = not tokens[max(0, tokens.index(b".") - 1)][:1].isdigit()
                    continue
                if token[0] < _A:
                    continue
            elif after_dot:
                after_dot = False
            elif kept is None or _A <= first <= _Z:
                if first < _A or token in _KEYWORDS or not _NAME.fullmatch(token):
                    continue
            elif token not in kept:
                continue
            lines = found.get(token)
            if lines is None:
                found[token] = [line]
            elif lines[-1] != line:
                lines.append(line)
    return {name.decode("utf-8", "replace"): tuple(lines) for name, lines in found.items()}


def _code(content: bytes, opaque: Iterable[Span], imports: Iterable[Span], names: Iterable[int]) -> bytes:
    """The text without what is no use of a name, its lines where they were; imports without dots."""
    spans = [*opaque, *((start, _name_end(content, start)) for start in names)]
    spans += _dots(content, imports)
    spans.sort()
    parts: list[bytes] = []
    at = 0
    for start, end in spans:
        if start < at:
            continue
        parts.append(content[at:start])
        parts.append(b"\n" * content.count(b"\n", start, end) or b" ")
        at = end
    parts.append(content[at:])
    return b"".join(parts)


def _name_end(content: bytes, start: int) -> int:
    found = _NAME.match(content, start)
    return found.end() if found else start


def _dots(content: bytes, imports: Iterable[Span]) -> list[Span]:
    dots: list[Span] = []
    for start, end in imports:
        place = content.find(b".", start, end)
        while place >= 0:
            dots.append((place, place + 1))
            place = content.find(b".", place + 1, end)
    return dots

"""The write scope of a task: is a path in it, and can two scopes hold the same path. Pure."""

import re
from collections.abc import Sequence
from functools import lru_cache

# Scopes are globs relative to the top of the working tree, in git's manner: `*` and `?` stay inside a name, `**` spans
# folders, and a folder's name holds all that is below it.
_KEPT = 4096
_SPECIAL = frozenset("*?[")
_PIECE = re.compile(r"\*\*|\*|\?|\[[^]]+\]|.", re.DOTALL)


def problem(pattern: str) -> str:
    """Why `pattern` is no scope, "" when it is one."""
    parts = _parts(pattern)
    if not pattern.strip() or not parts:
        return "is empty"
    if pattern.startswith(("/", "~", "!")) or re.match(r"[A-Za-z]:", pattern):
        return "must be relative to the top of the working tree"
    return "must not leave the working tree" if ".." in parts else ""


def holds(scope: Sequence[str], path: str) -> bool:
    """Whether `path` (relative, with slashes) lies in any pattern of `scope`; an empty scope holds everything."""
    # A pattern is also its own literal text: `app/[id]/page.tsx` is the name of a file.
    return not scope or any(_literally(pattern, path) or _compiled(pattern).fullmatch(path) for pattern in scope)


def overlap(ours: Sequence[str], theirs: Sequence[str]) -> tuple[str, str] | None:
    """The first pair of patterns that one path can satisfy both; None when the scopes are disjoint."""
    return next(((a, b) for a in ours for b in theirs if _meet(a, b)), None)


@lru_cache(_KEPT)
def _parts(pattern: str) -> tuple[str, ...]:
    return tuple(part for part in pattern.replace("\\", "/").split("/") if part not in ("", "."))


def _literally(pattern: str, path: str) -> bool:
    name = "/".join(_parts(pattern))
    return path == name or path.startswith(f"{name}/")


@lru_cache(_KEPT)
def _compiled(pattern: str) -> re.Pattern[str]:
    *folders, last = _parts(pattern) or ("**",)
    source = "".join("(?:[^/]+/)*" if part == "**" else _name(part) + "/" for part in folders)
    return re.compile(source + ("(?:[^/]+/)*[^/]+" if last == "**" else _name(last) + "(?:/.*)?"), re.DOTALL)


def _name(part: str) -> str:
    """The regular expression of one name in a path."""
    return "".join(_expression(piece) for piece in _PIECE.findall(part))


def _expression(piece: str) -> str:
    if piece in ("*", "**"):
        return "[^/]*"
    if piece == "?":
        return "[^/]"
    return _class(piece) if _is_class(piece) else re.escape(piece)


def _is_class(piece: str) -> bool:
    return len(piece) > 2 and piece[0] == "["


def _class(piece: str) -> str:
    negated = piece[1] in "!^" and len(piece) > 3
    letters = re.escape(piece[2:-1] if negated else piece[1:-1]).replace(r"\-", "-")
    source = f"[^/{letters}]" if negated else f"[{letters}]"
    try:
        re.compile(source)
    except re.error:  # a range that runs backwards
        return re.escape(piece)
    return source


def _meet(one: str, other: str) -> bool:
    # A folder's name holds what is below it, so every pattern may go on.
    return _paths_meet((*_parts(one), "**"), (*_parts(other), "**"))


@lru_cache(_KEPT)
def _paths_meet(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    if not one or not other:
        return all(part == "**" for part in one or other)
    if one[0] == "**":
        return _paths_meet(one[1:], other) or _paths_meet(one, other[1:])
    if other[0] == "**":
        return _paths_meet(other, one)
    return _names_meet(one[0], other[0]) and _paths_meet(one[1:], other[1:])


def _names_meet(one: str, other: str) -> bool:
    """Whether one name can match both; of character classes it only asks whether some character may be in them."""
    if _SPECIAL.isdisjoint(one) and _SPECIAL.isdisjoint(other):
        return one == other
    a, b = _PIECE.findall(one), _PIECE.findall(other)
    reached = {(0, 0)}
    frontier = [(0, 0)]
    while frontier:
        i, j = frontier.pop()
        for step in _steps(a, b, i, j):
            if step not in reached:
                reached.add(step)
                frontier.append(step)
    return (len(a), len(b)) in reached


def _steps(a: list[str], b: list[str], i: int, j: int) -> list[tuple[int, int]]:
    many_a, many_b = i < len(a) and a[i] in ("*", "**"), j < len(b) and b[j] in ("*", "**")
    steps: list[tuple[int, int]] = []
    if many_a:
        steps += [(i + 1, j)] + ([(i, j + 1)] if j < len(b) else [])
    if many_b:
        steps += [(i, j + 1)] + ([(i + 1, j)] if i < len(a) else [])
    if i < len(a) and j < len(b) and not many_a and not many_b and _letters_meet(a[i], b[j]):
        steps.append((i + 1, j + 1))
    return steps


def _letters_meet(one: str, other: str) -> bool:
    if one == "?" or other == "?" or one == other or (_is_class(one) and _is_class(other)):
        return True
    pairs = ((one, other), (other, one))
    return any(_is_class(piece) and re.fullmatch(_class(piece), letter) is not None for piece, letter in pairs)

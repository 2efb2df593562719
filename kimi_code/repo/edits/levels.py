"""Where the old text of an edit stands in a file: from exact to what models are known to get wrong, never by likeness.

Each level is a rule under which two texts are the same. The first level under which the old text stands anywhere
decides, and every place under it counts.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

from kimi_code.repo.diff import split_lines
from kimi_code.repo.edits.indentation import find_shifted
from kimi_code.repo.edits.match import (
    FOLDS,
    LOOSEST,
    Accept,
    Found,
    Level,
    Place,
    Source,
    anywhere,
    places_under,
    plain,
)


def find(source: Source, old: str, new: str, accept: Accept = anywhere) -> Found:
    """The places of `old` under the first level that has any, among those that `accept` says yes to."""
    for level in (_directly, _without_numbers, _without_blank_lines, _unescaped, _around_elisions):
        found = level(source, old, new, accept)
        if found.places:
            return found
    return Found("exact")


def _directly(source: Source, old: str, new: str, accept: Accept) -> Found:
    """The levels that take both texts as they are: exact, line endings, trailing blanks, punctuation, indentation.

    Exact and line endings are looked for together: nobody who reads a listing can tell LF from CRLF, so two places
    that differ in nothing else are two places.
    """
    given, (old, new) = old, plain(old, new)
    if not old:
        return Found("exact")
    for fold in FOLDS:
        places = tuple(filter(accept, places_under(source, old, new, fold)))
        if places:
            exact = all(source.text[place.start : place.end] == given for place in places)
            return Found("exact" if exact else fold.level, places)
    return find_shifted(source, old, new, accept)


def _as(level: Level, found: Found, obstacle: str = "") -> Found:
    return replace(found, level=level, obstacle=found.obstacle or obstacle)


# --- Line numbers ---------------------------------------------------------------------------------------------------

# As in the listings of Read ("12<tab>text"), Grep ("12: text") and other tools ("12→text", "12|text").
_NUMBERED = re.compile(r"[ \t]*(\d+)(\t|→|\||: ?|$)")


def _without_numbers(source: Source, old: str, new: str, accept: Accept) -> Found:
    """Both texts without the line numbers of a listing, when each line of the old one has its own, counting up.

    What is left stands as whole lines. Numbers before a colon or a bar can be anything, so they have to be true.
    """
    lines = plain(old, "")[0].split("\n")
    body = lines[:-1] if not lines[-1] else lines
    matches = [match for line in body if (match := _NUMBERED.match(line))]
    first = int(matches[0][1]) if matches else 0
    bare = "\n".join(_NUMBERED.sub("", line, count=1) for line in lines)
    if [int(match[1]) for match in matches] != list(range(first, first + len(body))) or not bare.strip():
        return Found("line numbers")
    plainly = any(match[2] in ("\t", "→") for match in matches)

    def whole(place: Place) -> bool:
        return source.is_line_start(place.start) and source.is_line_end(place.end) and accept(place)

    fresh = new.split("\n")
    numbered = [bool(_NUMBERED.match(line)) for line in fresh if line.strip()]
    if all(numbered):
        fresh = [_NUMBERED.sub("", line, count=1) for line in fresh]
    obstacle = _SOME_NUMBERED if any(numbered) and not all(numbered) else ""
    found = _directly(source, bare, "\n".join(fresh), whole)
    if not plainly and len(found.places) == 1 and source.line_at(found.places[0].start) != first - 1:
        return Found("line numbers")
    return _as("line numbers", found, obstacle)


_SOME_NUMBERED = "Some lines of new_string have line numbers before them and some have none. Leave them out."


# --- Surrounding blank lines ----------------------------------------------------------------------------------------


def _without_blank_lines(source: Source, old: str, new: str, accept: Accept) -> Found:
    """Both texts without blank lines around them; what is left stands as whole lines where blank lines were."""
    old, new = plain(old, new)
    wanted, fresh = old.split("\n"), new.split("\n")
    above, below = _blank_lines(wanted), _blank_lines(wanted[::-1])
    if not any(line.strip() for line in wanted) or (not above and below < 2):
        return Found("blank lines")
    if new.strip():
        kept_above = min(above, _blank_lines(fresh))
        kept_below = min(below, _blank_lines(fresh[::-1]))
        old = "\n".join(wanted[above : len(wanted) - below])
        new = "\n".join(fresh[kept_above : len(fresh) - kept_below])
    else:  # a deletion takes the line's end with it
        old, new = "\n".join(wanted[above : len(wanted) - below]) + "\n", ""

    def whole(place: Place) -> bool:
        starts = not above or source.is_line_start(place.start)
        return starts and (not below or source.is_line_end(place.end)) and accept(place)

    return _as("blank lines", _directly(source, old, new, whole))


def _blank_lines(lines: Sequence[str]) -> int:
    return next((number for number, line in enumerate(lines) if line.strip()), len(lines))


# --- Escapes --------------------------------------------------------------------------------------------------------

_ESCAPE = re.compile(r"""\\([nrt"'`\\])""")
_MEANING = {"n": "\n", "r": "\r", "t": "\t"}


def _unescaped(source: Source, old: str, new: str, accept: Accept) -> Found:
    """Both texts with one layer of escapes undone, as when a call's arguments were encoded twice."""
    plain_old = _undone(old)
    if plain_old == old or not plain_old.strip():
        return Found("escapes")
    once = "\n" in new and "\n" not in old and "\n" in plain_old  # then only the old text was encoded twice
    obstacle = _ESCAPED_ONCE if once and _undone(new) != new else ""
    return _as("escapes", _directly(source, plain_old, new if once else _undone(new), accept), obstacle)


_ESCAPED_ONCE = (
    "old_string is escaped twice, and it is not clear whether new_string is. Send both escaped once, as JSON needs it."
)


def _undone(text: str) -> str:
    return _ESCAPE.sub(lambda match: _MEANING.get(match[1], match[1]), text)


# --- Elisions -------------------------------------------------------------------------------------------------------

# A line of nothing but dots, or a comment of nothing but dots, or of words between dots.
_ELISION = re.compile(
    r"[ \t]*(?:#|//|--|;|%|/\*|<!--)?[ \t]*(?:\.\.\.|…)(?:[\w ,'-]*(?:\.\.\.|…))?[ \t]*(?:\*/|-->)?[ \t]*"
)


_OPTIONS_MOST = 200


def _around_elisions(source: Source, old: str, new: str, accept: Accept) -> Found:
    """Both texts in parts between as many `...`, each part as whole lines, in order, in the only way it is possible."""
    old, new = plain(old, new)
    parts, fresh = _parts(old), _parts(new)
    if len(parts) < 2 or len(parts) != len(fresh):
        return Found("elision")
    pairs = [(part, text) for part, text in zip(parts, fresh, strict=True) if part or text]
    if not pairs or any(not part.strip() for part, _ in pairs):
        return Found("elision")  # something would have to go where nothing is known of the surroundings
    options = [_whole_lines(source, part, text) for part, text in pairs]
    if any(len(places) > _OPTIONS_MOST for places in options):
        return Found("elision")  # a part as common as that says nothing
    ways = [way for way in _in_order(options) if accept(Place(way[0].start, way[-1].end, ""))]
    return Found("elision", tuple(_joined(source, way) for way in ways))


def _parts(text: str) -> list[str]:
    """The text between lines that stand for left out ones; each part ends in LF, the last as the text does."""
    parts = [""]
    for line in split_lines(text):
        if _ELISION.fullmatch(line.rstrip("\n")):
            parts.append("")
        else:
            parts[-1] += line
    return parts


def _whole_lines(source: Source, part: str, text: str) -> list[Place]:
    return [
        place
        for place in places_under(source, part, text, LOOSEST)
        if source.is_line_start(place.start) and source.is_line_end(place.end)
    ]


def _in_order(options: Sequence[Sequence[Place]]) -> list[tuple[Place, ...]]:
    """The ways to take one place of each in rising order; of many, as many as show that there is more than one."""
    ways: list[tuple[Place, ...]] = [()]
    for places in options:
        longer = [[(*way, place) for way in ways if not way or place.start >= way[-1].end][:2] for place in places]
        ways = [way for same_end in longer for way in same_end]
    return ways


def _joined(source: Source, way: Sequence[Place]) -> Place:
    pieces: list[str] = []
    at = way[0].start
    for place in way:
        pieces += [source.text[at : place.start], place.text]
        at = place.end
    return Place(way[0].start, at, "".join(pieces))

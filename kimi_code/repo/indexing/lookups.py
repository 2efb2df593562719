"""How answers are found in what the index knows: which definitions fit, in which order, and what is around a line."""

import os
from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b

from kimi_code.repo.indexing.answers import Definition, Use
from kimi_code.repo.indexing.catalog import Catalog, Entry
from kimi_code.repo.indexing.facts import Detail
from kimi_code.repo.indexing.fuzzy import Closeness, match_names

Ranked = tuple[Entry, int]  # a file, and one of its definitions


def fitting(catalog: Catalog, name: str) -> list[tuple[Closeness, int]]:
    """How closely the defined names (by number) fit one; slow: there may be a hundred thousand."""
    return [
        (fit, numbers[line]) for numbers, lines in catalog.defined_names() for fit, line in match_names(name, lines)
    ]


def rank(
    catalog: Catalog, fits: Iterable[tuple[Closeness, int]], kind: str, accepts: Callable[[str], bool]
) -> list[Ranked]:
    """The definitions of names that fit, of a kind ("" for all) and in files that are accepted, best first."""
    definers = catalog.definers()
    users = catalog.user_counts()
    ranked: list[tuple[tuple[object, ...], Ranked]] = []
    for fit, number in fits:
        length = len(catalog.names[number])
        for entry in definers.get(number, ()):
            if not accepts(entry.path):
                continue
            for place, name in enumerate(entry.defined):
                if name != number:
                    continue
                own_kind, exported = entry.kind(place)
                if not kind or kind == own_kind:
                    key = (fit, not exported, -users.get(number, 0), length, entry.path, place)
                    ranked.append((key, (entry, place)))
    ranked.sort(key=lambda pair: pair[0])
    return [pair[1] for pair in ranked]


def tree_key(catalog: Catalog, files: Sequence[str], manifests: str) -> str:
    """What tells one state of the files, and of what says how they import each other, from another."""
    digest = blake2b(manifests.encode("utf-8", "surrogateescape"), digest_size=16)
    for path in files:
        entry = catalog.get(path)
        digest.update(os.fsencode(path) + (entry.digest.encode() if entry else b"") + b"\n")
    return digest.hexdigest()


def path_test(inside: str | None, path: str) -> Callable[[str], bool]:
    """A test for a file, everything in a folder, or a glob; nothing is outside of the root."""
    if any(character in path for character in "*?[{"):
        from kimi_code.repo.walk import compile_glob

        return compile_glob(path)
    if inside is None:
        return lambda _: False
    return lambda each: not inside or each == inside or each.startswith(f"{inside}/")


def ends_with(container: str, wanted: str) -> bool:
    """Whether a dotted name ends with another, by whole parts, whatever their case."""
    return not wanted or f".{container}".lower().endswith(f".{wanted}".lower())


def definition_at(detail: Detail | None, place: int) -> Definition | None:
    """A file's definition by its place, None when the file has other ones by now."""
    return detail.definitions[place] if detail is not None and place < len(detail.definitions) else None


def innermost(definitions: Iterable[Definition], line: int) -> Definition | None:
    """The smallest definition around a line (from 1)."""
    around = [each for each in definitions if each.line <= line <= each.end_line]
    return min(around, key=lambda each: (each.end_line - each.line, -each.line), default=None)


def uses_of(detail: Detail | None, name: str) -> tuple[Use, ...]:
    """The uses of a name in a file, each with the definition that it is in."""
    if detail is None:
        return ()
    lines = detail.references.get(name, ())
    return tuple(
        Use(line, around.qualified if (around := innermost(detail.definitions, line)) else "")
        for line in dict.fromkeys(lines)
    )

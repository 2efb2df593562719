"""What could follow what is being written: a command, its argument, a file's path."""

import re
from collections.abc import Sequence

from kimi_code.tui.host import Symbol
from kimi_code.tui.input.fuzzy import Choices, best
from kimi_code.values import frozen

_PATHS_FIRST = 4

_COMMAND = re.compile(r"/([\w-]*)")
_ARGUMENT = re.compile(r"/([\w-]+) +(\S*)")
_FILE = re.compile(r"(?:^|(?<=\s))@([^\s@]*)$")


@frozen
class Suggestion:
    """`text` replaces what is being written from offset `start` of the prompt to the caret.

    `label` is what the list shows in its place, where that is shorter.
    """

    text: str
    detail: str
    start: int
    label: str = ""


@frozen
class Wanted:
    """What is being written: the `word` so far, which began at `start`; for an argument, its `command`."""

    kind: str
    word: str
    start: int
    command: str = ""


def wanted(before: str) -> Wanted | None:
    """What is being written in the text before the caret; None for ordinary words."""
    if (found := _COMMAND.fullmatch(before)) is not None:
        return Wanted("command", found[1], 0)
    if (found := _ARGUMENT.fullmatch(before)) is not None:
        return Wanted("argument", found[2], found.start(2), found[1])
    if (found := _FILE.search(before)) is not None:
        return Wanted("file", found[1], found.start())
    return None


def is_command(text: str) -> bool:
    """Whether a text that begins with a slash is a command, and no path."""
    return re.match(r"/[\w-]+(?:\s|$)", text) is not None


def commands(asked: Wanted, names: Sequence[tuple[str, str]]) -> list[Suggestion]:
    """Commands by name and description; in the registry's order where nothing was typed yet."""
    described = dict(names)
    ranked = best(asked.word, list(described)) if asked.word else list(described)
    return [Suggestion(f"/{name} ", described[name], asked.start) for name in ranked]


def arguments(asked: Wanted, values: Sequence[str]) -> list[Suggestion]:
    """Values of a command's argument; one that is typed in full comes first, and so is not replaced by another."""
    ranked = best(asked.word, values) if asked.word else list(values)
    return [Suggestion(value, "", asked.start) for value in ranked]


def may_be_symbol(word: str) -> bool:
    """Whether a word after @ can be a definition's name: long enough, and no path."""
    return len(word) >= 2 and re.fullmatch(r"[\w.]+", word) is not None


def with_symbols(asked: Wanted, paths: Sequence[Suggestion], found: Sequence[Symbol]) -> list[Suggestion]:
    """Paths and symbols: symbols first where they begin with the word and no file's name does."""
    symbols = [
        Suggestion(
            f"{each.name} (@{each.path}:{each.line}) ", f"{each.kind}  {each.path}:{each.line}", asked.start, each.name
        )
        for each in found
    ]
    word = asked.word.lower()
    named = any(path.text.rstrip().rpartition("/")[2].lstrip("@").lower().startswith(word) for path in paths)
    begins = any(each.name.lower().rpartition(".")[2].startswith(word.rpartition(".")[2]) for each in found)
    if begins and not named:
        return [*symbols, *paths]
    return [*paths[:_PATHS_FIRST], *symbols, *paths[_PATHS_FIRST:]]


def files(asked: Wanted, known: Choices) -> list[Suggestion]:
    """Paths that fit."""
    return [Suggestion(f"@{path} ", "", asked.start) for path in known.best(asked.word, 50)]

"""What could follow what is being written: a command, its argument, a file's path."""

import re
from collections.abc import Sequence

from kimi_code.tui.input.fuzzy import Choices, best
from kimi_code.values import frozen

SHOWN = 8

_COMMAND = re.compile(r"/([\w-]*)")
_ARGUMENT = re.compile(r"/([\w-]+) +(\S*)")
_FILE = re.compile(r"(?:^|(?<=\s))@([^\s@]*)$")


@frozen
class Suggestion:
    """`text` replaces what is being written from offset `start` of the prompt to the caret."""

    text: str
    detail: str
    start: int


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
    """Values of a command's argument."""
    ranked = best(asked.word, values) if asked.word else list(values)
    return [Suggestion(value, "", asked.start) for value in ranked if value != asked.word]


def files(asked: Wanted, known: Choices) -> list[Suggestion]:
    """Paths that fit."""
    return [Suggestion(f"@{path} ", "", asked.start) for path in known.best(asked.word, 50)]

"""Which simple commands an allow, ask or deny rule covers. Loaded with the first command, as its parser is."""

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import lru_cache

from kimi_code.permissions import shell
from kimi_code.permissions.danger import find_danger
from kimi_code.permissions.gitreads import subcommand
from kimi_code.permissions.rules import Rule
from kimi_code.permissions.statements import Simple
from kimi_code.permissions.words import Word
from kimi_code.permissions.wrappers import RUNNERS, base_name, is_fed, unwrap
from kimi_code.values import frozen

_SAME = {"--force": "f", "--recursive": "r"}


def allows(rule: Rule, command: Simple) -> bool:
    """Whether an allow rule covers a simple command: its words exactly, or by a final `*` any further known words.

    A `*` never covers what cannot be known, options by which a program runs another or leaves the folder, nor what a
    wrapper runs. The program must be written as the rule has it: a path or a quoted name is another one.
    """
    if rule.pattern is None:
        return True
    pattern = _command_pattern(rule.pattern)
    if pattern is None or not command.words or not command.words[0].plain:
        return False
    assignments = [word.exact for word in command.assignments]
    if None in assignments or assignments != [word.exact for word in pattern.assignments]:
        return False
    if not pattern.words and "/" in command.words[0].text:
        return False
    fixed = len(pattern.words)
    given = [word.exact for word in command.words[:fixed]]
    if None in given or given != [word.exact for word in pattern.words]:
        return False
    rest = command.words[fixed:]
    return not rest if not pattern.open else all(_is_settled(word) for word in rest) and _stays(command.words, fixed)


def named_words(rule: Rule) -> int:
    """How many of a command's words an allow rule that covers it names, beginning with the program."""
    pattern = _command_pattern(rule.pattern) if rule.pattern is not None else None
    return len(pattern.words) if pattern is not None else 0


def _is_settled(word: Word) -> bool:
    # A glob that begins with a letter cannot become an option.
    return word.exact is not None or (word.glob and word.sure and re.match(r"[\w/.]", word.text) is not None)


def _stays(words: Sequence[Word], fixed: int) -> bool:
    danger = find_danger([word.value or "" for word in words])
    if danger is not None and danger >= fixed:
        return False
    wrapped = unwrap(words)
    if wrapped is None:
        return True
    if wrapped.at >= fixed:
        return False
    if not wrapped.known:
        return is_fed(words)  # a script that the rule names
    return wrapped.script is not None or _stays(wrapped.words, fixed - wrapped.at)


def forbids(rule: Rule, command: Simple) -> bool:
    """Whether a deny or ask rule covers a simple command, or may: what cannot be known counts as covered.

    The program counts by its base name, options in any order and spelling, also behind programs that run others.
    """
    if rule.pattern is None:
        return True
    wanted = _forbidden_words(rule.pattern)
    if wanted is None or not command.words:
        return wanted is None
    words, open_end = wanted
    values = [None if word.glob else word.value for word in command.words]
    name = "" if values[0] is None else base_name(values[0])
    if values[0] is None or _matches(words, values, open_end):
        return True
    if name not in RUNNERS:
        return False
    for at, value in enumerate(values[1:], 1):
        if value is None or _matches(words, values[at:], open_end):
            return True
        if re.search(r"\s", value):
            line = shell.parse(value)
            if line.unknown or any(forbids(rule, inner) for inner in line.commands):
                return True
    return False


@frozen
class _CommandPattern:
    words: tuple[Word, ...]
    assignments: tuple[Word, ...]
    open: bool


@lru_cache(maxsize=256)
def _command_pattern(text: str) -> _CommandPattern | None:
    """The pattern as a simple command; None when it is none, so that it covers nothing."""
    line = shell.parse(_spelled(text))
    if line.unknown or len(line.items) != 1 or not line.commands or not line.commands[0].words:
        return None
    command = line.commands[0]
    open_end = command.words[-1].text == "*"
    return _CommandPattern(command.words[:-1] if open_end else command.words, command.assignments, open_end)


def _spelled(text: str) -> str:
    # `npm run:*` is how some write `npm run *`.
    return text[:-2] + " *" if text.endswith(":*") else text


@lru_cache(maxsize=256)
def _forbidden_words(text: str) -> tuple[tuple[str, ...], bool] | None:
    """The words of a deny or ask pattern, and whether more may follow; None when it is for every command."""
    pattern = _command_pattern(text)
    if pattern is None or any(word.value is None for word in pattern.words):
        words = tuple(_spelled(text).split())
        open_end = words[-1:] == ("*",)
        words = words[:-1] if open_end else words
    else:
        words, open_end = tuple(word.value or "" for word in pattern.words), pattern.open
    if not words or words == ("**",):
        return None
    # `rm -rf*` was meant to cover what follows.
    return words, open_end or words[-1].endswith("*")


def _matches(wanted: Sequence[str], values: Sequence[str | None], open_end: bool) -> bool:
    if not fnmatchcase(base_name(values[0] or ""), base_name(wanted[0])):
        return False
    rest = list(values[1:])
    if base_name(wanted[0]) == "git" and not any(word.startswith("-") for word in wanted[1:2]):
        at = subcommand(values)
        if at is None:
            return None in values or len(wanted) == 1
        rest = list(values[at:])
    words = wanted[1:]
    if len(rest) == len(words) and all(v is None or fnmatchcase(v, w) for v, w in zip(rest, words, strict=True)):
        return True
    plain = tuple(word for word in words if not word.startswith("-"))
    options = [word for word in words if word.startswith("-")]
    if not open_end and len([v for v in rest if v is None or v.startswith("-")]) != len(options) and None not in rest:
        return False
    return _has_options(base_name(wanted[0]), options, rest) and _follows(plain, tuple(rest[:200]), open_end)


def _has_options(name: str, wanted: Sequence[str], values: Sequence[str | None]) -> bool:
    given = [value for value in values if value is not None and value.startswith("-")]
    letters = {letter for value in given for letter in _letters(value)}
    for word in wanted:
        if None in values or any(fnmatchcase(value, word) for value in given):
            continue
        found = _letters(word)
        if name in ("find", "java", "go", "terraform") or not found or not found <= letters:
            return False
    return True


def _letters(option: str) -> set[str]:
    """The letters of short options; the long ones that people mean by them count as these."""
    option = option.rstrip("*")
    if option.startswith("--"):
        return {letter for long, letter in _SAME.items() if len(option) > 3 and long.startswith(option)}
    return {"r" if letter == "R" else letter for letter in option[1:] if letter.isalpha()}


def _follows(wanted: tuple[str, ...], values: tuple[str | None, ...], open_end: bool) -> bool:
    """Whether the wanted words come first among the words that are no options (whose values may stand between)."""
    position, after_option = 0, False
    for value in values:
        if position == len(wanted):
            if open_end:
                return True
            if value is None or value.startswith("-") or after_option:
                continue
            return False
        if value is None:
            return True
        if value.startswith("-"):
            after_option = "=" not in value
        elif fnmatchcase(value, wanted[position]):
            position, after_option = position + 1, False
        elif not after_option:
            return False
        else:
            after_option = False
    return position == len(wanted)

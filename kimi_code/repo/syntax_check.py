"""Whether a change breaks a file's syntax: only a parser's word, for a warning; nothing is ever refused for it."""

import json
import sys
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

from kimi_code.repo.indexing.languages import language_of
from kimi_code.values import frozen

_PARSED_MOST = 1 << 20  # characters; larger files would hold up the session
_PATIENCE = 0.3  # seconds for a grammar, which holds everything else up
# Grammars that take what the languages' own tools take. Those of C, C++ and C# do not know what a preprocessor makes of
# a text, and that of Swift not all of its newer forms: counting holds there too, as only more errors than before warn.
_GRAMMAR_NAMES: Mapping[str, str] = MappingProxyType({
    "javascript": "JavaScript", "typescript": "TypeScript", "tsx": "TSX", "go": "Go", "rust": "Rust", "java": "Java",
    "c": "C", "cpp": "C++", "csharp": "C#", "ruby": "Ruby", "php": "PHP", "bash": "bash", "kotlin": "Kotlin",
    "swift": "Swift", "lua": "Lua",
})  # fmt: skip


@frozen
class Problem:
    """One syntax error; `line` counts from 1, 0 when the parser does not say."""

    line: int
    message: str


# The errors of a text, as many as its parser finds: most stop at the first.
Checker = Callable[[str], list[Problem]]


def new_problem(path: str, before: str | None, after: str) -> str:
    """The first syntax error that `after` has, in words with its line, if `before` had fewer errors; else "".

    Files of unknown languages, and those over a million characters, have none.
    """
    checker = _checker_for(path)
    if checker is None or len(after) > _PARSED_MOST:
        return ""
    problems = _checked(checker, after)
    if not problems or (before is not None and len(_checked(checker, before)) >= len(problems)):
        return ""
    first = problems[0]
    lines = after.split("\n")
    text = lines[first.line - 1].strip()[:120] if 0 < first.line <= len(lines) else ""
    where = f" at line {first.line}{f': {text}' if text else ''}" if first.line else ""
    return f"the file does not parse, {first.message}{where}"


def _checker_for(path: str) -> Checker | None:
    """By the end of the name: a parser of the language's own where Python has one, else its grammar."""
    name = path.lower()
    own = next((checker for ending, checker in _CHECKERS.items() if name.endswith(ending)), None)
    language = language_of(name)
    return own or (partial(_grammar, language) if language in _GRAMMAR_NAMES else None)


def _checked(checker: Checker, text: str) -> list[Problem]:
    try:
        return checker(text)
    except (RecursionError, MemoryError, OverflowError):
        return []  # too deep for this parser, which says nothing of its language


def _grammar(language: str, text: str) -> list[Problem]:
    from kimi_code.repo.syntax import find_errors

    name = _GRAMMAR_NAMES[language]
    errors = find_errors(language, text.encode("utf-8", "replace"), _PATIENCE)
    return [
        Problem(line, f"{name}: {missing!r} is missing" if missing else f"{name}: not understood")
        for line, missing in errors
    ]


def _python(text: str) -> list[Problem]:
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(text, "<edit>", "exec", dont_inherit=True)
    except SyntaxError as error:
        version = f"Python {sys.version_info.major}.{sys.version_info.minor}"
        return [Problem(error.lineno or 0, f"{version} says {error.msg!r}")]
    except ValueError:
        return []
    return []


def _json(text: str) -> list[Problem]:
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return [Problem(error.lineno, f"JSON: {error.msg}")]
    except ValueError:  # a number with too many digits for Python
        return []
    return []


def _toml(text: str) -> list[Problem]:
    import re
    import tomllib

    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message, _, place = str(error).rpartition(" (at ")
        line = re.match(r"line (\d+)", place)
        return [Problem(int(line[1]) if line else 0, f"TOML: {message or error}")]
    except ValueError:
        return []
    return []


def _yaml(text: str) -> list[Problem]:
    import yaml

    try:
        for _ in yaml.compose_all(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            pass
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        return [Problem(line, f"YAML: {error.problem}")]
    except yaml.YAMLError as error:
        return [Problem(0, f"YAML: {error}".splitlines()[0])]
    return []


_CHECKERS: Mapping[str, Checker] = MappingProxyType(
    {".py": _python, ".pyi": _python, ".json": _json, ".toml": _toml, ".yaml": _yaml, ".yml": _yaml}
)

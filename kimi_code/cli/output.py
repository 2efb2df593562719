"""What all commands print with: lines, tables, JSON, and the end of a run that could not begin."""

import json
import sys
import unicodedata
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, TextIO

from kimi_code import controls
from kimi_code.errors import ConfigError, KimiError, UsageError

if TYPE_CHECKING:
    from kimi_code.headless.result import RunResult

_JSON_FORMATS = ("json", "jsonl", "stream-json")


def say(text: str = "", *, to: TextIO | None = None) -> None:
    """A line on standard output, or on `to`."""
    (to or sys.stdout).write(text + "\n")


def say_json(value: object) -> None:
    """`value` as indented JSON on standard output."""
    say(json.dumps(value, ensure_ascii=False, indent=2))


def say_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Aligned columns, wide characters counted as two; cells are one clean line each."""
    cells = [[clean(cell) for cell in row] for row in (header, *rows)]
    widths = [max(width(row[column]) for row in cells) for column in range(len(header))]
    for row in cells:
        padded = [cell + " " * (widths[column] - width(cell)) for column, cell in enumerate(row)]
        say("  ".join(padded).rstrip())


def clean(text: str) -> str:
    """`text` as one line without control sequences."""
    return " ".join(controls.clean(text).split())


def width(text: str) -> int:
    """Columns that `text` takes on a terminal."""
    if text.isascii():
        return len(text)
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else not unicodedata.combining(char) for char in text)


def mask(key: str) -> str:
    """A key so that its owner knows it again: the last four characters, of a key long enough to spare them."""
    return f"…{key[-4:]}" if len(key) >= 12 else "…"


def warn(text: str) -> None:
    """A warning on standard error."""
    say(f"kimi-code: warning: {text}", to=sys.stderr)


def confirm(question: str) -> bool:
    """Ask on standard error; whether the next line of standard input is a yes."""
    sys.stderr.write(question)
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def fail(error: KimiError, argv: Sequence[str]) -> int:
    """Tell why nothing was done; returns the exit code."""
    if isinstance(error, UsageError | ConfigError):
        from kimi_code.headless.result import usage_error

        return finish(usage_error(str(error)), argv)
    from kimi_code.headless.run import failed_to_start

    return finish(failed_to_start(error), argv)


def finish(result: "RunResult", argv: Sequence[str]) -> int:
    """The error on standard error, and the result object where `argv` asks for a machine's output."""
    say(f"kimi-code: {result.error}", to=sys.stderr)
    if wants_json(argv):
        say(result.to_json())
    return result.exit_code


def wants_json(argv: Sequence[str]) -> bool:
    """Whether the command line asks for a machine's output, even where it is otherwise wrong."""
    after = dict(pairwise(argv))
    asked = after.get("--output-format", "")
    inline = [arg.removeprefix("--output-format=") for arg in argv if arg.startswith("--output-format=")]
    return any(name in _JSON_FORMATS for name in (asked, *inline)) or "--json" in argv

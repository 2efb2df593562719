"""The prompt from standard input: alone, or attached below the prompt given on the command line."""

import os
import select
import stat
import sys
from collections.abc import Callable

from kimi_code.errors import UsageError

_SAY_AFTER = 3.0
_GIVE_UP_AFTER = 30.0


def read_prompt(given: str | None, say: Callable[[str], None]) -> str:
    """The whole prompt. `given` is the flag's value ("-" for standard input, None when absent).

    A pipe that stays silent is waited for, but not for ever: many a program starts others with an open, unused pipe.
    Raises UsageError when there is no prompt.
    """
    if given is None or given == "-":
        prompt = _decode(sys.stdin.buffer.read()) if sys.stdin is not None else ""
        if not prompt.strip():
            raise UsageError("The prompt is empty.", hint="Give it with -p TEXT, or pipe it in.")
        return prompt
    if not given.strip():
        raise UsageError("The prompt is empty.", hint="Give it with -p TEXT, or pipe it in.")
    given = _as_text(given)
    attached = _attached(say)
    return f"{given}\n\n{attached}" if attached.strip() else given


def _attached(say: Callable[[str], None]) -> str:
    if sys.stdin is None or sys.stdin.closed or not _may_carry_text(sys.stdin.fileno()):
        return ""
    if not _is_ready(_SAY_AFTER):
        say("waiting for standard input (redirect it from /dev/null to go on without)")
        if not _is_ready(_GIVE_UP_AFTER - _SAY_AFTER):
            say(f"nothing came from standard input for {_GIVE_UP_AFTER:.0f} s: going on without it")
            return ""
    return _decode(sys.stdin.buffer.read())


def _may_carry_text(fd: int) -> bool:
    try:
        mode = os.fstat(fd).st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode) or stat.S_ISSOCK(mode)


def _is_ready(seconds: float) -> bool:
    if os.name == "nt":  # select knows no pipes there: reading waits as long as it takes
        return True
    return bool(select.select([sys.stdin.fileno()], [], [], seconds)[0])


def _as_text(argument: str) -> str:
    """An argument whose bytes the locale could not read, read as UTF-8."""
    try:
        argument.encode()
    except UnicodeEncodeError:
        return _decode(os.fsencode(argument))
    return argument


def _decode(content: bytes) -> str:
    # NUL is no text, and some servers refuse it.
    return content.decode("utf-8", "replace").replace("\0", "\N{SYMBOL FOR NULL}").removeprefix("\ufeff")

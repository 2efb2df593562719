"""A bug that nobody caught: a short message on the screen, the traceback in a file, no secrets in either."""

import os
import re
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from kimi_code import __version__
from kimi_code.cli.output import finish
from kimi_code.errors import ExitCode
from kimi_code.headless.result import RunResult
from kimi_code.secrets import Scrubber

_SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL", re.IGNORECASE)


def report(error: Exception, argv: Sequence[str]) -> int:
    """Tell the person, and a program that asked for JSON, that the run failed because of a bug."""
    scrub = Scrubber(value for name, value in os.environ.items() if _SECRET_NAME.search(name)).scrub
    what = scrub(f"{type(error).__name__}: {error}").splitlines()[0][:300]
    file = _write(error, scrub)
    where = f"The details are in {file}" if file else "The details could not be written anywhere"
    message = f"kimi-code met a bug of its own: {what}\n{where}; please attach them to a report."
    return finish(RunResult("failed", int(ExitCode.FAILED), error=message), argv)


def report_stop(number: int, argv: Sequence[str]) -> int:
    """Tell that a signal ended the process before its work began; returns the exit code."""
    return finish(RunResult("interrupted", 128 + number, error="interrupted"), argv)


def _write(error: Exception, scrub: Callable[[str], str]) -> Path | None:
    # Without arguments: a prompt is the person's own business.
    text = f"kimi-code {__version__}, Python {sys.version}, {sys.platform}\n\n"
    text = scrub(text + "".join(traceback.format_exception(error)))
    for folder in _folders():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            file = folder / f"crash-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
            file.write_text(text, encoding="utf-8", errors="backslashreplace")
        except OSError:
            continue
        return file
    return None


def _folders() -> Iterable[Path]:
    try:
        from kimi_code.config import find_places

        yield find_places(os.environ, Path.cwd()).data_dir / "crashes"
    except Exception:  # the bug may be in there
        pass
    import tempfile

    yield Path(tempfile.gettempdir())

"""Standard output and standard error, whatever they are: a terminal, a closed pipe, a full disk."""

import contextlib
import os
import sys
from typing import TextIO

from kimi_code.controls import clean


def write(stream: TextIO, text: str) -> None:
    """Write and flush. Characters the stream's encoding lacks are replaced; control sequences reach no terminal.

    Raises OSError when it cannot be written (BrokenPipeError when the reader went away); the stream is `discard`ed
    then, so that nothing fails again.
    """
    if stream.isatty():
        text = clean(text)
    try:
        try:
            stream.write(text)
        except UnicodeEncodeError:
            encoding = stream.encoding or "ascii"
            stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        stream.flush()
    except OSError:
        discard(stream)
        raise


def write_bytes(stream: TextIO, content: bytes) -> None:
    """As `write`, but exact where the stream is no terminal: a patch may hold bytes that are no text."""
    buffer = getattr(stream, "buffer", None)
    if buffer is None or stream.isatty():
        write(stream, content.decode(errors="replace"))
        return
    try:
        stream.flush()
        buffer.write(content)
        buffer.flush()
    except OSError:
        discard(stream)
        raise


def tell(text: str) -> None:
    """A line for a person on standard error; where nobody can read it, work goes on."""
    with contextlib.suppress(OSError):
        write(sys.stderr, clean(text) + "\n")


def discard(stream: TextIO) -> None:
    """From now on what is written goes nowhere, what the interpreter still flushes at its end included."""
    with contextlib.suppress(OSError, ValueError):  # a stream without a descriptor has nothing to redirect
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)

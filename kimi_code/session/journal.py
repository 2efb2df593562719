"""The append-only log of a session: a record a line. Resume is replay; a torn last line is dropped."""

import contextlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from io import FileIO
from pathlib import Path

from kimi_code.errors import UsageError
from kimi_code.events import Record, StepEnded, TextDelta, ThoughtDelta, ToolProgressed, TurnEnded, TurnStarted
from kimi_code.session.codec import UnknownRecord, decode, encode
from kimi_code.values import frozen

RECORDS = "records.jsonl"

# Deltas are events but not history; the completed message is kept.
NOT_KEPT = (TextDelta, ThoughtDelta, ToolProgressed)
_SYNC_TURNS = (TurnStarted, TurnEnded)
_SYNC_AFTER = (*_SYNC_TURNS, StepEnded)


@frozen
class Replay:
    """What a journal holds. `dropped` counts lines that could not be read, `unknown` those of a newer version."""

    records: tuple[Record, ...]
    dropped: int = 0
    unknown: int = 0


def read(path: Path) -> Replay:
    """Every readable record of the journal in order; a torn or foreign line is skipped and counted, never an error."""
    records: list[Record] = []
    dropped = unknown = 0
    for line in _lines(path):
        try:
            records.append(decode(line))
        except UnknownRecord:
            unknown += 1
        except (ValueError, KeyError, TypeError):
            dropped += 1
    return Replay(tuple(records), dropped, unknown)


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            yield from (line for line in file if line.strip())
    except FileNotFoundError:
        return


class Journal:
    """Writes records as they come. A write that fails (a full disk) raises OSError; what was written before stays.

    With `sync_steps` the disk is told to keep each step, else only turns. Raises UsageError when another process has
    the session open.
    """

    def __init__(self, folder: Path, to_line: Callable[[Record], str] = encode, *, sync_steps: bool = True) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        # Prompts and file contents are in here: for the owner's eyes only.
        with contextlib.suppress(OSError):
            folder.chmod(0o700)
        self.path = folder / RECORDS
        self._to_line = to_line
        self._sync_after = _SYNC_AFTER if sync_steps else _SYNC_TURNS
        self._file = open_locked(self.path)
        self._sync = ThreadPoolExecutor(1, thread_name_prefix="journal-fsync")
        self._pending: Future[None] | None = None

    def write(self, record: Record) -> None:
        """Append, and hand over to the system at once, so that `kill -9` loses nothing that was written."""
        event = record.event
        if isinstance(event, NOT_KEPT):
            return
        line = memoryview(self._to_line(record).encode("ascii") + b"\n")
        while line:
            line = line[self._file.write(line) :]
        if isinstance(event, self._sync_after):
            self._sync_soon()

    def _sync_soon(self) -> None:
        # fsync guards against a power cut only, so the next request need not wait for it; one at a time is enough.
        if self._pending is None or self._pending.done():
            self._pending = self._sync.submit(os.fsync, self._file.fileno())

    def close(self) -> None:
        """Wait for the disk and close; safe to call twice."""
        if self._file.closed:
            return
        self._sync.shutdown(wait=True)
        with contextlib.suppress(OSError):
            os.fsync(self._file.fileno())
        self._file.close()


def open_locked(path: Path) -> FileIO:
    """A journal to append to, a torn last line ended. Raises UsageError when another process has it."""
    file = _open_for_append(path)
    _lock(file)
    return file


def _open_for_append(path: Path) -> FileIO:
    # Without a buffer: what a full disk refused is not tried again when the file is closed.
    file = path.open("ab", buffering=0)
    if file.tell() > 0:
        # A kill in the middle of a write leaves a torn line: end it, so that the next record has a line of its own.
        with path.open("rb") as reader:
            reader.seek(-1, os.SEEK_END)
            if reader.read(1) != b"\n":
                file.write(b"\n")
    return file


def _lock(file: FileIO) -> None:
    # Two writers would interleave two conversations. The lock goes with the process, however it ends.
    try:
        import fcntl
    except ImportError:  # Windows: opening the same session twice is not prevented there
        return
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise UsageError(
            "This session is open in another process.", hint="Wait for it, or start without -c/-r."
        ) from None
    except OSError:  # a file system without locks
        return

"""Where the checkpoints of a folder are, how a session comes by them, and their daily tidying."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kimi_code.repo.checkpoint import Checkpoints
    from kimi_code.repo.snapshot import Snapshots

_FOLDER = "snapshots"
_TIDIED = "tidied"  # its time stamp says when it was done last
_DAY = 86_400.0


def open_checkpoints(
    root: Path, data_dir: Path, config_dir: Path, *, file_mb: int, patient: bool = False
) -> "Checkpoints":
    """The checkpoints of the working tree around `root`: its repository's, or `root` itself where there is none.

    `patient` are those of somebody who waits for them: a turn that left far too many files can still be undone.
    """
    from kimi_code.repo.checkpoint import Checkpoints

    return Checkpoints(open_snapshots(root, data_dir, config_dir, file_mb=file_mb, patient=patient))


def open_snapshots(root: Path, data_dir: Path, config_dir: Path, *, file_mb: int, patient: bool = False) -> "Snapshots":
    """Snapshots of the same working tree, in the same store."""
    from kimi_code.repo.snapshot import Limits, Snapshots

    limits = Limits(file=file_mb * 1_000_000)
    if patient:
        limits = Limits(limits.file, files=1_000_000, total=10_000_000_000, seconds=600.0)
    return Snapshots(root, store_folder(data_dir), exclude=[data_dir, config_dir], limits=limits)


def store_folder(data_dir: Path) -> Path:
    """Where the stores of all working trees are."""
    return data_dir / _FOLDER


class HeldCheckpoints:
    """A session's way to its folder's checkpoints: opened at the first call, beside the first request to the model.

    From then on until `close` those of the session are held, so that nobody prunes them.
    """

    def __init__(self, session: str, open: "Callable[[], Checkpoints]") -> None:
        self._session = session
        self._open = open
        self._opened: Checkpoints | None = None
        self._held = ExitStack()

    def __call__(self) -> "Checkpoints":
        if self._opened is None:
            self._opened = self._open()
            self._held.enter_context(self._opened.hold(self._session))
        return self._opened

    async def close(self) -> None:
        """Let go of them; safe to call twice."""
        self._held.close()


def tidy_if_due(data_dir: Path, root: Path, command: Sequence[str], *, now: float | None = None) -> bool:
    """Once a day, start `command` in `root` and do not wait for it; whether it was started.

    The first time only the day is noted: there is nothing old yet.
    """
    mark = store_folder(data_dir) / _TIDIED
    now = time.time() if now is None else now
    try:
        last = mark.stat().st_mtime if mark.exists() else None
        if last is not None and now - last < _DAY:
            return False
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()
        os.utime(mark, (now, now))
        if last is None:
            return False
        _start(command, root)
    except OSError:
        return False  # nothing that anybody waits for
    return True


def _start(command: Sequence[str], root: Path) -> None:
    quiet = subprocess.DEVNULL
    if sys.platform == "win32":
        flags = subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP
        subprocess.Popen(command, cwd=root, stdin=quiet, stdout=quiet, stderr=quiet, creationflags=flags)
    else:
        subprocess.Popen(command, cwd=root, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True)

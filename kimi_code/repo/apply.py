"""Put a set of changes into a folder: all of them, or none. Staged in a folder beside, renamed into place, rolled back.

Nothing is followed: a symlink on the way to a file is an obstacle, and so is any content but the expected.
"""

import asyncio
import os
import shutil
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kimi_code.repo.trees import Entry
from kimi_code.values import frozen


@frozen
class Step:
    """One path (relative, forward slashes): what must be there now, and what shall be; None is nothing."""

    path: str
    before: Entry | None
    after: Entry | None


async def carry_out(top: Path, steps: Sequence[Step]) -> tuple[str, ...]:
    """Do all steps below `top`, or change nothing and return why not, a sentence for each path.

    Cancelling waits for the end: a change is never left half made.
    """
    work = asyncio.ensure_future(asyncio.to_thread(_carry_out, top, steps))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait({work})
        raise


def _carry_out(top: Path, steps: Sequence[Step]) -> tuple[str, ...]:
    leaving = frozenset(step.path for step in steps if step.after is None)
    reasons = tuple(f"{step.path} {why}" for step in steps if (why := _trouble(top, step, leaving)))
    if reasons or not steps:
        return reasons
    change = _Change(top, top / f".{os.urandom(6).hex()}.kimi-code.tmp")
    path = ""
    try:
        change.stage.mkdir(mode=0o700)
        for number, step in enumerate(steps):
            path = step.path
            change.prepare(number, step)
        # Removals first: a file may become a folder, and a folder a file.
        for number, step in sorted(enumerate(steps), key=lambda pair: pair[1].after is not None):
            path = step.path
            change.perform(number, step)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        return (f"{path} cannot be written: {why}. Nothing was changed.", *change.roll_back())
    shutil.rmtree(change.stage, ignore_errors=True)
    return ()


@dataclass(slots=True)
class _Change:
    """The work in progress. `undo` takes back what was done, the last first."""

    top: Path
    stage: Path
    undo: list[Callable[[], object]] = field(default_factory=list[Callable[[], object]])

    def prepare(self, number: int, step: Step) -> None:
        """Write the new content aside, with the mode that the old one has."""
        if step.after is None:
            return
        fresh = self.stage / f"{number}.new"
        if step.after.mode == "symlink":
            fresh.symlink_to(os.fsdecode(step.after.content))
            return
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
        with os.fdopen(fd, "wb") as file:
            file.write(step.after.content)
            file.flush()
            os.fsync(fd)
        if step.before is not None and step.before.mode != "symlink":
            mode = stat.S_IMODE((self.top / step.path).lstat().st_mode)
        else:
            mode = stat.S_IMODE(fresh.lstat().st_mode)
        fresh.chmod(_executable(mode) if step.after.mode == "executable" else mode & ~0o111)

    def perform(self, number: int, step: Step) -> None:
        path, old = self.top / step.path, self.stage / f"{number}.old"
        if step.before is not None:
            if not _is(path, step.before):
                raise ValueError("it has changed just now")
            self._keep(path, old, stays=step.after is not None)
        elif os.path.lexists(path):
            raise ValueError("something is there")
        if step.after is None:
            self._remove_empty(path.parent)
            return
        self._make_folders(path.parent)
        (self.stage / f"{number}.new").replace(path)
        if step.before is None:
            self.undo.append(path.unlink)

    def roll_back(self) -> tuple[str, ...]:
        """Take everything back; a sentence for what could not be, and where it is kept."""
        troubles: list[str] = []
        for act in reversed(self.undo):
            try:
                act()
            except OSError as error:
                troubles.append(f"Taking it back failed ({error}); what was there is in {self.stage}.")
        if not troubles:
            shutil.rmtree(self.stage, ignore_errors=True)
        return tuple(troubles)

    def _keep(self, path: Path, old: Path, *, stays: bool) -> None:
        """Put the old file aside; one that is replaced stays in its place until then, where links are possible."""
        self.undo.append(lambda: old.replace(path) if os.path.lexists(old) else None)
        if stays:
            try:
                os.link(path, old, follow_symlinks=False)
                return
            except (OSError, NotImplementedError):
                pass
        path.rename(old)

    def _remove_empty(self, folder: Path) -> None:
        while folder != self.top:
            mode = stat.S_IMODE(folder.lstat().st_mode)
            try:
                folder.rmdir()
            except OSError:
                return  # not empty
            self.undo.append(lambda folder=folder, mode=mode: (folder.mkdir(), folder.chmod(mode)))
            folder = folder.parent

    def _make_folders(self, folder: Path) -> None:
        missing: list[Path] = []
        while not os.path.lexists(folder):
            missing.append(folder)
            folder = folder.parent
        for each in reversed(missing):
            each.mkdir()
            self.undo.append(each.rmdir)


def _trouble(top: Path, step: Step, leaving: frozenset[str]) -> str:
    try:
        return _obstacle(top, step, leaving)
    except (OSError, ValueError) as error:
        return f"cannot be written: {getattr(error, 'strerror', None) or error}."


def _obstacle(top: Path, step: Step, leaving: frozenset[str]) -> str:
    """Why a step cannot be done; "" when it can."""
    parts = step.path.split("/")
    if not all(parts) or ".." in parts or "." in parts or any(part.lower() == ".git" for part in parts):
        return "is no path of a file."
    for depth in range(1, len(parts)):
        parent = "/".join(parts[:depth])
        status = _status(top / parent)
        if status is None or parent in leaving:
            break
        if not stat.S_ISDIR(status.st_mode):
            return f"cannot be written: {parent} is no folder any more."
    path = top / step.path
    status = _status(path)
    if step.before is None:
        if status is None or _below(status, path, leaving, top):
            return ""
        return "is to be created, but there is something already, which git ignores. Move it away first."
    if status is None:
        return "is gone."
    return "" if _is(path, step.before) else "was changed just now."


def _below(status: os.stat_result, path: Path, leaving: frozenset[str], top: Path) -> bool:
    """Whether what is at `path` is only on the way of a removal: a folder with nothing else in it."""
    if not stat.S_ISDIR(status.st_mode):
        return False
    files = [
        Path(folder, name) for folder, folders, names in os.walk(path) for name in (*names, *_links(folder, folders))
    ]
    return bool(files) and all(file.relative_to(top).as_posix() in leaving for file in files)


def _links(folder: str, names: Sequence[str]) -> list[str]:
    return [name for name in names if Path(folder, name).is_symlink()]


def _is(path: Path, entry: Entry) -> bool:
    """Whether the file there is as expected, byte for byte."""
    status = _status(path)
    if status is None:
        return False
    if stat.S_ISLNK(status.st_mode):
        return entry.mode == "symlink" and os.fsencode(path.readlink()) == entry.content
    if not stat.S_ISREG(status.st_mode) or entry.mode == "symlink" or status.st_size != len(entry.content):
        return False
    fd = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(fd, "rb") as file:
        return file.read() == entry.content


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _executable(mode: int) -> int:
    return mode | (mode & 0o444) >> 2

"""How much a snapshot may be, and which files are too large for one or cannot be read."""

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from kimi_code.repo.shadow import USUALLY_IGNORED
from kimi_code.values import frozen

_NEVER = {pattern.rstrip("/") for pattern in USUALLY_IGNORED} | {".git"}


@frozen
class Limits:
    """How much work a snapshot may be: sizes in bytes, `seconds` for one of them.

    `files` and `total` bound a folder without a repository, and what is untracked in one with.
    """

    file: int = 50_000_000
    files: int = 20_000
    total: int = 200_000_000
    seconds: float = 15.0


class TooMuch(Exception):
    """More than the limits allow; the text says of what."""


@frozen
class Gauge:
    """Measures files of the folder `root` by the `limits`, and never looks into `exclude`."""

    root: Path
    limits: Limits
    exclude: tuple[Path, ...]

    def left_out(self, worktree: Path, untracked: Iterable[str], modified: Iterable[str]) -> dict[str, str]:
        """Paths that are not looked into, with the reason; raises when there is too much that is new."""
        left_out: dict[str, str] = {}
        count = total = 0
        for path in untracked:
            size, why = self._measure(worktree / path)
            if why:
                left_out[path] = why
            else:
                count, total = count + 1, total + size
                self._check(count, total)
        for path in modified:
            _, why = self._measure(worktree / path)
            if why:
                left_out[path] = why
        return left_out

    def _measure(self, path: Path) -> tuple[int, str]:
        try:
            status = path.lstat()
        except OSError:
            return 0, ""  # deleted, or gone since: git will see
        if stat.S_ISREG(status.st_mode) and status.st_size > self.limits.file:
            return 0, f"is larger than {self.limits.file // 1_000_000} MB; its changes are not counted"
        if stat.S_ISREG(status.st_mode) and not os.access(path, os.R_OK):
            return 0, "cannot be read; its changes are not counted"
        return status.st_size, ""

    def _check(self, count: int, total: int) -> None:
        if count > self.limits.files or total > self.limits.total:
            much = f"{self.limits.files} files" if count > self.limits.files else f"{total // 1_000_000} MB"
            raise TooMuch(f"there is too much in {self.root} that is in no repository: over {much}")

    def is_too_much(self, folder: Path) -> bool:
        try:
            self.measure_all(folder)
        except TooMuch:
            return True
        return False

    def measure_all(self, folder: Path) -> None:
        """Walk a folder that has no repository, only until it turns out to be too large."""
        count = total = 0
        for entry in self._files(folder):
            size, why = self._measure(Path(entry.path))
            if not why:
                count, total = count + 1, total + size
                self._check(count, total)

    def first_file(self, folder: Path) -> Path | None:
        """Any file in `folder` or below it; None when there is none."""
        return next((Path(entry.path) for entry in self._files(folder)), None)

    def _files(self, folder: Path) -> "Iterator[os.DirEntry[str]]":
        folders = [str(folder)]
        while folders:
            try:
                with os.scandir(folders.pop()) as entries:
                    for entry in entries:
                        if entry.name in _NEVER or Path(entry.path) in self.exclude:
                            continue
                        if entry.is_dir(follow_symlinks=False):
                            folders.append(entry.path)
                        else:
                            yield entry
            except OSError:
                continue

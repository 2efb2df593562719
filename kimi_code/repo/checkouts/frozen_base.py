"""The files of a moment, laid out once for all copies, and kept for the next moment, which is seldom far from it."""

import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from kimi_code.repo.checkouts.claims import aside
from kimi_code.repo.checkouts.frozen import Moment
from kimi_code.repo.lock import FileLock
from kimi_code.repo.shadow import ShadowError

_FOLDER = "base"
_KEPT_FOR = 7 * 86_400.0  # seconds without use


@dataclass(slots=True)
class FrozenBase:
    """The laid out files in `folder`. Under its lock, so that nothing changes below a living copy."""

    folder: Path
    _lock: FileLock

    @property
    def _index(self) -> Path:
        """What the files are, and their times; absent while they are being changed."""
        return self.folder.with_name(f"{_FOLDER}.index")

    async def bring_to(self, moment: Moment, forget: Callable[[Path], None]) -> None:
        """Make the files those of `moment`: only what differs is written. `forget` is to delete what cannot be used.

        Raises ShadowError and OSError.
        """
        index = self._index.with_suffix(".busy")
        try:
            self._index.replace(index)
            await moment.adjust(self.folder, index)
        except (ShadowError, FileNotFoundError):
            if (gone := aside(self.folder)) is not None:
                forget(gone)
            await moment.lay_out(self.folder)
        shutil.copy2(moment.index, self._index)

    def release(self) -> None:
        """No copy is over it any more."""
        self._lock.release()

    def drop(self) -> Path | None:
        """Give up the files; the name they now have, to be deleted."""
        self._index.unlink(missing_ok=True)
        return aside(self.folder)


def take(place: Path) -> FrozenBase | None:
    """The base in `place`, until it is released; None while somebody else has it. Raises OSError."""
    path = place / f"{_FOLDER}.lock"
    lock = FileLock(path)
    if not lock.attempt():
        return None
    os.utime(path)  # its time is when it was last used
    return FrozenBase(place / _FOLDER, lock)


def set_aside_old(home: Path) -> list[Path]:
    """Rename those in all places in `home` that were not used for a week; the new names, to be deleted. Blocks."""
    gone: list[Path | None] = []
    for lock in home.glob(f"*/{_FOLDER}.lock"):
        with suppress(OSError):
            if time.time() - lock.stat().st_mtime > _KEPT_FOR and (base := take(lock.parent)):
                gone.append(base.drop())
                base.release()
    return [path for path in gone if path is not None]

"""Folders of ours that belong to a living process: claimed by a lock on a file beside, given up by a rename."""

import shutil
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from kimi_code.repo.lock import FileLock
from kimi_code.values import frozen

_GONE = "gone."  # begins the names of folders that are to be deleted


@frozen
class Claim:
    """A folder that is ours until it is given up, or the process dies."""

    folder: Path
    lock: FileLock

    def give_up(self) -> Path | None:
        """The name the folder now has, to be deleted."""
        gone = aside(self.folder)
        if gone is not None or not self.folder.exists():
            with suppress(OSError):
                _owner(self.folder).unlink()
        self.lock.release()
        return gone


def claim(place: Path) -> Claim:
    """Make a new folder in `place`. Raises OSError."""
    folder = place / uuid4().hex[:12]
    lock = FileLock(_owner(folder))  # there first: a folder without one is nobody's
    lock.attempt()
    folder.mkdir()
    return Claim(folder, lock)


def set_aside_leftovers(place: Path) -> list[Path]:
    """Rename what killed runs have left in `place`; the new names, to be deleted. Blocks."""
    gone: list[Path | None] = [path for path in place.glob(f"{_GONE}*") if path.is_dir()]
    for folder in [owner.with_suffix("") for owner in place.glob("*.owner")]:
        lock = FileLock(_owner(folder))
        with suppress(OSError):
            # One without a folder may be that of a process that is about to make it.
            if folder.is_dir() and lock.attempt():
                gone.append(Claim(folder, lock).give_up())
    return [path for path in gone if path is not None]


def aside(folder: Path) -> Path | None:
    """Rename a folder that is to be deleted; None where it cannot be, or is not there."""
    gone = folder.with_name(f"{_GONE}{uuid4().hex[:12]}")
    try:
        folder.rename(gone)
    except OSError:
        return None
    return gone


def delete(folder: Path) -> None:
    """Delete a folder with whatever is in it; what cannot be deleted stays for the next sweep. Blocks."""

    def open_up(function: object, path: str, error: object) -> None:
        # Commands, and the kernel for overlays, leave folders that nobody may look into.
        with suppress(OSError):
            parent = Path(path).parent
            parent.chmod(0o700)
            if Path(path).is_dir() and not Path(path).is_symlink():
                Path(path).chmod(0o700)
                shutil.rmtree(path, ignore_errors=True)
            else:
                Path(path).unlink(missing_ok=True)

    shutil.rmtree(folder, onerror=open_up)  # pyright: ignore[reportDeprecated]  (onexc came with 3.12)


def _owner(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.owner")

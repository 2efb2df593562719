"""Copy a folder: by sharing blocks (FICLONE) where the file system can, byte by byte where not."""

import os
import shutil
import stat
import sys
from pathlib import Path

_FICLONE = 0x40049409  # linux/fs.h


def can_reflink(folder: Path) -> bool:
    """Whether files in `folder` can share blocks; tried with a file of 4 kB."""
    if sys.platform != "linux":
        return False
    one, other = (folder / f".{os.urandom(6).hex()}.{name}" for name in ("from", "to"))
    try:
        one.write_bytes(bytes(4096))
        return _clone(one, other)
    except OSError:
        return False
    finally:
        one.unlink(missing_ok=True)
        other.unlink(missing_ok=True)


def copy_tree(source: Path, target: Path) -> None:
    """Copy a folder with modes, times and symlinks; sockets and pipes are left out. `target` may exist. Blocks."""
    target.mkdir(exist_ok=True)
    folders: list[tuple[Path, Path]] = [(source, target)]
    for here, there in folders:
        for entry in os.scandir(here):
            copy = there / entry.name
            if entry.is_symlink():
                copy.symlink_to(os.readlink(entry.path))  # noqa: PTH115  (word for word)
                shutil.copystat(entry.path, copy, follow_symlinks=False)
            elif entry.is_dir():
                copy.mkdir()
                folders.append((Path(entry.path), copy))
            elif entry.is_file():
                if not _clone(Path(entry.path), copy):
                    shutil.copyfile(entry.path, copy)
                shutil.copystat(entry.path, copy)
    for here, there in reversed(folders):
        there.chmod(stat.S_IMODE(here.stat().st_mode) | 0o700)


def _clone(source: Path, target: Path) -> bool:
    if sys.platform != "linux":
        return False
    import fcntl

    with source.open("rb") as old, target.open("wb") as new:
        try:
            fcntl.ioctl(new.fileno(), _FICLONE, old.fileno())
        except OSError:
            return False
    return True

"""All stores of checkpoints on this machine: which working tree each is of, and the end of those whose tree is gone."""

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

from kimi_code.repo.checkpoints.checkpoint_log import LOG, Log
from kimi_code.repo.checkpoints.report import Pruned
from kimi_code.repo.checkpoints.retention import size_of
from kimi_code.repo.lock import FileLock
from kimi_code.repo.shadow import WORKTREE


def worktrees(home: Path) -> list[Path]:
    """The working trees that have a store in `home` and are there."""
    return sorted(tree for tree, _ in _stores(home) if os.access(tree, os.R_OK | os.X_OK) and tree.is_dir())


def forget_gone(home: Path, keep_seconds: float) -> Pruned:
    """Delete the stores of working trees that are not there any more, once nothing was kept for `keep_seconds`.

    A tree may be on a disk that is away for a while: until then its store stays. Blocks.
    """
    checkpoints = freed = 0
    for folder in home.glob("gone.*"):  # of one that was killed
        shutil.rmtree(folder, ignore_errors=True)
    for tree, store in _stores(home):
        if os.path.lexists(tree) or time.time() - _last_use(store) < keep_seconds:
            continue
        kept, size = len(Log(store / LOG).refresh().checkpoints), size_of(store)
        if _delete(store):
            checkpoints, freed = checkpoints + kept, freed + size
    return Pruned(checkpoints, freed)


def _stores(home: Path) -> Iterator[tuple[Path, Path]]:
    for store in sorted(home.iterdir()) if home.is_dir() else ():
        try:
            yield Path(os.fsdecode((store / WORKTREE).read_bytes())), store
        except OSError:
            continue


def _last_use(store: Path) -> float:
    """In Unix seconds; what cannot be known is now."""
    try:
        return max(path.stat().st_mtime for path in (store / LOG, store / WORKTREE) if path.exists())
    except (OSError, ValueError):
        return time.time()


def _delete(store: Path) -> bool:
    """Out of the way in one step, unless somebody is at work in it."""
    lock = FileLock(store / "lock")
    gone = store.with_name(f"gone.{uuid4().hex[:12]}")
    try:
        if not lock.attempt():
            return False
        if os.name == "nt":  # where a folder with an open file in it cannot be renamed
            lock.release()
        store.rename(gone)
    except OSError:
        return False
    finally:
        lock.release()
    shutil.rmtree(gone, ignore_errors=True)
    return True

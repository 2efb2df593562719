"""Changes of files as they happen, one watcher per root, on no folder that holds nothing of ours.

The only importer of watchfiles. What a watcher misses is found by the look at the tree before each answer.
"""

import asyncio
import os
import sys
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

FOLDERS_MOST = 8_192  # what older Linux allows a user for everything
_DEBOUNCE_MS = 400
_STEP_MS = 100
_LIMIT = Path("/proc/sys/fs/inotify/max_user_watches")

Changed = Callable[[set[str]], None]  # paths relative to the root, with forward slashes; none: look everywhere


class Watcher:
    """Tells of changes in the folders it follows, and in no other. `note` says why it does not; "" when it does.

    `most` is how many folders may be watched, by default what the system's limits allow.
    """

    def __init__(self, root: Path, changed: Changed, *, most: int | None = None) -> None:
        self._most = _allowed() if most is None else most
        self._root = root
        self._changed = changed
        self._folders: frozenset[str] = frozenset()
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.note = ""

    @property
    def running(self) -> bool:
        """Whether changes are being told of."""
        return self._task is not None and not self._task.done() and not self.note

    async def follow(self, folders: Collection[str]) -> None:
        """Watch these folders (relative to the root, "" is the root itself), in the place of those before."""
        wanted = frozenset(folders)
        if wanted <= self._folders:
            return
        await self.close()
        if len(wanted) > self._most:
            self.note = f"no watcher: {len(wanted)} folders are more than this system lets us watch"
            return
        self._folders, self._stop, self.note = wanted, asyncio.Event(), ""
        self._task = asyncio.create_task(self._watch(wanted, self._stop))

    async def _watch(self, folders: frozenset[str], stop: asyncio.Event) -> None:
        try:
            from watchfiles import awatch  # pyright: ignore[reportUnknownVariableType]  (its type names trio's, too)
        except ImportError as error:
            self.note = f"no watcher: {error}"
            return
        # inotify wants a watch for every folder; the others watch a whole tree at the price of one folder.
        each = sys.platform == "linux"
        paths = [path for name in sorted(folders) if (path := self._root / name).is_dir()] if each else [self._root]
        try:
            async for changes in awatch(
                *paths, watch_filter=None, debounce=_DEBOUNCE_MS, step=_STEP_MS, stop_event=stop, recursive=not each
            ):
                told = {self._relative(path) for _, path in changes}
                if told := {path for path in told if path.rpartition("/")[0] in folders}:
                    self._changed(told)
        except (OSError, RuntimeError) as error:
            self.note = f"no watcher: {error}"
            self._folders = frozenset()

    def _relative(self, path: str) -> str:
        return os.path.relpath(path, self._root).replace(os.sep, "/")

    async def close(self) -> None:
        """Stop watching. Safe to call twice."""
        task, self._task = self._task, None
        self._stop.set()
        self._folders = frozenset()
        if task is not None:
            with suppress(asyncio.CancelledError):
                await asyncio.wait({task})


def _allowed() -> int:
    """How many folders may be watched: a quarter of what the user's programs share."""
    if sys.platform != "linux":
        return sys.maxsize
    try:
        return min(FOLDERS_MOST, int(_LIMIT.read_text()) // 4)
    except (OSError, ValueError):
        return FOLDERS_MOST

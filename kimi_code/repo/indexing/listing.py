"""Which files a tree has, and which of them changed: git's list, else our own walk; each file's status."""

import asyncio
import os
import stat
from collections.abc import Iterable
from itertools import islice, takewhile
from pathlib import Path
from threading import Event

from kimi_code.repo.git import run_git
from kimi_code.repo.shadow import USUALLY_IGNORED
from kimi_code.values import frozen

FILES_MOST = 200_000  # more is no project; the first in the order of the walk are known

_SKIPPED_FOLDERS = frozenset(name.strip("/") for name in USUALLY_IGNORED if name.endswith("/"))

Stamp = tuple[int, int]  # size in bytes, time of change in nanoseconds


@frozen
class Listing:
    """Paths relative to the root with forward slashes, sorted; `complete` is False when there are too many.

    `raw` is what git said.
    """

    paths: tuple[str, ...]
    complete: bool = True
    raw: bytes = b""


async def list_files(root: Path, before: Listing | None = None) -> Listing:
    """All files that no ignore file excludes, tracked or not; `before` itself when they are the same.

    Without git, or where it refuses, by our own walk.
    """
    output = await run_git(("ls-files", "-co", "--exclude-standard", "-z"), root)
    if output.code == 0:
        if before is not None and output.stdout == before.raw:
            return before
        # A folder with a repository of its own ends with a slash.
        names = {name for name in output.stdout.split(b"\0") if name and not name.endswith(b"/")}
        return _listing(map(os.fsdecode, names), output.stdout)
    stopped = Event()
    try:
        walked = await asyncio.to_thread(walk_files, root, stopped)
    finally:
        stopped.set()  # the process could not end before a thread that walks through a whole disk
    return before if before is not None and before.paths == walked.paths else walked


def walk_files(root: Path, stopped: Event) -> Listing:
    """The files that our own walk finds until it is `stopped`."""
    from kimi_code.repo.walk import walk

    start = len(os.path.join(root, ""))  # noqa: PTH118  (with one slash at its end)
    paths = takewhile(lambda _: not stopped.is_set(), walk(root, _SKIPPED_FOLDERS))
    return _listing(str(path)[start:].replace(os.sep, "/") for path in paths)


def _listing(paths: Iterable[str], raw: bytes = b"") -> Listing:
    found = list(islice(paths, FILES_MOST + 1))
    return Listing(tuple(sorted(found[:FILES_MOST])), len(found) <= FILES_MOST, raw)


def stamps(root: Path, paths: Iterable[str]) -> dict[str, Stamp]:
    """The size and time of every path that is a regular file; neither symlinks nor what vanished. About 3 us each."""
    found: dict[str, Stamp] = {}
    base = os.path.join(root, "")  # noqa: PTH118  (with one slash at its end)
    lstat, is_regular = os.lstat, stat.S_ISREG
    for path in paths:
        try:
            status = lstat(base + path)
        except (OSError, ValueError):
            continue
        if is_regular(status.st_mode):
            found[path] = (status.st_size, status.st_mtime_ns)
    return found


async def recently_committed(root: Path, commits: int = 60) -> tuple[str, ...]:
    """Files of the latest commits, newest first; none where there is no git."""
    args = ("log", f"-n{commits}", "--format=", "--name-only", "--no-renames", "--no-merges", "--relative", "-z")
    output = await run_git((*args, "--no-ext-diff", "--no-textconv"), root)
    names = (name.strip(b"\n") for name in output.stdout.split(b"\0")) if output.code == 0 else ()
    return tuple(dict.fromkeys(os.fsdecode(name) for name in names if name))

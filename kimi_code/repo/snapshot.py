"""What a folder's files are at a moment, as a git tree in a shadow repository, and what differs between two moments.

The user's repository lends its objects and its list of ignored files; nothing of it is ever written.
"""

import asyncio
import hashlib
import os
import posixpath
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal
from uuid import uuid4

from kimi_code.events import FileChange
from kimi_code.repo.git import GitFolders, find_folders, find_root, run_git
from kimi_code.repo.shadow import USUALLY_IGNORED, Shadow, ShadowError, build, read_config, seed
from kimi_code.values import frozen


@frozen
class Limits:
    """How much work a snapshot may be: sizes in bytes, `seconds` for one of them.

    `files` and `total` bound a folder without a repository, and what is untracked in one with.
    """

    file: int = 50_000_000
    files: int = 20_000
    total: int = 200_000_000
    seconds: float = 15.0


@frozen
class Snapshot:
    """The files of a moment: `tree` is a git tree's id in the shadow repository.

    `notes` name what is left out (nested repositories, huge or unreadable files), a sentence each.
    """

    tree: str
    notes: tuple[str, ...] = ()


class _TooMuch(Exception):
    """More than the limits allow."""


class Snapshots:
    """Snapshots of the working tree that `root` lies in (its repository's, or `root` itself without one).

    `store` is where shadow repositories live, one per working tree, shared by all sessions; `exclude` are folders whose
    content is never looked at, such as our own data when they lie inside. Nothing here raises but for cancellation.
    """

    def __init__(self, root: Path, store: Path, *, exclude: Sequence[Path] = (), limits: Limits | None = None) -> None:
        self._root = root.resolve()
        self._store = store.resolve()
        self._exclude = tuple(path.resolve() for path in (store, *exclude))
        self._limits = limits or Limits()
        self._turn = asyncio.Lock()
        self._shadow: Shadow | None = None
        self._reason = ""
        self._hopeless = False

    @property
    def root(self) -> Path:
        """What the paths of changes are relative to."""
        return self._root

    @property
    def shadow(self) -> Shadow | None:
        """The repository that snapshots are stored in; None before the first one."""
        return self._shadow

    @property
    def reason(self) -> str:
        """Why the last snapshot could not be made or compared, for a person; empty when it could."""
        return self._reason

    async def take(self) -> Snapshot | None:
        """The files as they are now, None with a `reason`. After a failure for size or time it is not tried again."""
        async with self._turn:
            if self._hopeless:
                return None
            self._reason = ""
            try:
                async with asyncio.timeout(self._limits.seconds):
                    return await self._take()
            except TimeoutError:
                return self._fail(f"looking at all files took longer than {self._limits.seconds:g} s", hopeless=True)
            except _TooMuch as error:
                return self._fail(str(error), hopeless=True)
            except ShadowError as error:
                return self._fail(str(error))
            except OSError as error:
                return self._fail(f"the snapshot could not be stored: {error}")

    async def changes(self, before: Snapshot, after: Snapshot) -> tuple[FileChange, ...]:
        """The files that differ, by path relative to `root` (`../x` above it).

        Where lines cannot be counted in time, they are 0 and a rename is a deletion and a creation.
        """
        if before.tree == after.tree or self._shadow is None:
            return ()
        prefix = self._root.relative_to(self._shadow.worktree).as_posix()
        diff = ("diff-tree", "-r", "-z", "--raw", "--no-ext-diff", "--no-textconv")
        for details in (("-M", "--numstat"), ("--no-renames",)):
            try:
                async with asyncio.timeout(self._limits.seconds):
                    return parse_diff(await self._shadow.ask(*diff, *details, before.tree, after.tree), prefix)
            except (ShadowError, TimeoutError) as error:
                self._reason = f"the files could not be compared: {error or 'it took too long'}"
        return ()

    def _fail(self, reason: str, *, hopeless: bool = False) -> None:
        self._reason, self._hopeless = reason, hopeless

    async def _take(self) -> Snapshot:
        fresh = self._shadow is None
        if self._shadow is None:
            self._shadow = await self._open()
        shadow = self._shadow
        index = shadow.folder / f"index.{uuid4().hex}"
        try:
            await seed(shadow, index, fresh=fresh)
            try:
                snapshot = await self._record(shadow, index)
            except ShadowError:
                if not shadow.index.exists():
                    raise
                # The cached index may speak of objects that are gone: once more, from nothing.
                shadow.index.unlink(missing_ok=True)
                index.unlink(missing_ok=True)
                await seed(shadow, index, fresh=True)
                snapshot = await self._record(shadow, index)
            if index.exists():
                index.replace(shadow.index)
            return snapshot
        finally:
            index.unlink(missing_ok=True)
            index.with_name(f"{index.name}.lock").unlink(missing_ok=True)

    async def _record(self, shadow: Shadow, index: Path) -> Snapshot:
        async with asyncio.TaskGroup() as group:
            new = group.create_task(shadow.git("ls-files", "-z", "--others", "--exclude-standard", index=index))
            dirty = group.create_task(shadow.git("diff-files", "-z", "--name-only", index=index))
        for output in (new.result(), dirty.result()):
            if output.code != 0:
                raise ShadowError(output.error)
        untracked, modified = _names(new.result().stdout), _names(dirty.result().stdout)
        excluded = self._left_out(shadow.worktree, untracked, modified)
        notes = tuple(f"{path} {why}" for path, why in excluded.items())
        if not excluded.keys() >= {*untracked, *modified}:
            notes += await _add(shadow, index, excluded)
        tree = await shadow.ask("write-tree", "--missing-ok", index=index)
        return Snapshot(tree.decode().strip(), notes=notes)

    def _left_out(self, worktree: Path, untracked: Iterable[str], modified: Iterable[str]) -> dict[str, str]:
        """Paths that are not looked into, with the reason; raises when there is too much that is new."""
        left_out: dict[str, str] = {}
        count = total = 0
        for path in untracked:
            size, why = self._measure(worktree / path)
            if path.endswith("/"):
                why = "is a repository of its own; what changes in it is not counted"
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
        if stat.S_ISREG(status.st_mode) and status.st_size > self._limits.file:
            return 0, f"is larger than {self._limits.file // 1_000_000} MB; its changes are not counted"
        return status.st_size, ""

    def _check(self, count: int, total: int) -> None:
        if count > self._limits.files or total > self._limits.total:
            much = f"{self._limits.files} files" if count > self._limits.files else f"{total // 1_000_000} MB"
            raise _TooMuch(f"there is too much in {self._root} that is in no repository: over {much}")

    async def _open(self) -> Shadow:
        """Find the working tree and make (or find again) its shadow repository."""
        top = find_root(self._root)
        lender = find_folders(top) if top else None
        if top and lender and top != self._root and await _is_ignored(self._root, top, lender):
            lender = None  # a place to play in: the repository around it does not look at it
        worktree = top if top and lender else self._root
        if lender is None:
            await asyncio.to_thread(self._survey)
        config = await read_config(lender, worktree) if lender else {}
        name = hashlib.sha256(os.fsencode(worktree)).hexdigest()[:16]
        shadow = Shadow(self._store / name, worktree, lender, config)
        build(shadow, self._exclude)
        return shadow

    def _survey(self) -> None:
        """Walk a folder that has no repository, only until it turns out to be too large."""
        names = {pattern.rstrip("/") for pattern in USUALLY_IGNORED} | {".git"}
        count = total = 0
        for entry in _walk(self._root, names, self._exclude):
            size, why = self._measure(Path(entry.path))
            if not why:
                count, total = count + 1, total + size
                self._check(count, total)


async def _add(shadow: Shadow, index: Path, excluded: Iterable[str]) -> tuple[str, ...]:
    """Bring the index up to date but for `excluded`; a note when something could not be read."""
    patterns = (".", *(f":(exclude,top,literal){path.rstrip('/')}" for path in excluded))
    add = ("add", "--all", "--ignore-errors", "--pathspec-from-file=-", "--pathspec-file-nul")
    output = await shadow.git(*add, index=index, input=b"\0".join(map(os.fsencode, patterns)))
    # One file that cannot be read does not spoil the rest: git says so, and ends with 1.
    if output.code not in (0, 1):
        raise ShadowError(output.error)
    return (f"some files could not be read ({output.error})",) if output.code else ()


async def _is_ignored(path: Path, top: Path, lender: GitFolders) -> bool:
    query = ("--git-dir", str(lender.own), "--work-tree", str(top), "check-ignore", "-q", "--", str(path))
    return (await run_git(query, top)).code == 0


def _walk(root: Path, skipped: set[str], exclude: tuple[Path, ...]) -> "Iterator[os.DirEntry[str]]":
    folders = [str(root)]
    while folders:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    if entry.name in skipped or Path(entry.path) in exclude:
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    else:
                        yield entry
        except OSError:
            continue


# --- Reading git's answers ----------------------------------------------------------------------------------------


def _names(listing: bytes) -> list[str]:
    return [os.fsdecode(name) for name in listing.split(b"\0") if name]


def parse_diff(output: bytes, prefix: str) -> tuple[FileChange, ...]:
    """Reads `diff-tree -z --raw --numstat`: first `:modes ids STATUS\\0path[\\0new path]` for each, then counts."""
    fields = iter(os.fsdecode(output).split("\0"))
    changes: dict[str, FileChange] = {}
    for entry in fields:
        if entry.startswith(":"):
            letter = entry.rpartition(" ")[2][0]
            path = next(fields)
            path = next(fields) if letter == "R" else path
            changes[path] = FileChange(_relative(path, prefix), _CHANGES.get(letter, "modified"))
        elif entry:
            added, removed, path = entry.split("\t", 2)
            if not path:  # a rename: its old and new name follow
                next(fields)
                path = next(fields)
            changes[path] = replace(changes[path], added=_count(added), removed=_count(removed))
    return tuple(changes.values())


_CHANGES: Mapping[str, Literal["created", "deleted", "renamed"]] = {"A": "created", "D": "deleted", "R": "renamed"}


def _count(text: str) -> int:
    return 0 if text == "-" else int(text)


def _relative(path: str, prefix: str) -> str:
    return path if prefix == "." else posixpath.relpath(path, prefix)

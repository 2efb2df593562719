"""What a folder's files are at a moment, as a git tree in a shadow repository, and what differs between two moments.

The user's repository lends its objects and its list of ignored files; nothing of it is ever written.
"""

import asyncio
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import field
from pathlib import Path
from uuid import uuid4

from kimi_code.events import FileChange
from kimi_code.repo.checkpoints.limits import Gauge, Limits, TooMuch
from kimi_code.repo.checkpoints.raw_diff import parse_diff
from kimi_code.repo.checkpoints.survey import Survey
from kimi_code.repo.checkpoints.surveyor import Surveyor
from kimi_code.repo.git import GitFolders, GitOutput, find_folders, find_root, run_git
from kimi_code.repo.shadow import (
    Shadow,
    ShadowError,
    add_names,
    build,
    ignore_rules,
    is_whole,
    read_config,
    seed,
    seed_names,
)
from kimi_code.values import frozen

__all__ = ["Limits", "Snapshot", "Snapshots"]


@frozen
class Snapshot:
    """The files of a moment: `tree` is a git tree's id in the shadow repository.

    `notes` name what is left out (submodules, huge or unreadable files), a sentence each; `skipped` are the paths. Two
    are equal when their files are; `survey` is what git does not keep, where it was asked for, and `litter` the
    temporary files of ours that it came across.
    """

    tree: str
    notes: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    survey: Survey | None = field(default=None, compare=False, repr=False)
    litter: tuple[str, ...] = field(default=(), compare=False)


_UNTRACKED = ("ls-files", "-z", "--others")
_IGNORED = (*_UNTRACKED, "--ignored", "--exclude-standard", "--directory")


@frozen
class _Last:
    """What the last snapshot left: its index, by time (ns) and size, the tree it makes, and what is not in there; None
    where that is not known."""

    at: int
    size: int
    tree: str
    untracked: tuple[str, ...] | None


@frozen
class _Listing:
    """What git says of the files beside an index, from the time `at` (ns) on; `familiar` when no name came or went
    since the last survey."""

    untracked: tuple[str, ...]
    modified: tuple[str, ...]
    familiar: bool
    at: int


class Snapshots:
    """Snapshots of the working tree that `root` lies in (its repository's, or `root` itself without one).

    `store` is where shadow repositories live, one per working tree, shared by all sessions; `exclude` are folders whose
    content is never looked at, such as our own data when they lie inside. `clock` gives the time in ns. Nothing here
    raises but for cancellation.
    """

    def __init__(
        self,
        root: Path,
        store: Path,
        *,
        exclude: Sequence[Path] = (),
        limits: Limits | None = None,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._root = root.resolve()
        self._store = store.resolve()
        self._exclude = tuple(path.resolve() for path in (store, *exclude))
        self._limits = limits or Limits()
        self._gauge = Gauge(self._root, self._limits, self._exclude)
        self._clock = clock
        self._turn = asyncio.Lock()
        self._shadow: Shadow | None = None
        self._surveyor: Surveyor | None = None
        self._last: _Last | None = None
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

    async def take(self, *, full: bool = False, quick: bool = False) -> Snapshot | None:
        """The files as they are now, None with a `reason`. After a failure for size or time it is not tried again.

        A `full` one has a survey. A `quick` one trusts the times of folders to tell where names came or went, as odd
        file systems do not, and costs half.
        """
        async with self._turn:
            if self._hopeless:
                return None
            self._reason = ""
            try:
                async with asyncio.timeout(self._limits.seconds):
                    return await self._take(full=full, quick=full and quick)
            except TimeoutError:
                return self._fail(f"looking at all files took longer than {self._limits.seconds:g} s", hopeless=True)
            except TooMuch as error:
                return self._fail(str(error), hopeless=True)
            except ShadowError as error:
                return self._fail(str(error))
            except OSError as error:
                return self._fail(f"the snapshot could not be stored in {self._store}: {error.strerror or error}")

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

    async def _take(self, *, full: bool, quick: bool) -> Snapshot:
        fresh = self._shadow is None
        shadow = await self._opened()
        listing = await self._list(shadow, shadow.index, quick=True) if quick else None
        if listing is not None and (unchanged := await self._again(shadow, listing)):
            return unchanged
        index = shadow.folder / f"index.{uuid4().hex}"
        try:
            await seed(shadow, index, fresh=fresh)
            try:
                snapshot, unknown = await self._record(shadow, index, listing, full=full)
            except ShadowError:
                if not shadow.index.exists():
                    raise
                # The cached index may speak of objects that are gone: once more, from nothing.
                shadow.index.unlink(missing_ok=True)
                index.unlink(missing_ok=True)
                await seed(shadow, index, fresh=True)
                snapshot, unknown = await self._record(shadow, index, None, full=full)
            if not await is_whole(shadow, snapshot.tree):
                await seed_names(shadow, index)
                snapshot, unknown = await self._record(shadow, index, None, full=full)
            if index.exists():
                index.replace(shadow.index)
                found = shadow.index.stat()
                self._last = _Last(found.st_mtime_ns, found.st_size, snapshot.tree, unknown)
            return snapshot
        finally:
            index.unlink(missing_ok=True)
            index.with_name(f"{index.name}.lock").unlink(missing_ok=True)

    async def _list(self, shadow: Shadow, index: Path, *, quick: bool) -> _Listing:
        at = self._clock()
        known = self._last.untracked if quick and self._last and self._is_last(index) else None
        async with asyncio.TaskGroup() as group:
            dirty = group.create_task(shadow.git("diff-files", "-z", "--name-only", index=index))
            if known is not None and not (self._surveyor and await asyncio.to_thread(self._surveyor.is_familiar)):
                known = None
            others = (*_UNTRACKED, "--exclude-standard")
            new = group.create_task(shadow.git(*others, index=index)) if known is None else None
        untracked = _names(_checked(new.result())) if new else known or ()
        return _Listing(tuple(untracked), tuple(_names(_checked(dirty.result()))), known is not None, at)

    async def _again(self, shadow: Shadow, listing: _Listing) -> Snapshot | None:
        """The last snapshot, if that is what the files are: nothing is copied or written."""
        if not listing.familiar or listing.modified or listing.untracked or not self._last or not self._surveyor:
            return None
        if not await is_whole(shadow, self._last.tree):
            return None
        survey, litter = await asyncio.to_thread(self._surveyor.renew, ())
        return Snapshot(self._last.tree, survey=survey, litter=tuple(litter))

    async def _record(
        self, shadow: Shadow, index: Path, listing: _Listing | None, *, full: bool
    ) -> tuple[Snapshot, tuple[str, ...] | None]:
        """Also returns what is in no index after it, None where that is not known."""
        listing = listing or await self._list(shadow, index, quick=False)
        nested = [path for path in listing.untracked if path.endswith("/")]
        opaque, adopted = await self._adopt(shadow, index, nested)
        modified, untracked = [*listing.modified, *adopted], listing.untracked
        if len(opaque) < len(nested):
            untracked = _names(await shadow.ask(*_UNTRACKED, "--exclude-standard", index=index))
        untracked = [path for path in untracked if not path.endswith("/")]
        excluded = opaque | self._gauge.left_out(shadow.worktree, untracked, modified)
        notes = tuple(f"{path} {why}" for path, why in excluded.items())
        # Only the survey needs to know the ignored files: it goes on beside what git writes.
        familiar = listing.familiar and not adopted
        survey = self._renew(modified) if familiar else self._survey(shadow, index, opaque, modified, listing.at)
        surveying = asyncio.create_task(survey) if full else survey.close()
        unread: tuple[str, ...] = ()
        try:
            if fresh := [path for path in dict.fromkeys((*modified, *untracked)) if path not in excluded]:
                unread = await _add(shadow, index, fresh, excluded)
            tree = self._last.tree if self._last and not (fresh or opaque or adopted) and self._is_last(index) else ""
            tree = tree or (await shadow.ask("write-tree", "--missing-ok", index=index)).decode().strip()
            surveyed, litter = await surveying if surveying else (None, [])
        finally:
            if surveying is not None:
                surveying.cancel()
                await asyncio.wait({surveying})
                if not surveying.cancelled():
                    surveying.exception()  # when something else has failed before, nobody needs to hear of this
        unknown = None if unread else (*opaque, *(path for path in untracked if path in excluded))
        return Snapshot(tree, (*notes, *unread), tuple(excluded), surveyed, tuple(litter)), unknown

    async def _renew(self, modified: Sequence[str]) -> tuple[Survey, list[str]]:
        assert self._surveyor is not None
        return await asyncio.to_thread(self._surveyor.renew, modified)

    async def _survey(
        self, shadow: Shadow, index: Path, opaque: Iterable[str], modified: Sequence[str], since: int
    ) -> tuple[Survey, list[str]]:
        """What git does not keep of the files that an index knows; the index may be changed meanwhile."""
        copy = index.with_name(f"{index.name}.survey")
        try:
            if index.exists():
                shutil.copyfile(index, copy)
            listing = await shadow.ask(*_IGNORED, index=copy)
        finally:
            copy.unlink(missing_ok=True)
        ignored, closed = ([path.rstrip("/") for path in paths] for paths in (_names(listing), opaque))
        self._surveyor = surveyor = self._surveyor or Surveyor(
            str(shadow.worktree), [ignore_rules(shadow)], self._clock
        )
        return await asyncio.to_thread(surveyor.survey, ignored, closed, modified, since=since)

    def _is_last(self, index: Path) -> bool:
        """Whether an index is a copy, with its time, of the one we left."""
        try:
            found = index.stat()
        except OSError:
            return False
        return self._last is not None and (self._last.at, self._last.size) == (found.st_mtime_ns, found.st_size)

    async def _adopt(self, shadow: Shadow, index: Path, nested: Sequence[str]) -> tuple[dict[str, str], list[str]]:
        """Make git look into nested repositories: a file of each, and those it must not look into, with the reason.

        Git passes by a folder with a `.git` unless its index knows of a file in there. Submodules and linked working
        trees have a `.git` file; what they hold is safe elsewhere.
        """
        opaque: dict[str, str] = {}
        known: list[str] = []
        for path in nested:
            first = self._gauge.first_file(shadow.worktree / path)
            if not (shadow.worktree / path / ".git").is_dir():
                opaque[path] = "is a submodule or another working tree; what changes in it is not kept"
            elif first is None:
                opaque[path] = "is a repository of its own without files"
            elif self._gauge.is_too_much(shadow.worktree / path):
                opaque[path] = "is a repository of its own, and too large; what changes in it is not kept"
            else:
                known.append(first.relative_to(shadow.worktree).as_posix())
        if known:
            await add_names(shadow, index, list(map(os.fsencode, known)))
        return opaque, known

    async def open(self) -> Shadow:
        """The shadow repository, made when there is none. Raises ShadowError and OSError."""
        async with self._turn:
            try:
                return await self._opened()
            except TooMuch as error:
                raise ShadowError(str(error)) from error

    async def _opened(self) -> Shadow:
        if self._shadow is None:
            self._shadow = await self._open()
        return self._shadow

    async def _open(self) -> Shadow:
        """Find the working tree and make (or find again) its shadow repository."""
        top = find_root(self._root)
        lender = find_folders(top) if top else None
        if top and lender and top != self._root and await _is_ignored(self._root, top, lender):
            lender = None  # a place to play in: the repository around it does not look at it
        worktree = top if top and lender else self._root
        if lender is None:
            await asyncio.to_thread(self._gauge.measure_all, self._root)
        config = await read_config(lender, worktree) if lender else {}
        name = hashlib.sha256(os.fsencode(worktree)).hexdigest()[:16]
        shadow = Shadow(self._store / name, worktree, lender, config)
        build(shadow, self._exclude)
        return shadow


def _checked(output: GitOutput) -> bytes:
    if output.code != 0:
        raise ShadowError(output.error)
    return output.stdout


async def _add(shadow: Shadow, index: Path, paths: Iterable[str], excluded: Iterable[str]) -> tuple[str, ...]:
    """Bring the index up to date for `paths`; a note when something could not be read."""
    update = ("update-index", "-z", "--add", "--remove", "--replace", "--stdin")
    listed = b"".join(os.fsencode(path) + b"\0" for path in paths)
    if (await shadow.git(*update, index=index, input=listed)).code == 0:
        return ()
    # Something it stumbles over, a folder that became a link or a file that cannot be read. This takes a look at all,
    # but one such file does not spoil the rest: git says so, and ends with 1.
    patterns = (".", *(f":(exclude,top,literal){path.rstrip('/')}" for path in excluded))
    add = ("add", "--all", "--ignore-errors", "--pathspec-from-file=-", "--pathspec-file-nul")
    output = await shadow.git(*add, index=index, input=b"\0".join(map(os.fsencode, patterns)))
    if output.code not in (0, 1):
        raise ShadowError(output.error)
    return (f"some files could not be read ({output.error})",) if output.code else ()


async def _is_ignored(path: Path, top: Path, lender: GitFolders) -> bool:
    query = ("--git-dir", str(lender.own), "--work-tree", str(top), "check-ignore", "-q", "--", str(path))
    return (await run_git(query, top)).code == 0


def _names(listing: bytes) -> list[str]:
    return [os.fsdecode(name) for name in listing.split(b"\0") if name]

"""Isolated working copies of one working tree as it is at a moment. Nothing done in one reaches the user's.

A `Checkouts` is a moment, frozen; a `Checkout` is files of its own with a private git repository and a workspace.
"""

import asyncio
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Literal, Protocol
from uuid import uuid4

from kimi_code.errors import CheckpointError, KimiError
from kimi_code.events import FileChange
from kimi_code.repo.frozen import Moment
from kimi_code.repo.frozen import freeze as freeze_moment
from kimi_code.repo.git import run_git
from kimi_code.repo.ground import Folder, Ground, GroundError, mount
from kimi_code.repo.mirror import Mirror
from kimi_code.repo.reflink import can_reflink, copy_tree
from kimi_code.repo.search import Search
from kimi_code.repo.shadow import Shadow, ShadowError
from kimi_code.repo.snapshot import Snapshots
from kimi_code.repo.trees import Trees
from kimi_code.repo.workspace import Launch
from kimi_code.values import frozen

Isolation = Literal["overlay+bwrap", "copy+bwrap", "copy+landlock", "copy only"]
Files = Literal["overlay", "reflink", "copy"]

# Ignored folders that builds need and that are too large to copy.
LINKED = ("node_modules", ".venv", "target")
_LARGEST = 50_000_000  # bytes of a file that is still taken up
_PATIENCE = 20.0  # seconds to wait for another process at work on the folder's checkpoints


class CheckoutError(KimiError):
    """No isolated copy can be had; the text says why. Never answered by working in the user's tree instead."""


class Cell(Protocol):
    """The sandbox of one copy's commands."""

    async def confine(self, argv: Sequence[str], cwd: Path, env: Mapping[str, str]) -> Launch: ...
    async def aclose(self) -> None: ...


class Mounts(Protocol):
    """Programs that make mounts here: a bwrap that can make overlays, and any bwrap; () where there is none."""

    @property
    def overlay(self) -> tuple[str, ...]: ...
    @property
    def bind(self) -> tuple[str, ...]: ...


class Confinement(Protocol):
    """What this machine can do, told by those who know of sandboxes: `permissions.confinement.Confinement`."""

    @property
    def mechanism(self) -> Literal["bwrap", "landlock"] | None: ...
    @property
    def mounts(self) -> Mounts: ...
    def sandbox(self, ground: Ground, readable: Sequence[Path], hidden: Sequence[Path]) -> Cell | None:
        """How commands of one copy are confined; None where they cannot be."""
        ...


@frozen
class Options:
    """`linked` and `copied` are names of ignored folders: seen read-only in every copy, or copied into each.

    `readable` are folders outside that the tools may read (a session's long outputs). `files` limits how copies are
    made, for tests and benchmarks.
    """

    linked: Sequence[str] = LINKED
    copied: Sequence[str] = ()
    readable: Sequence[Path] = ()
    files: Files | None = None
    environment: Mapping[str, str] | None = None


@dataclass(slots=True)
class Checkout:
    """One isolated copy. `workspace` and `search` are what tools work on it with.

    Their paths are the user's own where there are mounts (`isolation` with bwrap). Permissions must judge paths by
    `workspace.follow`: the links of the copy need not be those of the user's tree.
    """

    name: str
    isolation: Isolation
    start: str  # the commit it began with
    workspace: Mirror
    search: Search
    ground: Ground
    _moment: Moment
    _folder: Path
    _cell: Cell | None
    _left_out: tuple[str, ...]
    _delete: Callable[[Path], None]
    notes: tuple[str, ...] = ()
    _removed: bool = False

    async def changes(self) -> tuple[FileChange, ...]:
        """What differs from the start, paths relative to the top of the working tree. Raises ShadowError."""
        return await self._moment.trees.changes(self.start, await self.take())

    async def commit(self, message: str) -> str:
        """The files as they are now as a commit in the store, its parent `start`; `start` itself without changes."""
        tree = await self.take()
        if tree == await self._moment.trees.tree(self.start):
            return self.start
        return await self._moment.trees.commit(tree, message, self.start)

    async def take(self) -> str:
        """The files as they are now, as a tree in the store; `notes` then name what is left out. Raises ShadowError.

        The copy's own repository is not asked: it may say anything.
        """
        index = self._folder / "index"
        listing = await self._ask("ls-files", "-z", "--others", "--modified", "--exclude-standard", index=index)
        left_out: dict[str, str] = {}
        for name in dict.fromkeys(os.fsdecode(name) for name in listing.split(b"\0") if name):
            folder = next((each for each in self._left_out if f"{name}/".startswith(f"{each}/")), None)
            if folder is not None:
                left_out[folder] = ""  # the copy's own ignore files may name it no more
            elif name.endswith("/"):
                left_out[name.rstrip("/")] = "is a repository of its own"
            elif self._size(name) > _LARGEST:
                left_out[name] = f"is larger than {_LARGEST // 1_000_000} MB"
        self.notes = tuple(f"{name} {why}; it is not taken over." for name, why in left_out.items() if why)
        patterns = (".", *(f":(exclude,top,literal){name}" for name in left_out))
        if listing:
            add = ("add", "--all", "--pathspec-from-file=-", "--pathspec-file-nul")
            await self._ask(*add, index=index, input=b"\0".join(map(os.fsencode, patterns)))
        return (await self._ask("write-tree", "--missing-ok", index=index)).decode().strip()

    async def remove(self) -> None:
        """End it: renamed at once, deleted in the background. Safe to call twice."""
        if self._removed:
            return
        self._removed = True
        await asyncio.to_thread(self.ground.close)  # the kernel forgets all that was looked at
        if self._cell is not None:
            await self._cell.aclose()
        self._delete(self._folder)

    async def begin(self, base: str) -> None:
        """Bring the fresh copy from `base` to `start`."""
        index = self._folder / "index"
        shutil.copy2(self._moment.index, index)
        if self.start == base:
            return
        await self._ask("read-tree", "-m", "-u", f"{base}^{{tree}}", f"{self.start}^{{tree}}", index=index)
        shutil.copy2(index, self.ground.at(self.ground.top) / ".git" / "index")

    def _size(self, name: str) -> int:
        try:
            return self.ground.at(self.ground.top / name).lstat().st_size
        except OSError:
            return 0

    async def _ask(self, *args: str, index: Path, input: bytes | None = None) -> bytes:
        top = str(self.ground.top)
        env = {"GIT_DIR": str(self._moment.trees.store.folder), "GIT_WORK_TREE": top, "GIT_INDEX_FILE": str(index)}
        output = await run_git(("-C", top, *args), self.ground.top, env, input, enter=self.ground.enter)
        if output.code != 0:
            raise ShadowError(output.error)
        return output.stdout


@dataclass(slots=True)
class Checkouts:
    """The frozen moment, and its copies; `async with` ends them all.

    `base` is the commit in `trees` that all copies start from. `notes` name what the moment leaves out.
    """

    top: Path
    base: str
    trees: Trees
    notes: tuple[str, ...]
    isolation: Isolation
    files: Files
    _cwd: Path
    _folder: Path
    _owner: IO[bytes]
    _moment: Moment
    _confinement: Confinement
    _options: Options
    _linked: tuple[Path, ...]
    _copied: tuple[Path, ...]
    _frozen: asyncio.Lock = field(default_factory=asyncio.Lock)
    _alive: list[Checkout] = field(default_factory=list[Checkout])
    _deleting: set["asyncio.Future[None]"] = field(default_factory=set["asyncio.Future[None]"])

    async def create(self, name: str, *, start: str = "") -> Checkout:
        """A new copy; `start` is a commit of `trees` to begin with (merged results) in place of `base`.

        Raises CheckoutError.
        """
        folder = self._folder / uuid4().hex[:12]
        try:
            return await self._create(name, folder, start or self.base)
        except (ShadowError, GroundError, OSError) as error:
            self._delete(folder)
            raise CheckoutError(
                f"No isolated working copy of {self.top} can be made: {error}.",
                hint="Nothing was changed. Is there room on the disk? `kimi-code doctor` says what works here.",
            ) from error

    async def close(self) -> None:
        """End all copies and forget the moment; its files are deleted in the background."""
        for checkout in self._alive:
            await checkout.remove()
        while self._deleting:
            await asyncio.wait(self._deleting)
        gone = _give_up(self._folder, self._owner)
        if gone is not None:
            await asyncio.to_thread(delete, gone)

    async def __aenter__(self) -> "Checkouts":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _create(self, name: str, folder: Path, start: str) -> Checkout:
        folder.mkdir()
        mounted = self.isolation in ("overlay+bwrap", "copy+bwrap") and bool(self._confinement.mounts.bind)
        words = await self._lay_out(folder)
        files = folder / ("upper" if self.files == "overlay" else "files")
        self._moment.make_repository(
            files / ".git", start, self._moment.borrowed(mounted=mounted), (*self._linked, *self._copied)
        )
        if mounted:
            words += self._moment.mounts()
            for path in self._linked:
                words += ["--ro-bind", str(path), str(path)]
            bwrap = self._confinement.mounts.overlay if self.files == "overlay" else self._confinement.mounts.bind
            ground: Ground = await mount(bwrap, words, self.top)
        else:
            ground = Folder(files)
            for path in self._linked:
                link = files / path.relative_to(self.top)
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(path, target_is_directory=True)
        try:
            return await self._furnish(name, folder, start, ground)
        except BaseException:
            ground.close()
            raise

    async def _lay_out(self, folder: Path) -> list[str]:
        """Put the files into a checkout's folder; the words that have bwrap mount them."""
        if self.files == "copy":
            await self._moment.lay_out(folder / "files")
        else:
            base = await self._base()
            if self.files == "reflink":
                await asyncio.to_thread(copy_tree, base, folder / "files")
        if self.files != "overlay":
            for path in self._copied:
                target = folder / "files" / path.relative_to(self.top)
                target.parent.mkdir(parents=True, exist_ok=True)
                await asyncio.to_thread(copy_tree, path, target)
            return ["--bind", str(folder / "files"), str(self.top)]
        for part in ("upper", "work"):
            (folder / part).mkdir()
        words = ["--overlay-src", str(self._folder / "base")]
        words += ["--overlay", str(folder / "upper"), str(folder / "work"), str(self.top)]
        for number, path in enumerate(self._copied):
            copy = folder / f"copied.{number}"
            await asyncio.to_thread(copy_tree, path, copy)
            words += ["--bind", str(copy), str(path)]
        return words

    async def _base(self) -> Path:
        """The frozen files, laid out by the first who needs them."""
        base = self._folder / "base"
        async with self._frozen:
            if not base.is_dir():
                fresh = self._folder / "base.new"
                await asyncio.to_thread(delete, fresh)
                await self._moment.lay_out(fresh)
                fresh.rename(base)
        return base

    async def _furnish(self, name: str, folder: Path, start: str, ground: Ground) -> Checkout:
        mounted = not isinstance(ground, Folder)
        readable = (*self._options.readable, *self._moment.borrowed(mounted=mounted))
        readable += () if mounted else self._linked
        hidden = () if mounted else (self.top,)
        cell = self._confinement.sandbox(ground, readable, hidden)
        workspace = Mirror(
            ground,
            self.top,
            self._cwd.relative_to(self.top),
            readable=self._options.readable if mounted else (*self._options.readable, *self._linked),
            confine=cell.confine if cell else None,
            environment=self._options.environment,
        )
        search = Search(ground=ground)
        excluded = tuple(path.relative_to(self.top).as_posix() for path in (*self._linked, *self._copied))
        checkout = Checkout(
            name,
            self.isolation,
            start,
            workspace,
            search,
            ground,
            self._moment,
            folder,
            cell,
            excluded,
            self._delete,
        )
        await checkout.begin(self.base)
        self._alive.append(checkout)
        return checkout

    def forget(self, gone: Path) -> None:
        """Delete a folder in the background."""
        work = asyncio.ensure_future(asyncio.to_thread(delete, gone))
        self._deleting.add(work)
        work.add_done_callback(self._deleting.discard)

    def _delete(self, folder: Path) -> None:
        """Out of the way at once, deleted in the background."""
        gone = _aside(folder)
        if gone is not None:
            self.forget(gone)


async def freeze(
    snapshots: Snapshots, home: Path, confinement: Confinement, options: Options | None = None
) -> Checkouts:
    """Freeze the working tree as it is now. `home` is a folder of ours (`<data>/checkouts`). Raises CheckoutError."""
    from kimi_code.repo.ledger import Doorway

    options = options or Options()
    try:
        # Under the lock: nobody is half way through an undo then, and what a killed one left has been cleaned up.
        async with Doorway(snapshots, _PATIENCE).open() as ledger:
            snapshot, shadow = await snapshots.take(), ledger.shadow
    except CheckpointError as error:
        raise CheckoutError(f"No isolated working copy can be made: {error.message}", hint=error.hint) from error
    if snapshot is None:
        raise CheckoutError(f"No isolated working copy can be made: {snapshots.reason}.")
    place = home.resolve() / shadow.folder.name
    try:
        place.mkdir(parents=True, exist_ok=True)
        leftovers = await asyncio.to_thread(_set_aside_leftovers, place)
        folder, owner = _claim(place)
    except OSError as error:
        raise CheckoutError(f"No isolated working copy can be kept in {place}: {error}.") from error
    try:
        linked, copied = await _ignored_folders(shadow, options)
        moment = await freeze_moment(snapshot, shadow, folder, (*linked, *copied))
        files = _choose_files(confinement, options, folder)
    except BaseException as error:
        _give_up(folder, owner)
        if isinstance(error, (ShadowError, OSError)):
            raise CheckoutError(f"No isolated working copy of {shadow.worktree} can be made: {error}.") from error
        raise
    checkouts = Checkouts(
        shadow.worktree,
        moment.base,
        moment.trees,
        snapshot.notes,
        _isolation(confinement, files, shadow.worktree),
        files,
        snapshots.root,
        folder,
        owner,
        moment,
        confinement,
        options,
        linked,
        copied,
    )
    for leftover in leftovers:
        checkouts.forget(leftover)
    return checkouts


def _choose_files(confinement: Confinement, options: Options, folder: Path) -> Files:
    wanted = options.files
    if confinement.mounts.overlay and wanted in (None, "overlay"):
        return "overlay"
    if wanted == "overlay":
        raise CheckoutError("Overlays do not work on this machine.")
    return "reflink" if wanted in (None, "reflink") and can_reflink(folder) else "copy"


def _isolation(confinement: Confinement, files: Files, top: Path) -> Isolation:
    cell = confinement.sandbox(Folder(top), (), ())
    if cell is None or confinement.mechanism is None:
        return "copy only"
    if confinement.mechanism == "landlock":
        return "copy+landlock"
    return "overlay+bwrap" if files == "overlay" else "copy+bwrap"


async def _ignored_folders(shadow: Shadow, options: Options) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """The folders that git ignores and that are to be linked, and to be copied; links among them are left alone."""
    names = {*options.linked, *options.copied}
    if not names:
        return (), ()
    listing = await shadow.ask("ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--directory")
    linked: list[Path] = []
    copied: list[Path] = []
    for name in (os.fsdecode(name) for name in listing.split(b"\0") if name.endswith(b"/")):
        path = shadow.worktree / name
        if path.name in names and path.is_dir() and not path.is_symlink():
            (copied if path.name in options.copied else linked).append(path)
    return tuple(linked), tuple(copied)


# --- Folders of ours --------------------------------------------------------------------------------------------------


def _claim(place: Path) -> tuple[Path, IO[bytes]]:
    """A new folder that is ours as long as the file beside it is open; the file is there first."""
    folder = place / uuid4().hex[:12]
    owner = folder.with_suffix(".owner").open("wb")
    _lock(owner)
    folder.mkdir()
    return folder, owner


def _give_up(folder: Path, owner: IO[bytes]) -> Path | None:
    """The name the folder now has, to be deleted."""
    gone = _aside(folder)
    owner.close()
    with suppress(OSError):
        Path(owner.name).unlink()
    return gone


def _set_aside_leftovers(place: Path) -> list[Path]:
    """Rename what killed runs have left in `place`. Blocks."""
    gone: list[Path | None] = []
    for folder in [path for path in place.iterdir() if path.is_dir()]:
        if folder.name.startswith("gone."):
            gone.append(folder)
            continue
        try:
            with folder.with_suffix(".owner").open("ab") as owner:
                if _lock(owner):
                    gone.append(_give_up(folder, owner))
        except OSError:
            continue
    return [path for path in gone if path is not None]


def _lock(file: IO[bytes]) -> bool:
    """Whether nobody else has it."""
    if sys.platform == "win32":
        import msvcrt

        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _aside(folder: Path) -> Path | None:
    gone = folder.with_name(f"gone.{uuid4().hex[:12]}")
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

"""Isolated working copies of one working tree as it is at a moment. Nothing done in one reaches the user's.

A `Checkouts` is a moment, frozen; a `Checkout` is files of its own with a private git repository and a workspace.
"""

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Protocol
from uuid import uuid4

from kimi_code.errors import CheckpointError, KimiError
from kimi_code.repo.batch import Batch
from kimi_code.repo.checkouts import frozen_base
from kimi_code.repo.checkouts.claims import Claim, aside, claim, delete, set_aside_leftovers
from kimi_code.repo.checkouts.frozen import Moment
from kimi_code.repo.checkouts.frozen import freeze as freeze_moment
from kimi_code.repo.checkouts.frozen_base import FrozenBase
from kimi_code.repo.checkouts.ground import Folder, Ground, GroundError, mount
from kimi_code.repo.checkouts.isolated import Cell, Checkout, Isolation
from kimi_code.repo.checkouts.layer import Layer, ignoring
from kimi_code.repo.checkouts.mirror import Mirror
from kimi_code.repo.checkouts.reflink import can_reflink, copy_tree
from kimi_code.repo.indexing.indexes import Indexes
from kimi_code.repo.search import Search
from kimi_code.repo.shadow import Shadow, ShadowError
from kimi_code.repo.snapshot import Snapshots
from kimi_code.repo.trees import Trees
from kimi_code.values import frozen

if TYPE_CHECKING:
    from kimi_code.repo.index import Index
    from kimi_code.repo.indexing.copy_index import FrozenIndex

Files = Literal["overlay", "reflink", "copy"]

# Ignored folders that builds need and that are too large to copy.
LINKED = ("node_modules", ".venv", "target")
_PATIENCE = 20.0  # seconds to wait for another process at work on the folder's checkpoints


class CheckoutError(KimiError):
    """No isolated copy can be had; the text says why. Never answered by working in the user's tree instead."""


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

    `readable` are folders outside that the tools may read (a session's long outputs). `caches` is where indexes are
    kept; without, copies have none. `files` limits how copies are made, for tests and benchmarks.
    """

    linked: Sequence[str] = LINKED
    copied: Sequence[str] = ()
    readable: Sequence[Path] = ()
    caches: Path | None = None
    files: Files | None = None
    environment: Mapping[str, str] | None = None


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
    _claim: Claim
    _moment: Moment
    _confinement: Confinement
    _options: Options
    _linked: tuple[Path, ...]
    _copied: tuple[Path, ...]
    _kept_base: FrozenBase | None = None
    _ignoring: Batch | None = None
    _frozen: asyncio.Lock = field(default_factory=asyncio.Lock)
    _index: "asyncio.Task[FrozenIndex] | None" = None
    _alive: list[Checkout] = field(default_factory=list[Checkout])
    _deleting: set["asyncio.Future[None]"] = field(default_factory=set["asyncio.Future[None]"])

    async def create(self, name: str, *, start: str = "") -> Checkout:
        """A new copy; `start` is a commit of `trees` to begin with (merged results) in place of `base`.

        Raises CheckoutError.
        """
        folder = self._claim.folder / uuid4().hex[:12]
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
        if self._index is not None:
            await asyncio.wait({self._index})
            if not self._index.cancelled() and not self._index.exception():
                await self._index.result().close()
        while self._deleting:
            await asyncio.wait(self._deleting)
        for batch in (self.trees.batches, self._ignoring):
            if batch is not None:
                await batch.close()
        if self._kept_base is not None:
            self._kept_base.release()
        gone = self._claim.give_up()
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
        elif self.files == "reflink":
            await asyncio.to_thread(copy_tree, await self._base(), folder / "files")
        if self.files != "overlay":
            for path in self._copied:
                target = folder / "files" / path.relative_to(self.top)
                target.parent.mkdir(parents=True, exist_ok=True)
                await asyncio.to_thread(copy_tree, path, target)
            return ["--bind", str(folder / "files"), str(self.top)]
        for part in ("upper", "work"):
            (folder / part).mkdir()
        words = ["--overlay-src", str(await self._base())]
        words += ["--overlay", str(folder / "upper"), str(folder / "work"), str(self.top)]
        for number, path in enumerate(self._copied):
            copy = folder / f"copied.{number}"
            await asyncio.to_thread(copy_tree, path, copy)
            words += ["--bind", str(copy), str(path)]
        return words

    async def _base(self) -> Path:
        """The frozen files, laid out by the first who needs them: kept ones made fit, unless another run has those."""
        async with self._frozen:
            if self._kept_base is not None:
                return self._kept_base.folder
            base = self._claim.folder / "base"
            if base.is_dir():
                return base
            kept = frozen_base.take(self._claim.folder.parent)
            if kept is not None:
                try:
                    await kept.bring_to(self._moment, self.forget)
                except BaseException:
                    kept.release()
                    raise
                self._kept_base = kept
                return kept.folder
            fresh = self._claim.folder / "base.new"
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
            await self._layer(folder) if self.files == "overlay" else None,
        )
        await checkout.begin(self.base)
        if self._options.caches is not None:
            checkout.indexes = Indexes((ground.top,), self._options.caches, make=lambda _: self._index_copy(checkout))
        self._alive.append(checkout)
        return checkout

    async def _layer(self, folder: Path) -> Layer:
        if self._ignoring is None:
            self._ignoring = ignoring(self.trees, await self._base())
        return Layer(folder / "upper", self._ignoring)

    def _index_copy(self, checkout: Checkout) -> "Index":
        from kimi_code.repo.indexing.copy_index import CopiedTree, index_copy

        ground = checkout.ground
        place, read = ground.at(ground.top), checkout.workspace.read
        return index_copy(CopiedTree(ground.top, place, self._frozen_index, checkout.differing, read, checkout.search))

    async def _frozen_index(self) -> "FrozenIndex":
        """The index of the frozen files, which all copies share."""
        if self._index is None or (self._index.done() and self._index.exception()):
            self._index = asyncio.create_task(self._index_frozen())
        return await asyncio.shield(self._index)

    async def _index_frozen(self) -> "FrozenIndex":
        from kimi_code.repo.indexing.copy_index import FrozenIndex

        assert self._options.caches is not None
        listing = await self.trees.ask("ls-files", "-z", index=self._moment.index)
        paths = (os.fsdecode(name) for name in listing.split(b"\0") if name)
        return FrozenIndex(await self._base(), paths, self._options.caches, self.top)

    def forget(self, gone: Path) -> None:
        """Delete a folder in the background."""
        work = asyncio.ensure_future(asyncio.to_thread(delete, gone))
        self._deleting.add(work)
        work.add_done_callback(self._deleting.discard)

    def _delete(self, folder: Path) -> None:
        """Out of the way at once, deleted in the background."""
        gone = aside(folder)
        if gone is not None:
            self.forget(gone)


async def freeze(
    snapshots: Snapshots, home: Path, confinement: Confinement, options: Options | None = None
) -> Checkouts:
    """Freeze the working tree as it is now. `home` is a folder of ours (`<data>/checkouts`). Raises CheckoutError."""
    from kimi_code.repo.checkpoints.ledger import Doorway

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
        leftovers = await asyncio.to_thread(_set_aside, home, place)
        claimed = claim(place)
    except OSError as error:
        raise CheckoutError(f"No isolated working copy can be kept in {place}: {error}.") from error
    try:
        linked, copied = await _ignored_folders(shadow, options)
        moment = await freeze_moment(snapshot, shadow, claimed.folder, (*linked, *copied))
        files = _choose_files(confinement, options, claimed.folder)
    except BaseException as error:
        claimed.give_up()
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
        claimed,
        moment,
        confinement,
        options,
        linked,
        copied,
    )
    for leftover in leftovers:
        checkouts.forget(leftover)
    return checkouts


def _set_aside(home: Path, place: Path) -> list[Path]:
    return [*set_aside_leftovers(place), *frozen_base.set_aside_old(home)]


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

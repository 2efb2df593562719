"""Indexes of isolated copies of a tree: one of the frozen tree for all of them, and of each copy the files that differ.

A copy is read through what its tools read it with, never by the paths of its files: those a command may have replaced
by links that lead elsewhere.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path

from kimi_code.errors import ToolError
from kimi_code.repo.index import Index
from kimi_code.repo.indexing.answers import Skipped, Status
from kimi_code.repo.indexing.catalog import Catalog
from kimi_code.repo.indexing.catalog_layer import LayeredCatalog
from kimi_code.repo.indexing.choice import indexed
from kimi_code.repo.indexing.connections import Connections, CopyConnections
from kimi_code.repo.indexing.content_parser import ContentParser, Known
from kimi_code.repo.indexing.facts import Detail, Facts
from kimi_code.repo.indexing.indexer import Indexer
from kimi_code.repo.indexing.listing import Listing, Stamp, stamps
from kimi_code.repo.indexing.parser_child import fingerprint, settled_mtime
from kimi_code.repo.indexing.parser_process import ParserProcess
from kimi_code.repo.search import Search
from kimi_code.repo.shadow import ShadowError
from kimi_code.repo.symbols import LARGEST
from kimi_code.values import frozen

_AT_ONCE = 8  # files of a copy that are read at the same time


class FrozenIndex:
    """What all copies of a tree share: `folder` holds its files, `paths` as git lists them, `top` is the user's own.

    `caches` is where caches of all projects are: that of `top` is used, and added to.
    """

    def __init__(self, folder: Path, paths: Iterable[str], caches: Path, top: Path) -> None:
        listing = Listing(tuple(sorted(paths)))
        self.indexer = Indexer(folder, caches, [ParserProcess(folder)], frozen=listing, kept_as=top)
        self.connections = Connections(self.indexer)
        self.parser = ContentParser(folder)

    async def close(self) -> None:
        """End what was started. Safe to call twice."""
        await self.indexer.close()
        await self.parser.close()


@frozen
class CopiedTree:
    """A copy: `root` as its tools name it, `place` where this process finds it, and how it is read.

    `freeze` gives the index of the tree it was made of, `differing` the paths that differ from that (or may), `read`
    the content of a file. The first two may raise OSError and ShadowError, `read` ToolError.
    """

    root: Path
    place: Path
    freeze: Callable[[], Awaitable[FrozenIndex]]
    differing: Callable[[], Awaitable[Iterable[str]]]
    read: Callable[[Path], Awaitable[bytes]]
    search: Search


def index_copy(tree: CopiedTree) -> Index:
    """The index of a copy. Nothing is read before the first question."""
    source = _CopyIndexer(tree)
    return Index.over(source, CopyConnections(source, source.below), tree.search)


class _CopyIndexer:
    """The source of a copy's index. Every question is preceded by a look at which files differ."""

    def __init__(self, tree: CopiedTree) -> None:
        self._tree = tree
        self._below: FrozenIndex | None = None
        self._layer = LayeredCatalog(Catalog())
        self._listing = Listing(())
        self._stamps: dict[str, Stamp] = {}  # of the files that differ, as they were read
        self._known: dict[str, Known] = {}
        self._looking = asyncio.Lock()
        self._looks = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    # --- How far it is ---

    @property
    def root(self) -> Path:
        return self._tree.root

    @property
    def catalog(self) -> Catalog:
        return self._layer

    @property
    def listing(self) -> Listing:
        return self._listing

    @property
    def recent(self) -> Sequence[str]:
        return ()

    @property
    def is_new(self) -> bool:
        return False

    @property
    def parser_pids(self) -> tuple[int, ...]:
        below = self._below
        shared = below.parser.process.pid if below else None
        return (*(below.indexer.parser_pids if below else ()), *(() if shared is None else (shared,)))

    def status(self) -> Status:
        """How far it is, without looking."""
        below = self._below.indexer.status() if self._below else Status(looking=True)
        problem = self._below.parser.problem if self._below else ""
        return Status(
            files=len(self._listing.paths),
            indexed=len(self._layer),
            pending=below.pending,
            looking=below.looking or not self._looks or self._looking.locked(),
            skipped=below.skipped,
            notes=tuple(dict.fromkeys(note for note in (problem, *below.notes) if note)),
        )

    def skipped(self) -> list[Skipped]:
        """Files whose language is known, but whose symbols are not."""
        below = self._below.indexer.skipped() if self._below else []
        own = [
            Skipped(path, entry.problem)
            for path in self._layer.own
            if (entry := self._layer.get(path)) and entry.problem not in ("", "unparsed")
        ]
        others = (each for each in below if not self._layer.hides(each.path))
        return sorted((*others, *own), key=lambda each: each.path)

    # --- Looking ---

    async def refresh(self, patience: float | None) -> bool:
        """Look at what differs, and read it; False when that, or reading the frozen tree, takes longer."""
        if self._closed:
            raise RuntimeError("the index is closed")
        try:
            async with asyncio.timeout(patience):
                await asyncio.shield(self._start())
                return self._below is not None and await self._below.indexer.refresh(None)
        except TimeoutError:
            return False
        except (ShadowError, OSError) as error:
            raise ToolError(f"This copy cannot be indexed now: {error}. Use Grep and Read.") from error

    async def listed(self, patience: float | None) -> bool:
        """The same: there are few files to read."""
        return await self.refresh(patience)

    async def settled(self, patience: float | None) -> bool:
        """Wait until the frozen tree has been read."""
        return self._below is not None and await self._below.indexer.settled(patience)

    def note_changed(self, paths: Iterable[str]) -> None:
        """Nothing: every question looks."""

    def waiting(self) -> Iterable[str]:
        """The files that are still to be read."""
        if self._below is None:
            return ()
        return [path for path in self._below.indexer.waiting() if not self._layer.hides(path)]

    def _start(self) -> asyncio.Task[None]:
        task = asyncio.create_task(self._look())
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # who asked may be gone

    async def _look(self) -> None:
        """One at a time; who comes meanwhile is served by the next, all of them by the same."""
        begun = self._looks
        async with self._looking:
            if self._looks > begun or self._closed:
                return
            if self._below is None:
                below = await self._tree.freeze()
                self._layer = LayeredCatalog(below.indexer.catalog)
                self._below = below
            self._looks += 1
            # The frozen tree's own look comes first: what it has is what a file may be the same as.
            await self._below.indexer.listed(None)
            differing = await self._tree.differing()
            await self._compare(self._below, frozenset(differing))

    async def _compare(self, below: FrozenIndex, differing: frozenset[str]) -> None:
        found = await asyncio.to_thread(stamps, self._tree.place, differing)
        self._list(below, differing, found)
        for path in [path for path in self._stamps if path not in differing]:
            self._restore(path)
            del self._stamps[path]
        for path in differing - found.keys():
            self._drop(path)
        wanted = frozenset(indexed(found))
        changed = [path for path in sorted(wanted) if self._stamps.get(path) != found[path]]
        free = asyncio.Semaphore(_AT_ONCE)

        async def take_up(path: str) -> None:
            async with free:
                await self._take_up(below, path, found[path])

        async with asyncio.TaskGroup() as group:
            for path in changed:
                group.create_task(take_up(path))

    def _list(self, below: FrozenIndex, differing: frozenset[str], found: Mapping[str, Stamp]) -> None:
        base = below.indexer.listing.paths
        paths = tuple(sorted({*(path for path in base if path not in differing), *found})) if differing else base
        if paths != self._listing.paths:
            self._listing = Listing(paths)

    async def _take_up(self, below: FrozenIndex, path: str, stamp: Stamp) -> None:
        looked = time.time_ns()
        known = await self._read(below, path, stamp[0])
        if known is None:
            self._drop(path)
            return
        entry = below.indexer.catalog.get(path)
        if entry is not None and entry.digest == known.facts.digest and not known.facts.problem:
            self._restore(path)
        else:
            self._layer.put(known.facts)
            self._known[path] = known
        self._stamps[path] = (stamp[0], settled_mtime(stamp[1], looked))

    async def _read(self, below: FrozenIndex, path: str, size: int = 0) -> Known | None:
        """A file as it is now; None when it cannot be read."""
        if size > LARGEST:
            return Known(Facts(path, size, 0, f"{size}", problem="too large"))
        try:
            content = await self._tree.read(self.root / path)
        except ToolError:
            return None
        return await below.parser.parse(path, content, fingerprint(content))

    def _drop(self, path: str) -> None:
        self._stamps[path] = (0, -1)
        self._known.pop(path, None)
        self._layer.drop(path)

    def _restore(self, path: str) -> None:
        self._known.pop(path, None)
        self._layer.restore(path)

    # --- Details ---

    async def details(self, paths: Iterable[str]) -> dict[str, Detail]:
        """The details of files in the catalog; a file that has none any more is missing."""
        asked = list(paths)
        own = {path: known.detail for path in asked if (known := self._known.get(path)) is not None}
        others = [path for path in asked if not self._layer.hides(path)]
        return {**own, **(await self._below.indexer.details(others) if self._below else {})}

    async def read_next(self, paths: Sequence[str], patience: float) -> None:
        """As the frozen tree has it; what differs was read with the look."""
        if self._below is not None:
            await self._below.indexer.read_next([path for path in paths if not self._layer.hides(path)], patience)

    async def read_now(self, paths: Iterable[str]) -> dict[str, tuple[Facts, bytes]]:
        """Facts and details as they are now, also of files that are not indexed."""
        found: dict[str, tuple[Facts, bytes]] = {}
        for path in paths if self._below else ():
            assert self._below is not None
            known = await self._read(self._below, path)
            if known is not None:
                found[path] = (known.facts, known.encoded)
        return found

    def below(self) -> Connections | None:
        """What connects the files of the frozen tree, once there is one."""
        return self._below.connections if self._below else None

    async def close(self) -> None:
        """Forget the copy; the index of the frozen tree goes on. Safe to call twice."""
        self._closed = True
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

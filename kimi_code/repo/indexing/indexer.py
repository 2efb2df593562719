"""Keeps the catalog of a tree right: looks at the tree, has parsers read what is new, keeps it on disk, listens.

One event loop owns it; what blocks (SQLite, the status of each file) runs in threads.
"""

import asyncio
from collections.abc import Awaitable, Coroutine, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kimi_code.repo.indexing.answers import Skipped, Status
from kimi_code.repo.indexing.catalog import Catalog
from kimi_code.repo.indexing.choice import indexed, most_important_last
from kimi_code.repo.indexing.facts import Detail, Facts, read_detail
from kimi_code.repo.indexing.index_store import IndexStore
from kimi_code.repo.indexing.keeper import Keeper
from kimi_code.repo.indexing.languages import NOT_CODE, language_of
from kimi_code.repo.indexing.listing import FILES_MOST, Listing, list_files, recently_committed, stamps
from kimi_code.repo.indexing.parser_process import (
    Failed,
    Gone,
    Job,
    Outcome,
    Parsed,
    ParserProcess,
    ParserUnavailableError,
)
from kimi_code.repo.indexing.reading_queue import ReadingQueue, Result

if TYPE_CHECKING:
    from kimi_code.repo.indexing.watch import Watcher

_MANY = 200  # files to read, from which on their order matters
_READ_PATIENCE = 3.0  # seconds for files that an answer cannot do without
_FIRST_FEW = 12  # files of a question without which it is not answered
_PAUSE = 100  # files between two chances for others to run


class Indexer:
    """The catalog of the tree at `root` (absolute, resolved), and the way to details. Starts when first asked.

    `frozen` are the files of a tree that never changes, and is a copy of that at `kept_as`, whose cache it shares.
    """

    def __init__(
        self,
        root: Path,
        folder: Path,
        parsers: Sequence[ParserProcess],
        *,
        watch: bool = False,
        frozen: Listing | None = None,
        kept_as: Path | None = None,
    ) -> None:
        self.root = root
        self.catalog = Catalog()
        self.listing = Listing(())
        self.recent: tuple[str, ...] = ()
        self.store = IndexStore(folder, kept_as or self.root)
        self._frozen = frozen
        self._keeper = Keeper(self.store)
        self._parsers = parsers
        self._watch = watch
        self._watcher: Watcher | None = None
        self._wanted: tuple[str, ...] = ()
        self._wanted_set: frozenset[str] = frozenset()
        self._tasks: set[asyncio.Task[None]] = set()
        self._looking = asyncio.Lock()
        self._looks = 0
        self._loaded = self._closed = False
        self._queue = ReadingQueue()
        self._strangers: set[str] = set()  # that changed, but are not in the listing
        self._problem = ""

    # --- How far it is ---

    @property
    def parser_pids(self) -> tuple[int, ...]:
        """The processes that parse."""
        return tuple(pid for parser in self._parsers if (pid := parser.pid) is not None)

    @property
    def is_new(self) -> bool:
        """Whether nothing of the tree was ever kept, so that all is to be read."""
        return not self._loaded and self.store.is_new

    @property
    def complete(self) -> bool:
        """Whether the tree was looked at and nothing is left to read."""
        return self._looks > 0 and not self._queue and not self._looking.locked()

    def status(self) -> Status:
        """How far it is, without looking."""
        skipped: dict[str, int] = {}
        for each in self.skipped():
            skipped[each.reason] = skipped.get(each.reason, 0) + 1
        watcher = self._watcher.note if self._watcher else ""
        many = "" if self.listing.complete else f"only the first {FILES_MOST:,} files are known"
        return Status(
            files=len(self.listing.paths),
            indexed=len(self.catalog),
            pending=len(self._queue),
            looking=not self._looks or self._looking.locked(),
            skipped=skipped,
            watching=self._watcher is not None and self._watcher.running,
            notes=tuple(note for note in (self._problem, self.store.note, watcher, many) if note),
        )

    def skipped(self) -> list[Skipped]:
        """Files whose language is known, but whose symbols are not."""
        parsed = [Skipped(entry.path, entry.problem) for entry in self.catalog if entry.problem not in ("", "unparsed")]
        by_name = [
            Skipped(path, "vendored")
            for path in self.listing.paths
            if path not in self._wanted_set and language_of(path) not in NOT_CODE
        ]
        return sorted((*parsed, *by_name), key=lambda each: each.path)

    # --- Looking at the tree ---

    async def refresh(self, patience: float | None) -> bool:
        """Look at the tree and read what is new; False when that takes more than `patience` seconds, and goes on."""
        try:
            async with asyncio.timeout(patience):
                return await self.listed(None) and await self.settled(None)
        except TimeoutError:
            return False

    async def listed(self, patience: float | None) -> bool:
        """Look at the tree, so that it is known what is new."""
        if self._closed:
            raise RuntimeError("the index is closed")
        return await _within(patience, asyncio.shield(self._start(self._look())))

    async def settled(self, patience: float | None) -> bool:
        """Wait until all that is known to be new has been read."""
        return not self._problem and await _within(patience, self._queue.idle.wait())

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _look(self) -> None:
        """One at a time; who comes meanwhile is served by the next, all of them by the same."""
        begun = self._looks
        async with self._looking:
            if self._looks > begun or self._closed or (self._frozen and self._looks):
                return
            self._looks += 1
            self._queue.idle.clear()
            try:
                if self._loaded:
                    listing = await list_files(self.root, self.listing)
                elif self._frozen:
                    await self._load()
                    listing = self._frozen
                else:
                    async with asyncio.TaskGroup() as group:
                        listed = group.create_task(list_files(self.root))
                        recent = group.create_task(self._recent())
                        group.create_task(self._load())
                    listing, self.recent = listed.result(), recent.result()
                await self._compare(listing)
            finally:
                self._settle()

    async def _recent(self) -> tuple[str, ...]:
        """For the order in which a tree is read that nothing is known of."""
        return await recently_committed(self.root) if self.store.is_new else ()

    async def _load(self) -> None:
        is_new = self.store.is_new
        if is_new:
            self._start_parsers(at_once=True)  # while the tree is listed
        known = await asyncio.to_thread(self.store.load)
        if not is_new:
            self._start_parsers(at_once=not known)
        for number, facts in enumerate(known):
            self._put(facts)
            if number % _PAUSE == 0:
                await asyncio.sleep(0)
        self._loaded = True

    def _start_parsers(self, *, at_once: bool) -> None:
        for parser in self._parsers:
            self._start(self._parse(parser, at_once=at_once))

    async def _compare(self, listing: Listing) -> None:
        if listing is not self.listing:
            self._wanted = await asyncio.to_thread(indexed, listing.paths)
            self._wanted_set = frozenset(self._wanted)
            self._strangers.clear()
        self.listing = listing
        found = await asyncio.to_thread(stamps, self.root, self._wanted)
        for path in [entry.path for entry in self.catalog if entry.path not in found]:
            self._drop(path)
        news: list[str] = []
        for path, stamp in found.items():
            entry = self.catalog.get(path)
            if (entry is None or (entry.size, entry.mtime_ns) != stamp) and not self._queue.is_reading(path):
                news.append(path)
        if len(news) > _MANY:
            if not self.recent and not self._frozen:
                self.recent = await recently_committed(self.root)
            news = most_important_last(news, self.recent)
        self.hurry(news)
        if self._watch:
            await self._follow(found)

    async def _follow(self, paths: Iterable[str]) -> None:
        from kimi_code.repo.indexing.watch import Watcher

        if self._watcher is None:
            self._watcher = Watcher(self.root, self._hear)
        await self._watcher.follow({path.rpartition("/")[0] for path in paths} | {""})

    def _hear(self, changed: set[str]) -> None:
        """What the watcher tells: known files are read, a new one makes us look, but only once."""
        strangers = {path for path in changed if path not in self._wanted_set} - self._strangers
        self._strangers |= strangers
        self.note_changed(changed & self._wanted_set)
        if strangers or any(path.endswith("ignore") for path in changed):
            self._start(self._look())

    def note_changed(self, paths: Iterable[str]) -> None:
        """Files that were written or removed: they are read before all others."""
        if not self._loaded:
            return
        changed = set(paths)
        self.hurry(sorted(changed & self._wanted_set))
        if not changed <= self._wanted_set:
            self._start(self._look())

    # --- Reading ---

    def hurry(self, paths: Iterable[str]) -> None:
        """Read these files next, the last one first."""
        if self._problem:
            return
        entries = ((path, self.catalog.get(path)) for path in paths)
        self._queue.add(Job(path, entry.digest if entry else "") for path, entry in entries)

    def waiting(self) -> Iterable[str]:
        """The files that are still to be read."""
        return self._queue.waiting

    async def _parse(self, parser: ParserProcess, *, at_once: bool) -> None:
        try:
            if at_once:
                await parser.start()
            while not self._closed:
                await self._queue.work.wait()
                await parser.run(self._queue.take, self._deliver)
                self._queue.rest()
        except ParserUnavailableError as error:
            self._problem = f"files cannot be parsed: {error}"
            self._queue.give_up()
            self._settle()
        finally:
            await parser.close()

    def _deliver(self, outcome: Outcome) -> None:
        path = outcome.facts.path if isinstance(outcome, Parsed) else outcome.path
        job = self._queue.finish(path)
        result: Result = None
        match outcome:
            case Parsed(facts, detail):
                result = (facts, detail)
            case Failed(reason=reason):
                result = self._quarantined(path, reason)
            case Gone():
                self._drop(path)
            case _:
                entry = self.catalog.get(path)
                if entry is not None and job is not None and entry.digest == job.known:
                    entry.size, entry.mtime_ns = outcome.size, outcome.mtime_ns
                    self._keeper.restamp(path, (outcome.size, outcome.mtime_ns))
        if result is not None and path in self._wanted_set and self._put(result[0]):
            self._keeper.put(path, result)
        self._queue.answer(path, result)
        self._settle()

    def _quarantined(self, path: str, reason: str) -> Result:
        """A file that ended the parser, as one without symbols until its content changes."""
        from kimi_code.repo.indexing.parser_child import describe_content

        try:
            size, mtime_ns, digest = describe_content(self.root / path)
        except OSError:
            return None
        return Facts(path, size, mtime_ns, digest, problem=reason), b"[[],{}]"

    def _put(self, facts: Facts) -> bool:
        try:
            self.catalog.put(facts)
        except (ValueError, TypeError, AttributeError):
            return False
        return True

    def _drop(self, path: str) -> None:
        self.catalog.drop(path)
        self._queue.forget(path)
        if not self._frozen:  # the tree whose cache this is may have it
            self._keeper.drop(path)

    def _settle(self) -> None:
        if not self._queue:
            self._queue.idle.set()
            self._keeper.save()

    async def details(self, paths: Iterable[str]) -> dict[str, Detail]:
        """The details of files in the catalog; a file that has none any more is missing."""
        digests = {path: entry.digest for path in paths if (entry := self.catalog.get(path)) is not None}
        found = await self._keeper.details(digests)
        missing = [path for path in digests if path not in found and self.catalog.get(path) is not None]
        for path, result in (await self.read_now(missing)).items():
            found[path] = read_detail(path, result[1])
        return found

    async def read_next(self, paths: Sequence[str], patience: float) -> None:
        """Read these files before all others, in this order; returns when the first few of them are read."""
        self.hurry(reversed(paths))
        awaited = [self._queue.expect(path) for path in paths[:_FIRST_FEW] if path in self._queue.waiting]
        if awaited:
            await asyncio.wait(awaited, timeout=patience)

    async def read_now(self, paths: Iterable[str]) -> dict[str, tuple[Facts, bytes]]:
        """Facts and details as the parser gives them now, for a few seconds; also of files that are not indexed."""
        if self._problem:
            return {}
        futures = {path: self._queue.expect(path) for path in paths}
        if not futures:
            return {}
        self._queue.add(map(Job, futures))
        await asyncio.wait(futures.values(), timeout=_READ_PATIENCE)
        return {path: result for path, future in futures.items() if future.done() and (result := future.result())}

    async def close(self) -> None:
        """End everything, keep what is known. Safe to call twice."""
        self._closed = True
        if self._watcher is not None:
            await self._watcher.close()
        self._queue.work.set()
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        for parser in self._parsers:
            await parser.close()
        await self._keeper.close()


async def _within(patience: float | None, work: Awaitable[object]) -> bool:
    try:
        async with asyncio.timeout(patience):
            await work
    except TimeoutError:
        return False
    return True

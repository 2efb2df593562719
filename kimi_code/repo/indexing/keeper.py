"""What an index has learnt on its way to the disk: collected, saved by one task at a time, and found until it is there.

One event loop owns it; SQLite runs in threads.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from kimi_code.repo.indexing.facts import Detail, Facts, read_detail
from kimi_code.repo.indexing.index_store import IndexStore
from kimi_code.repo.indexing.listing import Stamp

_BATCH = 150  # files kept on disk at once


class Keeper:
    """What is not in `store` yet. `save` begins to write all of it; a full batch begins by itself."""

    def __init__(self, store: IndexStore) -> None:
        self._store = store
        self._unsaved: dict[str, tuple[Facts, bytes]] = {}
        self._saving: Mapping[str, tuple[Facts, bytes]] = {}
        self._restamped: dict[str, Stamp] = {}
        self._gone: set[str] = set()
        self._saver: asyncio.Task[None] | None = None

    def put(self, path: str, parsed: tuple[Facts, bytes]) -> None:
        """A file's facts and its encoded detail."""
        self._unsaved[path] = parsed
        self._gone.discard(path)
        if len(self._unsaved) >= _BATCH:
            self.save()

    def restamp(self, path: str, stamp: Stamp) -> None:
        """A file that was touched, not changed."""
        self._restamped[path] = stamp

    def drop(self, path: str) -> None:
        """A file that is gone."""
        self._unsaved.pop(path, None)
        self._gone.add(path)

    def save(self) -> None:
        """Write what there is, in the background."""
        if self._saver is None and (self._unsaved or self._restamped or self._gone):
            self._saver = asyncio.create_task(self._save())

    async def _save(self) -> None:
        try:
            while self._unsaved or self._restamped or self._gone:
                self._saving, restamped, gone = self._unsaved, self._restamped, self._gone
                self._unsaved, self._restamped, self._gone = {}, {}, set()
                await asyncio.to_thread(self._store.save, list(self._saving.values()), restamped, gone)
        finally:
            self._saving, self._saver = {}, None

    async def details(self, digests: Mapping[str, str]) -> dict[str, Detail]:
        """The details of files by their contents' digests, as far as they are kept."""
        kept = {
            path: (digest, each[1])
            for path, digest in digests.items()
            if (each := self._unsaved.get(path) or self._saving.get(path)) and each[0].digest == digest
        }
        return await asyncio.to_thread(self._decoded, digests, kept)

    def _decoded(self, digests: Mapping[str, str], kept: Mapping[str, tuple[str, bytes]]) -> dict[str, Detail]:
        """In a thread: those of these digests, `kept` or on disk."""
        asked = [path for path in digests if path not in kept]
        found: dict[str, Detail] = {}
        for path, (digest, body) in {**(self._store.details(asked) if asked else {}), **kept}.items():
            if digest == digests[path]:
                with suppress(ValueError):
                    found[path] = read_detail(path, body)
        return found

    async def close(self) -> None:
        """Write what is left, and close the store."""
        if self._saver is not None:
            await asyncio.wait({self._saver})
        await self._save()
        await asyncio.to_thread(self._store.close)

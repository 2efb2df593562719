"""Reads files that only this process can reach, given as bytes: one parser for all isolated copies of a tree.

What many copies have alike is read once, and forgotten with the last one that has it.
"""

import asyncio
from collections import deque
from pathlib import Path
from weakref import WeakValueDictionary

from kimi_code.repo.indexing.facts import Detail, Facts, read_detail
from kimi_code.repo.indexing.parser_process import (
    Failed,
    Job,
    Outcome,
    Parsed,
    ParserProcess,
    ParserUnavailableError,
)

Key = tuple[str, str]  # path and digest


class Known:
    """A file's facts and its encoded detail."""

    __slots__ = ("__weakref__", "encoded", "facts")

    def __init__(self, facts: Facts, encoded: bytes = b"[[],{}]") -> None:
        self.facts, self.encoded = facts, encoded

    @property
    def detail(self) -> Detail:
        """All definitions and references."""
        return read_detail(self.facts.path, self.encoded)


class ContentParser:
    """Starts its process with the first file. `problem` says why files cannot be parsed; "" while they can."""

    def __init__(self, root: Path) -> None:
        self.process = ParserProcess(root)
        self.problem = ""
        self._known: WeakValueDictionary[Key, Known] = WeakValueDictionary()
        self._asked: dict[Key, asyncio.Future[Known]] = {}
        self._queue: deque[tuple[Key, bytes]] = deque()
        self._reading: dict[str, Key] = {}  # one content of a path at a time: answers say only the path
        self._task: asyncio.Task[None] | None = None

    async def parse(self, path: str, content: bytes, digest: str) -> Known:
        """What a file with this content holds; nothing, and a problem, when it cannot be parsed."""
        key = (path, digest)
        known = self._known.get(key)
        if known is None:
            known = await asyncio.shield(self._asked.get(key) or self._ask(key, content))
        return known

    def _ask(self, key: Key, content: bytes) -> asyncio.Future[Known]:
        future = self._asked[key] = asyncio.get_running_loop().create_future()
        self._queue.append((key, content))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        return future

    async def _run(self) -> None:
        try:
            while self._queue and not self.problem:
                await self.process.run(self._take, self._deliver)
        except ParserUnavailableError as error:
            self.problem = f"files cannot be parsed: {error}"
        finally:
            self._queue.clear()
            self._reading.clear()
            for key in list(self._asked):
                self._answer(key, Known(Facts(key[0], 0, 0, "", problem=self.problem or "not parsed")))

    def _take(self) -> Job | None:
        for place, (key, content) in enumerate(self._queue):
            if key[0] not in self._reading:
                del self._queue[place]
                self._reading[key[0]] = key
                return Job(key[0], content=content)
        return None

    def _deliver(self, outcome: Outcome) -> None:
        match outcome:
            case Parsed(facts, encoded):
                path, known = facts.path, Known(facts, encoded)
            case Failed(path, reason):
                known = Known(Facts(path, 0, 0, self._reading[path][1], problem=reason))
            case _:
                path, known = outcome.path, Known(Facts(outcome.path, 0, 0, "", problem="not parsed"))
        key = self._reading.pop(path)
        self._known[key] = known
        self._answer(key, known)

    def _answer(self, key: Key, known: Known) -> None:
        future = self._asked.pop(key)
        if not future.done():
            future.set_result(known)

    async def close(self) -> None:
        """End the process. Safe to call twice."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        await self.process.close()

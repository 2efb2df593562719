"""A parser in a process of its own: files go in, facts come out; a file that crashes or holds it up is found out.

It runs with the environment of commands (no secrets), at low priority, and ends with its standard input, so with us.
"""

import asyncio
import json
import os
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any

from kimi_code.errors import ToolError
from kimi_code.repo.indexing.facts import Facts, unpack_facts
from kimi_code.repo.indexing.parser_child import LENGTHS, pack
from kimi_code.repo.process import LocalProcess, command_environment, spawn
from kimi_code.values import frozen

PATIENCE = 10.0  # seconds for one file: ten times what the child allows itself
_START_PATIENCE = 30.0
_STARTS_MOST = 3
_BATCH = 12  # files sent at once; up to twice as many are on the way, so that the child never waits
_FRAME_MOST = 64 << 20
_COMPLAINT_MOST = 4_000
# `-P` and the explicit path: nothing is imported from the folder we were started in, which is the user's.
_PROGRAM = "import sys; sys.path.insert(0, sys.argv[1]); from kimi_code.repo.indexing.parser_child import main; main()"


@frozen
class Job:
    """A file to read; `known` is the digest of what was parsed before, `content` of one that only we can reach."""

    path: str
    known: str = ""
    content: bytes | None = None

    @property
    def said(self) -> tuple[str, str] | tuple[str, str, int]:
        """As the child is told of it."""
        return (self.path, self.known) if self.content is None else (self.path, self.known, len(self.content))


@frozen
class Parsed:
    """A file's facts and its encoded detail."""

    facts: Facts
    detail: bytes


@frozen
class Unchanged:
    """A file whose content is the known one."""

    path: str
    size: int
    mtime_ns: int


@frozen
class Gone:
    """A file that cannot be read, or is no regular file."""

    path: str


@frozen
class Failed:
    """A file that ended the parser when it was read alone; `reason` says how."""

    path: str
    reason: str


Outcome = Parsed | Unchanged | Gone | Failed


class ParserUnavailableError(Exception):
    """The parser cannot be started; the text says why."""


class _EndedError(Exception):
    """The parser ended, or said something that is no answer."""


class ParserProcess:
    """One child, started at the first job and again after it ended. `patience` is in seconds per file."""

    def __init__(self, root: Path, *, patience: float = PATIENCE) -> None:
        self._root = root
        self._patience = patience
        self._child: _Child | None = None

    @property
    def pid(self) -> int | None:
        """The child's process, None when there is none."""
        return self._child.process.pid if self._child else None

    async def run(self, take: Callable[[], Job | None], deliver: Callable[[Outcome], None]) -> None:
        """Parse what `take` gives until it gives None. Raises ParserUnavailableError.

        When the child ends, any of the files on the way may be the cause: each is read again by another child, alone.
        """
        waiting: deque[Job] = deque()
        suspects: deque[Job] = deque()
        while True:
            child = self._child or await self._start()
            batch: list[Job] = []
            while len(waiting) < _BATCH and len(batch) < _BATCH and (job := take()) is not None:
                batch.append(job)
            alone = not waiting and not batch
            if alone:
                if not suspects:
                    return
                batch.append(suspects.popleft())
            if batch:
                waiting.extend(batch)
                child.process.write(pack([job.said for job in batch], b"".join(job.content or b"" for job in batch)))
            try:
                async with asyncio.timeout(self._patience):
                    outcomes = await child.receive(waiting)
            except (_EndedError, TimeoutError) as error:
                await self.close()
                if alone:
                    reason = "too slow" if isinstance(error, TimeoutError) else "crashed the parser"
                    deliver(Failed(waiting.popleft().path, reason))
                suspects.extend(waiting)
                waiting.clear()
            else:
                for outcome in outcomes:
                    waiting.popleft()
                    deliver(outcome)

    async def start(self) -> None:
        """Start the child before there is a job for it. Raises ParserUnavailableError."""
        if self._child is None:
            await self._start()

    async def _start(self) -> "_Child":
        complaint = ""
        for _ in range(_STARTS_MOST):  # somebody may have killed it
            package = Path(__file__).parents[3]
            command = (sys.executable, "-P", "-c", _PROGRAM, str(package), str(self._root))
            try:
                env = command_environment(os.environ)
                process = await spawn(command, cwd=package, env=env, split=True, talk=True)
            except ToolError as error:
                raise ParserUnavailableError(str(error)) from error
            child = self._child = _Child(process)
            try:
                async with asyncio.timeout(_START_PATIENCE):
                    await child.ready()
                return child
            except (_EndedError, TimeoutError) as error:
                complaint = await child.last_words() or f"the parser did not start ({error})"
                await self.close()
        raise ParserUnavailableError(complaint)

    async def close(self) -> None:
        """End the child. Safe to call twice."""
        child, self._child = self._child, None
        if child is not None:
            await child.close()


class _Child:
    """A running child and what it says."""

    def __init__(self, process: LocalProcess) -> None:
        self.process = process
        self._output: AsyncIterator[bytes] = process.stream(1)
        self._buffer = bytearray()
        self._errors = bytearray()
        self._listening = asyncio.create_task(self._listen())

    async def last_words(self) -> str:
        """The last line of its standard error, if that ends soon."""
        await asyncio.wait({self._listening}, timeout=1)
        lines = self._errors.decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""

    async def ready(self) -> None:
        """Wait for its first frame."""
        while self._frame() is None:
            await self._hear()

    async def receive(self, jobs: Iterable[Job]) -> list[Outcome]:
        """Its answers to the first of `jobs`, at least one, in their order. Raises _EndedError."""
        outcomes: list[Outcome] = []
        while not outcomes:
            await self._hear()
            for job in jobs:
                frame = self._frame()
                if frame is None:
                    break
                outcomes.append(_outcome(job.path, *frame))
        return outcomes

    async def _hear(self) -> None:
        data = await anext(self._output, b"")
        if not data:
            raise _EndedError("it ended")
        self._buffer += data

    def _frame(self) -> tuple[dict[str, Any], bytes] | None:
        """The next frame, once it is whole."""
        if len(self._buffer) < LENGTHS.size:
            return None
        head, tail = LENGTHS.unpack_from(self._buffer)
        if head + tail > _FRAME_MOST:
            raise _EndedError("an answer too long")
        start, end = LENGTHS.size + head, LENGTHS.size + head + tail
        if len(self._buffer) < end:
            return None
        header, body = bytes(self._buffer[LENGTHS.size : start]), bytes(self._buffer[start:end])
        del self._buffer[:end]
        try:
            return dict(json.loads(header)), body
        except (TypeError, ValueError) as error:
            raise _EndedError(str(error)) from error

    async def _listen(self) -> None:
        async for data in self.process.stream(2):
            self._errors += data
            del self._errors[:-_COMPLAINT_MOST]

    async def close(self) -> None:
        self._listening.cancel()
        await asyncio.wait({self._listening})
        await self.process.kill(grace=0)  # it has nothing to put in order


def _outcome(path: str, header: dict[str, Any], body: bytes) -> Outcome:
    try:
        if header["path"] != path:
            raise ValueError("an answer about another file")
        if header.get("gone"):
            return Gone(path)
        if "digest" not in header:
            return Unchanged(path, int(header["size"]), int(header["mtime_ns"]))
        return Parsed(*unpack_facts(header, body))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise _EndedError(str(error)) from error

"""A parser in a process of its own: files go in, facts come out; a file that crashes or holds it up is found out.

It runs with the environment of commands (no secrets), at low priority, and ends with its standard input, so with us.
"""

import asyncio
import json
import os
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from kimi_code.errors import ToolError
from kimi_code.repo.facts import Facts
from kimi_code.repo.parser_child import LENGTHS, pack
from kimi_code.repo.process import LocalProcess, command_environment, spawn
from kimi_code.values import frozen

PATIENCE = 10.0  # seconds for one file: ten times what the child allows itself
_START_PATIENCE = 30.0
_WINDOW = 4  # requests on the way: enough that the child never waits, few enough that an urgent one is soon read
_FRAME_MOST = 64 << 20
_COMPLAINT_MOST = 4_000
# `-P` and the explicit path: nothing is imported from the folder we were started in, which is the user's.
_PROGRAM = "import sys; sys.path.insert(0, sys.argv[1]); from kimi_code.repo.parser_child import main; main()"


@frozen
class Job:
    """A file to read; `known` is the digest of what was parsed before."""

    path: str
    known: str = ""


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
    """A file that ended the parser twice, the second time alone; `reason` says how."""

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

        The files on the way when the child ends are sent to another one; the first of them, which it was working on,
        last and alone.
        """
        waiting: deque[Job] = deque()
        again: deque[Job] = deque()
        suspects: deque[Job] = deque()
        while True:
            child = self._child or await self._start()
            while len(waiting) < _WINDOW and (job := again.popleft() if again else take()) is not None:
                waiting.append(job)
                child.process.write(pack({"path": job.path, "known": job.known}))
            alone = not waiting
            if alone:
                if not suspects:
                    return
                waiting.append(suspects.popleft())
                child.process.write(pack({"path": waiting[0].path, "known": waiting[0].known}))
            try:
                async with asyncio.timeout(self._patience):
                    outcome = await child.receive(waiting[0].path)
            except (_EndedError, TimeoutError) as error:
                await self.close()
                culprit = waiting.popleft()
                if alone:
                    slow = isinstance(error, TimeoutError)
                    deliver(Failed(culprit.path, "too slow" if slow else "crashed the parser"))
                else:
                    suspects.append(culprit)
                again.extendleft(reversed(waiting))
                waiting.clear()
            else:
                waiting.popleft()
                deliver(outcome)

    async def start(self) -> None:
        """Start the child before there is a job for it. Raises ParserUnavailableError."""
        if self._child is None:
            await self._start()

    async def _start(self) -> "_Child":
        package = Path(__file__).parents[2]
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
        except (_EndedError, TimeoutError) as error:
            complaint = await child.last_words()
            await self.close()
            raise ParserUnavailableError(complaint or f"it did not answer ({error})") from error
        return child

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
        await self._frame()

    async def receive(self, path: str) -> Outcome:
        """The answer about `path`. Raises _EndedError."""
        header, body = await self._frame()
        try:
            if header["path"] != path:
                raise ValueError("an answer about another file")
            if header.get("gone"):
                return Gone(path)
            if "digest" not in header:
                return Unchanged(path, int(header["size"]), int(header["mtime_ns"]))
            header["counts"] = bytes(header["counts"])
            facts = Facts(**header)
        except (KeyError, TypeError, ValueError) as error:
            raise _EndedError(str(error)) from error
        return Parsed(facts, body)

    async def _frame(self) -> tuple[dict[str, Any], bytes]:
        head, tail = LENGTHS.unpack(await self._exactly(LENGTHS.size))
        if head + tail > _FRAME_MOST:
            raise _EndedError("an answer too long")
        header, body = await self._exactly(head), await self._exactly(tail)
        try:
            decoded: dict[str, Any] = dict(json.loads(header))
        except (TypeError, ValueError) as error:
            raise _EndedError(str(error)) from error
        return decoded, body

    async def _exactly(self, length: int) -> bytes:
        while len(self._buffer) < length:
            data = await anext(self._output, b"")
            if not data:
                raise _EndedError("it ended")
            self._buffer += data
        taken = bytes(self._buffer[:length])
        del self._buffer[:length]
        return taken

    async def _listen(self) -> None:
        async for data in self.process.stream(2):
            self._errors += data
            del self._errors[:-_COMPLAINT_MOST]

    async def close(self) -> None:
        self._listening.cancel()
        await asyncio.wait({self._listening})
        await self.process.kill()

"""Git commands that stay and answer one question after the other: a hundred agents ask thousands."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kimi_code.repo.git import end_git, start_git
from kimi_code.repo.shadow import ShadowError

_CHUNK = 1 << 16


@dataclass(slots=True)
class Batch:
    """One such command: started for its first question, and anew after it ended. `close` ends it for good.

    It reads its questions from its standard input, at whose end it ends itself: also when this process is killed.
    """

    args: Sequence[str]
    folder: Path
    env: Mapping[str, str]
    _process: asyncio.subprocess.Process | None = None
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _closed: bool = False

    async def ask(self, question: bytes, is_whole: Callable[[bytearray], bool]) -> bytes:
        """What it writes until `is_whole` holds of it. Raises ShadowError where it does not answer."""
        async with self._turn:
            if self._closed:
                raise ShadowError(f"git {self.args[0]} is not needed any more")
            try:
                return await self._converse(question, is_whole)
            except OSError as error:
                await self._drop()
                raise ShadowError(f"git {self.args[0]} does not answer: {error.strerror or error}") from error
            except BaseException:
                # What is left of its answer is none to the next question.
                await self._drop()
                raise

    async def close(self) -> None:
        """End it. Safe to call twice."""
        self._closed = True
        async with self._turn:
            await self._drop()

    async def _converse(self, question: bytes, is_whole: Callable[[bytearray], bool]) -> bytes:
        if self._process is None:
            self._process = await start_git(self.args, self.folder, self.env)
        asked, told = self._process.stdin, self._process.stdout
        assert asked is not None and told is not None
        asked.write(question)
        answer = bytearray()
        while not is_whole(answer):
            data = await told.read(_CHUNK)
            if not data:
                raise ShadowError(f"git {self.args[0]} ended without an answer")
            answer += data
        return bytes(answer)

    async def _drop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            await end_git(process)

"""Commands: one running process with what it printed, and those that run on in the background of a session."""

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path

from kimi_code.controls import OutputCleaner
from kimi_code.errors import ToolError
from kimi_code.repo.workspace import Exit, Process
from kimi_code.tools.output import Transcript, spill_file


class Running:
    """A process and its output; `follow` must be called once and reads until its end."""

    def __init__(self, command: str, process: Process, spill: Path, progress: Callable[[str], None]) -> None:
        self.command = command
        self.exit: Exit | None = None
        self._process = process
        self._cleaner = OutputCleaner()
        self._transcript = Transcript(spill)
        self._progress = progress

    async def follow(self) -> None:
        """Take in the output until the process ends; whatever ends this sooner kills its group."""
        try:
            await self._read()
            self.exit = await self._process.wait()
        except BaseException:
            await self._process.kill()
            raise

    async def stop(self) -> None:
        """Kill the group; what it printed before can still be taken."""
        await self._process.kill()

    async def follow_for(self, seconds: float) -> None:
        """As `follow`, but kill the group after `seconds`; `exit` then says that it timed out."""
        try:
            async with asyncio.timeout(seconds):
                await self.follow()
        except TimeoutError:
            await self._read()
            self.exit = Exit(None, timed_out=True)

    def take(self) -> str:
        """What was printed since the last time, within the limits of a result."""
        return self._transcript.take().rstrip("\n")

    async def _read(self) -> None:
        async for data in self._process.output():
            self._feed(self._cleaner.feed(data))
        self._feed(self._cleaner.feed(b"", end=True))

    def _feed(self, text: str) -> None:
        if text:
            self._transcript.feed(text)
            self._progress(text.replace("\r", "\n"))


class Background:
    """The background commands of a session, by id. `close` kills them all."""

    def __init__(self) -> None:
        self._jobs: dict[str, tuple[Running, asyncio.Task[None]]] = {}
        self._started = 0

    def start(self, command: str, process: Process, spill: Path) -> str:
        """Follow `process` from now on; returns the id it can be asked for by. `spill` is a folder."""
        self._started += 1
        name = f"bg{self._started}"
        running = Running(command, process, spill_file(spill, f"{name}-{process.pid}"), lambda text: None)
        self._jobs[name] = running, asyncio.create_task(running.follow(), name=f"background {name}")
        return name

    async def poll(self, name: str, wait: float = 0) -> Running:
        """The command, once it has ended or after `wait` seconds."""
        running, task = self._job(name)
        if wait > 0:
            await asyncio.wait({task}, timeout=wait)
        return running

    async def stop(self, name: str) -> Running:
        """Kill it, unless it has ended."""
        running, task = self._job(name)
        if not task.done():
            await running.stop()
            await asyncio.wait({task})
        return running

    async def close(self) -> None:
        """Kill all that still run; returns when they are gone. Safe to call twice."""
        async with asyncio.TaskGroup() as group:
            for name in self._jobs:
                group.create_task(self.stop(name))

    def _job(self, name: str) -> tuple[Running, asyncio.Task[None]]:
        if name not in self._jobs:
            known = f"Known: {', '.join(self._jobs)}." if self._jobs else "None was started in this session."
            raise ToolError(f"There is no background command {name!r}. {known}")
        return self._jobs[name]


def describe_exit(exit: Exit) -> str:
    """How a command ended, in a few words; empty when it simply succeeded."""
    if exit.signal is not None:
        return f"killed by {_signal_name(exit.signal)}"
    if exit.code is None:
        return "killed"
    if exit.code > 128 and (name := _signal_name(exit.code - 128)).startswith("SIG"):
        return f"exit code {exit.code} ({name})"
    return f"exit code {exit.code}" if exit.code else ""


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"

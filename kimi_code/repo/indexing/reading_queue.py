"""The files of a tree that are still to be read, those asked for last first, and who waits for what is in them."""

import asyncio
from collections.abc import Collection, Iterable

from kimi_code.repo.indexing.facts import Facts
from kimi_code.repo.indexing.parser_process import Job

Result = tuple[Facts, bytes] | None  # facts and encoded detail; None for a file that cannot be read, or is unchanged


class ReadingQueue:
    """One event loop owns it. `work` is set while there may be jobs, `idle` by its owner once nothing is left."""

    def __init__(self) -> None:
        self.work, self.idle = asyncio.Event(), asyncio.Event()
        self._jobs: dict[str, Job] = {}
        self._order: list[str] = []  # the next at the end
        self._reading: dict[str, Job] = {}
        self._awaited: dict[str, asyncio.Future[Result]] = {}

    def __len__(self) -> int:
        return len(self._jobs) + len(self._reading)

    @property
    def waiting(self) -> Collection[str]:
        """The files that nobody has begun to read."""
        return self._jobs.keys()

    def is_reading(self, path: str) -> bool:
        """Whether a file is being read right now."""
        return path in self._reading

    def add(self, jobs: Iterable[Job]) -> None:
        """Read these files next, the last one first."""
        for job in jobs:
            self._jobs[job.path] = job
            self._order.append(job.path)
        if self._jobs:
            self.idle.clear()
            self.work.set()

    def take(self) -> Job | None:
        """The next file, which is being read then."""
        while self._order:
            job = self._jobs.pop(self._order.pop(), None)
            if job is not None:
                self._reading[job.path] = job
                return job
        return None

    def rest(self) -> None:
        """The readers have nothing to do, unless there are jobs by now."""
        if not self._jobs:
            self.work.clear()

    def finish(self, path: str) -> Job | None:
        """A file has been read; the job it was."""
        return self._reading.pop(path, None)

    def forget(self, path: str) -> None:
        """Nobody needs to read a file."""
        self._jobs.pop(path, None)

    def expect(self, path: str) -> asyncio.Future[Result]:
        """What a file holds, once it has been read."""
        return self._awaited.setdefault(path, asyncio.get_running_loop().create_future())

    def answer(self, path: str, result: Result) -> None:
        """Tell those who wait for a file."""
        future = self._awaited.pop(path, None)
        if future is not None and not future.done():
            future.set_result(result)

    def give_up(self) -> None:
        """Nothing can be read any more."""
        self._jobs.clear()
        self._reading.clear()
        for path in list(self._awaited):
            self.answer(path, None)

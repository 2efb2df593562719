"""Which files a turn changed, whoever changed them: tools or shell commands; the checkpoints it can be undone by."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from kimi_code.agent.environment import Agent
from kimi_code.errors import CheckpointError
from kimi_code.events import CheckpointCreated, Diff, FileChange, Notice

if TYPE_CHECKING:
    from kimi_code.repo.checkpoint import Checkpoints, Span

T = TypeVar("T")

# The turn's first checkpoint waits this long (in seconds) or until it is needed: the first request goes out before.
_HEAD_START = 0.2


class ChangeWatch:
    """One turn's checkpoints: before it, and before each step that may change files; compared at the end.

    Where no checkpoint can be taken, and for files outside its tree, what the tools reported has to do.
    """

    def __init__(self, agent: Agent, turn: int, prompt: str) -> None:
        self._agent = agent
        self._checkpoints: Checkpoints | None = None  # once the first request is out
        self._session = agent.context.session_id
        self._turn = turn
        self._prompt = agent.scope.scrub(prompt)
        self._needed = asyncio.Event()
        self._first: asyncio.Task[None] | None = None
        self._began = self._saved = self._fresh = self._over = self._asked = False
        self._step = 0  # the last one before which a checkpoint was taken; 0 when nothing can have changed
        self._reported: list[Diff] = []
        self._failure: CheckpointError | None = None

    def begin(self) -> None:
        """The first request is about to go out: the turn's first checkpoint is taken beside it."""
        if self._first is None and self._agent.checkpoints is not None:
            self._first = asyncio.create_task(self._take_first(self._agent.checkpoints))

    async def before_change(self, step: int, label: str) -> None:
        """Call before anything of the step may change files; its work is done once a step, and after a question."""
        if step == self._step and not self._asked:
            return
        self._asked = False
        self._step = step
        await self._settle_first()
        # What the user edited while the model was thinking is not the turn's: the state is looked at again, but for
        # the first checkpoint of the turn if it was taken this very moment.
        if self._checkpoints is not None and self._began and not self._fresh:
            await self._attempt(self._take(self._checkpoints, label, changing=True))
        self._fresh = False

    async def before_asking(self, label: str) -> None:
        """Call before a person is asked: what they do to the files before they answer is not the turn's."""
        if self._checkpoints is not None and self._saved:
            self._asked = True
            await self._attempt(self._checkpoints.pause(self._session, self._turn, self._agent.scope.scrub(label)))

    def report(self, diffs: Iterable[Diff]) -> None:
        """What a tool says it changed."""
        self._reported.extend(diffs)

    async def span(self) -> "Span | None":
        """The files before the first change and now; None where nothing can have changed.

        Raises CheckpointError when that is not known.
        """
        if self._failure is not None:
            raise self._failure
        if self._checkpoints is None or not self._saved:
            return None
        return await self._checkpoints.span(self._session, self._turn)

    async def collect(self) -> tuple[FileChange, ...]:
        """The turn's changes, by path; when cancelled, what the tools reported."""
        try:
            return await self._collect()
        except asyncio.CancelledError:
            # Whoever will not wait for the comparison has still to hear how the turn ended.
            if self._first is not None:
                self._first.cancel()
            return tuple(change for _, change in sorted(_merged(self._reported).items()))

    async def _collect(self) -> tuple[FileChange, ...]:
        self._over = True
        await self._settle_first()
        ended = None
        if self._checkpoints is not None and self._began:
            ended = await self._attempt(self._checkpoints.end_turn(self._session, self._turn))
        compared = self._saved and ended is not None
        found = {change.path: change for change in ended or ()}
        for path, change in _merged(self._reported).items():
            if not compared or path.startswith(("/", "../")) or ":" in path[:3]:
                found.setdefault(path, change)
        return tuple(found[path] for path in sorted(found))

    async def _take_first(self, open_checkpoints: "Callable[[], Checkpoints]") -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_HEAD_START):
                await self._needed.wait()
        checkpoints = self._checkpoints = open_checkpoints()
        await checkpoints.begin_turn(self._session, self._turn, self._prompt)
        self._began = True
        if self._over and self._step == 0:
            return  # it ended at once and changed nothing: the next turn's first checkpoint is of the same files
        changing = self._step > 0
        await self._take(checkpoints, f"before turn {self._turn}: {self._prompt}", changing=changing)
        self._fresh = changing

    async def _take(self, checkpoints: "Checkpoints", label: str, *, changing: bool) -> None:
        label = self._agent.scope.scrub(label)
        taken = await checkpoints.take(self._session, self._turn, label, changing=changing)
        self._saved = self._saved or changing
        if taken is not None:
            for note in taken.notes:
                self._say(Notice("info", note))
            self._agent.publish(CheckpointCreated(taken.id, taken.label, taken.files))

    async def _settle_first(self) -> None:
        """Wait for the turn's first checkpoint."""
        self.begin()
        self._needed.set()
        if self._first is not None:
            await self._attempt(asyncio.shield(self._first))

    async def _attempt(self, work: Awaitable[T]) -> T | None:
        """Without checkpoints a turn goes on all the same; once it may change something, it says so."""
        try:
            return await work
        except CheckpointError as error:
            self._failure = error
            if self._step > 0:
                self._say(Notice("warning", f"Changes in this folder cannot be undone: {error.message}"))
            return None

    def _say(self, notice: Notice) -> None:
        if notice.text not in self._agent.said:
            self._agent.said.add(notice.text)
            self._agent.publish(notice)


def _merged(diffs: Iterable[Diff]) -> dict[str, FileChange]:
    merged: dict[str, FileChange] = {}
    for diff in diffs:
        before = merged.get(diff.path)
        added, removed = (before.added, before.removed) if before else (0, 0)
        change = before.change if before and before.change == "created" else diff.change
        merged[diff.path] = FileChange(diff.path, change, added + diff.added, removed + diff.removed)
    return merged

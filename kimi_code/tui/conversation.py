"""The conversation that is on the screen: opens its session, sends what was typed in order, one thing at a time.

Knows no widget: `heard` gets every Record, `changed` says that something a screen shows is different now.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from kimi_code.errors import KimiError
from kimi_code.events import Outcome, Record, TurnEnded
from kimi_code.tui.host import Host, Opened, Which
from kimi_code.values import frozen

if TYPE_CHECKING:
    from kimi_code.session.session import Session

State = Literal["opening", "idle", "working", "failed"]


@frozen
class Job:
    """Something to do when its turn comes: a prompt (with images), a shell command, or a compaction (without text)."""

    kind: Literal["prompt", "shell", "compact"]
    text: str = ""
    images: tuple[Path, ...] = ()

    @property
    def typed(self) -> str:
        """As its owner typed it."""
        return {"prompt": "", "shell": "!", "compact": "/compact"}[self.kind] + self.text


@dataclass(slots=True)
class Conversation:
    """One at a time on a screen; `open` puts another session in its place."""

    host: Host
    heard: Callable[[Record], None]
    began: Callable[[Opened], None]
    changed: Callable[[], None]
    failed: Callable[[KimiError], None]
    session: "Session | None" = None
    last: "Session | None" = None  # the one that was open when all ended
    state: State = "opening"
    queue: list[Job] = field(default_factory=list[Job])
    given_back: list[Job] = field(default_factory=list[Job])
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _settled: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, which: Which) -> None:
        """Open the session and do what is queued, until cancelled; then close it."""
        try:
            await self.open(which)
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self.queue and self.session is not None:
                    await self._do(self.session, self.queue.pop(0))
        finally:
            await self.close()

    async def open(self, which: Which) -> bool:
        """Put a session in the place of the present one; False, with `failed` told, when it cannot be opened."""
        self._settled.clear()
        try:
            return await self._open(which)
        finally:
            self._settled.set()

    async def settled(self) -> None:
        """Wait until a session is open, or could not be opened."""
        await self._settled.wait()

    async def _open(self, which: Which) -> bool:
        self.state = "opening"
        self.changed()
        try:
            if which.id is None or self.session is None or not self.session.id.startswith(which.id):
                opened = await self.host.open(which)
            else:
                self.state = "idle"
                self.changed()
                return True
        except KimiError as error:
            # What was open before stays open.
            self.state = "failed" if self.session is None else "idle"
            self.failed(error)
            self.changed()
            return False
        try:
            await self.close()
        except BaseException:  # the screen goes meanwhile, before either could
            await opened.session.close()
            if self.last is not None:
                await self.last.close()
            raise
        self.session = opened.session
        self.began(opened)
        opened.session.subscribe(self.heard)
        opened.session.open(opened.opened, opened.notices)
        self.state = "idle"
        self._wake.set()
        self.changed()
        return True

    async def close(self) -> None:
        """End what runs and close the session; safe to call twice."""
        session, self.session = self.session, None
        if session is not None:
            self.last = session
            await session.close()

    def submit(self, job: Job) -> None:
        """Do it when everything before it is done."""
        self.queue.append(job)
        self._wake.set()
        self.changed()

    def steer(self, text: str) -> bool:
        """Say it to the running turn; False when none runs."""
        if self.session is None or not self.session.running:
            return False
        self.session.steer(text)
        return True

    def interrupt(self) -> bool:
        """Stop what runs; what was queued behind it waits in `given_back`. False when nothing runs."""
        if self.session is None or not self.session.running:
            return False
        self.given_back += self.queue
        self.queue.clear()
        self.session.interrupt()
        return True

    async def _do(self, session: "Session", job: Job) -> None:
        self.state = "working"
        self.changed()
        try:
            match job.kind:
                case "prompt":
                    await self._prompt(session, job)
                case "shell":
                    await self._unless_interrupted(session.shell(job.text))
                case "compact":
                    await self._unless_interrupted(session.compact())
        except KimiError as error:
            self.failed(error)
        finally:
            self.state = "idle"
            self.changed()

    async def _prompt(self, session: "Session", job: Job) -> None:
        try:
            ended: TurnEnded = await session.prompt(job.text, images=job.images)
        except KimiError:
            # Nothing was sent: the words are not lost.
            self.given_back.append(job)
            raise
        if ended.outcome not in (Outcome.DONE, Outcome.INTERRUPTED):
            # What follows was meant for a turn that went well: the person decides.
            self.given_back += self.queue
            self.queue.clear()

    async def _unless_interrupted(self, work: Awaitable[None]) -> None:
        try:
            await work
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise  # we are cancelled, not only the work

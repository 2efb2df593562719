"""What the tasks of one swarm share: the frozen tree and its checkouts, the merge queue, commands, and how to hire."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kimi_code.repo.checkout import Checkout, Checkouts
from kimi_code.swarm.agents import AgentType
from kimi_code.swarm.commands import Commands
from kimi_code.swarm.integrate import Queue
from kimi_code.swarm.journal import Keeper
from kimi_code.swarm.states import Check
from kimi_code.swarm.worker import Parent, Post, Worker, hire

if TYPE_CHECKING:
    from kimi_code.swarm.control import Director

_HEAD_START = 1.0  # seconds
_MAKING = 4  # checkouts that are made at once: more only wait for the disk


@dataclass(slots=True)
class HeadStart:
    """Siblings share the beginning of their requests: the first fills the provider's cache, the others wait for that.

    They wait until it has its answer or ended, and for a second at most.
    """

    _taken: bool = False
    _over: asyncio.Event = field(default_factory=asyncio.Event)

    async def wait(self) -> None:
        """For who is not the first."""
        if not self._taken:
            self._taken = True
            asyncio.get_running_loop().call_later(_HEAD_START, self._over.set)
            return
        await self._over.wait()

    def end(self) -> None:
        """The first one has its answer, or ended."""
        self._over.set()


@dataclass(slots=True)
class Crew:
    """`prefix` sets the paths of this swarm's agents apart from another's of the same session.

    `resolving` is held while the conflicts of one task are resolved: what two resolve at once conflicts again.
    `left` are the tasks that another process was at, and when their files were taken last, if they were; `retrying`
    those of which it had seen that an attempt did not do.
    """

    parent: Parent
    checkouts: Checkouts
    queue: Queue
    keeper: Keeper
    commands: Commands
    kinds: dict[str, AgentType]
    patience: float
    prefix: str
    verify_command: str = ""
    split: "Callable[[Worker], Director] | None" = None
    left: dict[str, float | None] = field(default_factory=dict[str, float | None])
    retrying: frozenset[str] = frozenset()
    merging: asyncio.Lock = field(default_factory=asyncio.Lock)
    resolving: asyncio.Lock = field(default_factory=asyncio.Lock)
    head_start: HeadStart = field(default_factory=HeadStart)
    _making: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_MAKING))
    _readers: dict[str, Checkout] = field(default_factory=dict[str, Checkout])
    _reading: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def checkout(self, name: str, start: str) -> Checkout:
        """A fresh one of its own. Raises CheckoutError: never answered by sharing one."""
        async with self._making:
            return await self.checkouts.create(name, start=start)

    async def reader(self, start: str) -> Checkout:
        """The one that all who only read share, for each start."""
        async with self._reading:
            if start not in self._readers:
                self._readers[start] = await self.checkout("readers", start)
            return self._readers[start]

    def hire(self, post: Post) -> Worker:
        """A sub-agent at its post. Raises BudgetExceeded."""
        return hire(self.parent, post)

    def name_of(self, task: str, attempt: int, role: str = "") -> str:
        """The last part of an agent's path, unique in the session."""
        again = f"~{attempt}" if attempt > 1 else ""
        return f"{self.prefix}{task}{role}{again}"

    async def verify(self, commit: str) -> Check:
        """The plan's verify on a merged state. Raises ToolError when it may not run."""
        checkout = await self.checkout("verify", commit)
        try:
            return await self.commands.run(self.verify_command, checkout, "verify")
        finally:
            await checkout.remove()

    async def passes(self, commit: str) -> bool:
        """Whether verify succeeds on it."""
        return (await self.verify(commit)).exit_code == 0

    async def close(self) -> None:
        """End the shared checkouts."""
        for checkout in self._readers.values():
            await checkout.remove()
        self._readers.clear()

"""What a task has to show: its files, in commits that outlive a kill, and how its check went. Never what it claims."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from kimi_code.repo.checkout import Checkout
from kimi_code.swarm.commands import describe
from kimi_code.swarm.crew import Crew
from kimi_code.swarm.integrate import Made, take_up
from kimi_code.swarm.plan import Task
from kimi_code.swarm.states import Entry, Reported, Result


@dataclass(slots=True)
class Evidence:
    """`result` is what there is of the attempt under way, `start` the commit that it began with.

    `note` writes to the swarm's journal.
    """

    task: Task
    crew: Crew
    note: Callable[[Entry], None]
    result: Result = field(default_factory=Result)
    start: str = ""
    _taken: str = ""  # the commit of the files as they were taken last
    _taking: asyncio.Lock = field(default_factory=asyncio.Lock)

    def begin(self, start: str) -> None:
        """An attempt begins, with the files of a commit."""
        self.start = self._taken = start

    def report(self) -> None:
        """Write down what there is."""
        self.note(Reported(time.time(), self.task.id, self.result))

    async def take_up(self, checkout: Checkout) -> Made:
        """The files as they are, as a commit that outlives us, and what of them is in the task's scope."""
        commit = await self._commit(checkout)
        made = await take_up(self.crew.checkouts.trees, self.task.id, self.start, commit, self.task.scope)
        await self.record(made)
        return made

    async def record(self, made: Made) -> None:
        """This is what the task made. It is kept with the merged state, which nobody else keeps."""
        start = made.piece.start
        if made.whole != start:
            await self.crew.keeper.keep(made.whole, self.crew.queue.base)
        self.result = replace(
            self.result,
            commit=made.whole if made.whole != start else "",
            changes=made.changes if made.piece.commit != start else (),
            outside=made.outside,
        )
        self.report()

    async def take_now(self, checkout: Checkout) -> None:
        """Keep the files as they are in the middle of an attempt: nobody looks yet what of them is in the scope."""
        taken_at = time.time()
        commit = await self._commit(checkout)
        if commit != self._taken:
            await self.crew.keeper.keep(commit, self.crew.queue.base)
            unfinished = replace(self.result, commit=commit, changes=(), outside=())
            self.note(Reported(taken_at, self.task.id, unfinished))
            self._taken = commit

    async def _commit(self, checkout: Checkout) -> str:
        trees = self.crew.checkouts.trees
        async with self._taking:
            tree = await checkout.take()
        same = tree == await trees.tree(self.start)
        return self.start if same else await trees.commit(tree, f"{self.task.id}\n", self.start)

    async def check(self, checkout: Checkout) -> str:
        """Run the task's check: "" when it succeeds, else how it went. Raises ToolError when it may not run."""
        check = await self.crew.commands.run(self.task.check, checkout, "check")
        self.result = replace(self.result, check=check)
        self.report()
        return "" if check.exit_code == 0 else f"The check {describe(check)}"

"""A swarm made ready to run: from a plan, or from what another process left of one."""

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from kimi_code.events import TaskState
from kimi_code.repo.checkout import Checkouts
from kimi_code.repo.snapshot import Snapshots
from kimi_code.swarm.agents import AgentType
from kimi_code.swarm.commands import Commands
from kimi_code.swarm.crew import Crew
from kimi_code.swarm.delivery import Home
from kimi_code.swarm.integrate import Queue
from kimi_code.swarm.journal import Keeper, Kept, SwarmJournal
from kimi_code.swarm.ledger import Ledger
from kimi_code.swarm.metrics import course, measure
from kimi_code.swarm.plan import MAX_DEPTH, Plan
from kimi_code.swarm.running import Running, about_to_retry, agents_over, left_behind, merged_queue, took
from kimi_code.swarm.scheduler import Scheduler
from kimi_code.swarm.states import Planned, Resumed, Swarm, begin
from kimi_code.swarm.worker import Parent, Worker, worker_policy
from kimi_code.values import frozen

if TYPE_CHECKING:
    from kimi_code.swarm.control import Director

    Split = Callable[[Checkouts, str, Worker], Director]

_UNCONFINED = (
    "Commands cannot be confined on this machine: file tools and git keep agents apart, but what a command does with "
    "paths outside its copy is not stopped."
)


@frozen
class Launch:
    """What all swarms of one agent are made with.

    `most` is how many agents may work at once, `patience` the seconds without a sign of life after which one is nudged.
    The swarms of a sub-agent are of `depth` 2: they are paid from the `ledger` of its task, and `kept` is a commit that
    outlives a kill, which its copy began from.
    """

    parent: Parent
    snapshots: Snapshots
    kinds: dict[str, AgentType]
    most: int
    command_timeout: float
    patience: float = 300.0
    depth: int = 1
    ledger: Ledger | None = None
    kept: str = ""

    async def afresh(self, kept: Kept, plan: Plan, warnings: tuple[str, ...], home: Home, split: "Split") -> Running:
        """Begin with a plan. `split` makes who runs an agent's own swarms. Raises KimiError: no copies can be had."""
        checkouts, base = await home.freeze()
        if checkouts.isolation == "copy only":
            warnings = (*warnings, _UNCONFINED)
        try:
            planned = Planned(time.time(), kept.id, plan, base)
            journal = self._journal(kept)
            journal.write(planned)
            running = self._assemble(kept, checkouts, begin(planned), journal, warnings, split)
            keeper = running.scheduler.crew.keeper
            # All that another process could not know of: of a copy, what was merged before it began as well.
            await keeper.keep(base, *((self.kept,) if self.kept else ()))
        except BaseException:
            await home.thaw(checkouts)
            raise
        return running

    async def again(self, kept: Kept, home: Home, split: "Split") -> Running:
        """Go on where another process left off. Raises SwarmError, KimiError."""
        entries = kept.read()
        checkouts, _ = await home.freeze()
        try:
            state = kept.state()
            running = self._assemble(kept, checkouts, state, self._journal(kept), (), split)
            crew = running.scheduler.crew
            crew.queue, crew.left = await merged_queue(checkouts.trees, state, entries), left_behind(state, entries)
            crew.retrying = about_to_retry(state, entries)
            ledger = running.scheduler.ledger
            ledger.agents, ledger.started = agents_over(state, entries), time.monotonic() - course(entries).wall
            if state.ended is not None:
                running.told = took(measure(entries))
            elif self.ledger is not None:
                self.ledger.settle(0, state.spent.usage, state.spent.tool_calls)
            running.scheduler.note(Resumed(time.time()))
            for task_id, progress in state.tasks.items():
                if progress.state is TaskState.STOPPED:
                    running.scheduler.move(task_id, TaskState.READY)
        except BaseException:
            await home.thaw(checkouts)
            raise
        return running

    def _journal(self, kept: Kept) -> SwarmJournal:
        return SwarmJournal(kept, self.parent.agent.scope.scrub)

    def _assemble(
        self,
        kept: Kept,
        checkouts: Checkouts,
        state: Swarm,
        journal: SwarmJournal,
        warnings: tuple[str, ...],
        split: "Split",
    ) -> Running:
        parent, shadow = self.parent, self.snapshots.shadow
        assert shadow is not None  # a moment was just taken
        agent = parent.agent
        ledger = Ledger("The swarm", state.plan.budget, agent.model.profile.price, self.ledger)
        if agent.budget is not None and self.ledger is None:
            ledger.spent, ledger.forbid = agent.budget.delegate, agent.budget.check_spending
        # What an earlier process spent counts.
        spent = state.spent
        ledger.usage, ledger.tool_calls = spent.usage, spent.tool_calls
        commands = Commands(
            lambda checkout: worker_policy(agent.scope.policy, checkout, agent.scope.workspace, "write"),
            parent.request,
            agent.scope.scrub,
            parent.cores,
            self.command_timeout,
        )
        crew = Crew(
            parent,
            checkouts,
            Queue(checkouts.trees, state.base),
            Keeper(checkouts.trees, shadow, kept.id),
            commands,
            self.kinds,
            self.patience,
            "" if kept.number == 1 else f"{kept.number}.",
            state.plan.verify,
            partial(split, checkouts, state.base) if self.depth < MAX_DEPTH else None,
        )
        scheduler = Scheduler(state, journal, crew, ledger, parent.tell, self.most)
        return Running(kept, warnings, checkouts, scheduler, journal)

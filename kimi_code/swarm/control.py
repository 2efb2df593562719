"""What an agent holds of its swarms: start one, steer it, read from it, take its change over, go on after a kill."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

from kimi_code.agent.committing import Part
from kimi_code.agent.stages import Closing
from kimi_code.errors import KimiError, PlanError, SwarmError, ToolError
from kimi_code.events import (
    Event,
    Outcome,
    PlannedTask,
    Reply,
    Request,
    SwarmEnded,
    SwarmMetrics,
    SwarmPlanned,
    TaskState,
)
from kimi_code.repo.checkout import Checkouts
from kimi_code.repo.shadow import ShadowError
from kimi_code.repo.snapshot import Snapshots
from kimi_code.session.swarms import SWARMS
from kimi_code.swarm.agents import AgentType
from kimi_code.swarm.approval import approve
from kimi_code.swarm.commands import Commands
from kimi_code.swarm.crew import Crew
from kimi_code.swarm.delivery import CopyTree, Delivered, Delivery, Home
from kimi_code.swarm.digest import digest
from kimi_code.swarm.integrate import Queue, recall
from kimi_code.swarm.journal import Keeper, Kept, SwarmJournal, swarms_of
from kimi_code.swarm.known import Known
from kimi_code.swarm.ledger import Ledger
from kimi_code.swarm.metrics import course, measure
from kimi_code.swarm.plan import MAX_DEPTH, Plan, Task, check
from kimi_code.swarm.running import (
    Running,
    SwarmOutcome,
    about_to_retry,
    agents_over,
    exit_of,
    left_behind,
    left_of,
    listen,
    merged_queue,
    outcome_of,
    took,
)
from kimi_code.swarm.scheduler import Scheduler
from kimi_code.swarm.states import Effort, Planned, Result, Resumed, Swarm, begin
from kimi_code.swarm.worker import Parent, Worker, worker_policy

_UNCONFINED = (
    "Commands cannot be confined on this machine: file tools and git keep agents apart, but what a command does with "
    "paths outside its copy is not stopped."
)
_SPLIT_MOST = 8  # agents at once of a task that is split


@dataclass(slots=True)
class Director:
    """One per agent that may have swarms; also a stage of its turns, which end when its swarms do.

    `home_now` tells the tree that a swarm starts from at that moment; `most` is how many agents may work at once.
    One that a sub-agent has is of `depth` 2: it pays from the `ledger` of its task, and `reads` if that only reads;
    `ended` hears what its swarms took, and `kept` is a commit that outlives a kill, which its copy began from.
    `parts`, where wanted, are changes of tasks that were applied.
    """

    parent: Parent
    home_now: Callable[[], Home]
    snapshots: Snapshots
    kinds: dict[str, AgentType]
    most: int
    command_timeout: float
    plan_first: bool = False
    parts: list[Part] | None = None
    depth: int = 1
    patience: float = 300.0  # seconds
    ledger: Ledger | None = None
    reads: bool = False
    ended: Callable[[Effort], None] = lambda _: None
    kept: str = ""
    running: dict[str, Running] = field(default_factory=dict[str, Running])
    known: Known = field(init=False)
    _partial: str = ""
    _came_to: Outcome = Outcome.PARTIAL
    _numbers: int = 0

    def __post_init__(self) -> None:
        self.known = Known(self.parent.folder, self.running, self.snapshots)

    # --- Starting and ending -----------------------------------------------------------------------------------------

    async def run(self, plan: Plan, *, background: bool = False) -> str:
        """Run a plan: the digest of what came of it, or with `background` at once the words that it runs.

        Raises:
            ToolError: the plan cannot be run, or was not approved.
            KimiError: no isolated copies can be had.
        """
        running = await self._open(plan)
        running.work = asyncio.create_task(self._see_through(running), name=f"swarm {running.kept.id}")
        if background:
            running.work.add_done_callback(_look)
            told = f"Swarm {running.kept.id} runs in the background: SwarmUpdate waits for it or steers it."
            return "\n".join((told, *(f"Warning: {warning}" for warning in running.warnings)))
        return await self._wait_for(running)

    async def resume(self, kept: Kept) -> str:
        """Go on with a swarm that another process left: what is finished is not done again. Raises SwarmError."""
        running = await self._reopen(kept)
        running.work = asyncio.create_task(self._see_through(running), name=f"swarm {kept.id}")
        return await self._wait_for(running)

    async def _wait_for(self, running: Running) -> str:
        assert running.work is not None
        try:
            return await asyncio.shield(running.work)
        except asyncio.CancelledError:
            running.work.cancel()
            await asyncio.wait({running.work})
            raise

    async def _open(self, plan: Plan) -> Running:
        try:
            warnings = check(plan, agents=self.kinds, depth=self.depth)
        except PlanError as error:
            raise ToolError(str(error)) from None
        if self.reads and (writing := [task.id for task in plan.tasks if task.mode == "write"]):
            raise ToolError(f"You only read, and so must your sub-agents: give {', '.join(writing)} mode read.")
        plan, warnings = await self._approved(plan, warnings)
        home, kept = self.home_now(), self._next()
        checkouts, base = await home.freeze()
        if checkouts.isolation == "copy only":
            warnings = (*warnings, _UNCONFINED)
        try:
            planned = Planned(time.time(), kept.id, plan, base)
            journal = SwarmJournal(kept, self.parent.agent.scope.scrub)
            journal.write(planned)
            running = self._assemble(kept, checkouts, begin(planned), journal, warnings)
            keeper = running.scheduler.crew.keeper
            # All that another process could not know of: of a copy, what was merged before it began as well.
            await keeper.keep(base, *((self.kept,) if self.kept else ()))
        except BaseException:
            await home.thaw(checkouts)
            raise
        self._announce(running)
        return running

    async def _reopen(self, kept: Kept) -> Running:
        entries = kept.read()
        home = self.home_now()
        checkouts, _ = await home.freeze()
        try:
            state = kept.state()
            journal = SwarmJournal(kept, self.parent.agent.scope.scrub)
            running = self._assemble(kept, checkouts, state, journal, ())
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
        self._announce(running)
        return running

    def _assemble(
        self, kept: Kept, checkouts: Checkouts, state: Swarm, journal: SwarmJournal, warnings: tuple[str, ...]
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
            self._ask,
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
            partial(self._split, checkouts, state.base) if self.depth < MAX_DEPTH else None,
        )
        scheduler = Scheduler(state, journal, crew, ledger, self._publish, self.most)
        running = self.running[kept.id] = Running(kept, warnings, checkouts, scheduler, journal)
        return running

    def _split(self, checkouts: Checkouts, base: str, worker: Worker) -> "Director":
        """Who runs the swarms of a sub-agent: in its copy, on its account."""
        above, post = self.parent, worker.post

        def publish(event: Event, path: str) -> None:
            worker.touch()
            above.publish(event, path)

        def note(sender: str, topic: str, text: str) -> int:
            return director.note(sender, topic, text) + above.note(sender, topic, text)

        inner = replace(
            above,
            agent=worker.agent,
            path=worker.path,
            session_id=f"{above.session_id}.{post.name}",
            folder=above.folder / "agents" / post.name,
            publish=publish,
            note=note,
        )
        director = Director(
            inner,
            lambda: CopyTree(checkouts, post.checkout, post.take),
            self.snapshots,
            self.kinds,
            min(self.most, _SPLIT_MOST),
            self.command_timeout,
            depth=self.depth + 1,
            patience=self.patience,
            ledger=post.ledger,
            reads=post.mode == "read",
            ended=post.spent,
            kept=base,
        )
        return director

    async def _see_through(self, running: Running) -> str:
        """Run it, hand its change over, say how it went."""
        scheduler, home = running.scheduler, self.home_now()
        outcome: SwarmOutcome = "stopped"
        metrics = SwarmMetrics()
        listening = asyncio.create_task(listen(running))
        try:
            try:
                await scheduler.run()
            finally:
                metrics = measure(running.kept.read())
                # Right after its end is written down, by which another process knows that this was told.
                self.ended(took(metrics).beyond(running.told))
            outcome = outcome_of(scheduler)
            running.delivered = await self._deliver(running, home)
        finally:
            listening.cancel()
            running.journal.close()
            self._publish(SwarmEnded(running.kept.id, outcome, metrics))
            await scheduler.crew.close()
            await home.thaw(running.checkouts)
        if outcome != "done":
            self._came_to = exit_of(scheduler)
            self._partial = f"The swarm {running.kept.id} ended {outcome}: {left_of(scheduler.state)}"
        return digest(scheduler.state, running.warnings, running.delivered.words, metrics)

    async def _deliver(self, running: Running, home: Home) -> Delivered:
        queue, agent = running.scheduler.crew.queue, self.parent.agent
        patch = self.parent.folder / "patches" / f"swarm-{running.kept.number}.patch"
        delivery = Delivery(
            home,
            self._publish,
            self._ask,
            agent.before_change,
            agent.scope.policy.mode != "yolo",
        )
        try:
            delivered = await delivery.deliver(running.checkouts, queue.base, queue.head, patch)
            running.kept.hand_over(delivered.status)
            if delivered.whole and home.is_users and self.parts is not None:
                self.parts += await self._parts_of(running)
            return delivered
        except (KimiError, ShadowError) as error:
            return Delivered("refused", f"Nothing was applied: {error}. The change is in {patch}.", patch)

    async def _parts_of(self, running: Running) -> list[Part]:
        """The change task by task, where it outlives the checkouts."""
        crew, plan = running.scheduler.crew, running.state.plan
        parts, before = list[Part](), crew.queue.base
        for piece, head in zip(crew.queue.pieces, await crew.queue.heads(), strict=True):
            await crew.keeper.keep(head, before)
            first = next(iter(plan[piece.task].task.strip().splitlines()), "")
            parts.append(Part(f"{piece.task}: {first}", before, head))
            before = head
        return parts

    async def _approved(self, plan: Plan, warnings: tuple[str, ...]) -> tuple[Plan, tuple[str, ...]]:
        """The plan as it is to run. Raises ToolError when the user declines it."""
        mode = self.parent.agent.scope.policy.mode
        if mode == "yolo" or not (mode == "ask" or self.plan_first):
            return plan, warnings
        keep = self.parent.folder / SWARMS / "plan.yaml"
        return await approve(plan, warnings, self._ask, keep, self.kinds, self.depth)

    async def _ask(self, request: Request) -> Reply:
        return await self.parent.ask(request, self.parent.path)

    def _announce(self, running: Running) -> None:
        plan = running.state.plan
        tasks = tuple(PlannedTask(t.id, t.task, t.agent, t.mode, t.needs, t.scope) for t in plan.tasks)
        self._publish(SwarmPlanned(running.kept.id, plan.goal, tasks, plan.max_parallel or self.most, running.warnings))

    def _publish(self, event: Event) -> None:
        self.parent.publish(event, self.parent.path)

    def _next(self) -> Kept:
        # In the order asked, also where several are about to start.
        before = swarms_of(self.parent.folder)
        self._numbers = max(self._numbers, before[-1].number if before else 0) + 1
        return Kept(self.parent.folder, self._numbers)

    # --- While it runs, and after ------------------------------------------------------------------------------------

    def extend(self, swarm: str, tasks: Sequence[Task]) -> tuple[str, ...]:
        """Add tasks to a running swarm; the warnings. Raises ToolError."""
        running = self.known.at_work(swarm)
        try:
            warnings = check(running.state.plan.extended(tasks), agents=self.kinds, depth=self.depth)
            running.scheduler.extend(tasks)
        except SwarmError as error:
            raise ToolError(str(error)) from None
        running.warnings = warnings
        self._announce(running)
        return warnings

    def cancel(self, swarm: str, tasks: Sequence[str]) -> None:
        """Cancel tasks. Raises ToolError."""
        self._each(tasks, self.known.at_work(swarm).scheduler.cancel)

    def cancel_all(self, swarm: str) -> None:
        """Cancel whatever is not over. Raises ToolError."""
        self.known.at_work(swarm).scheduler.cancel_all("cancelled by the user")

    def retry(self, swarm: str, task: str) -> None:
        """Begin a task anew. Raises ToolError."""
        self._each((task,), self.known.at_work(swarm).scheduler.retry)

    def steer(self, swarm: str, task: str, text: str) -> None:
        """Say something to a task's agent. Raises ToolError."""
        scheduler = self.known.at_work(swarm).scheduler
        self._each((task,), lambda each: scheduler.steer(each, text))

    def _each(self, tasks: Sequence[str], do: Callable[[str], None]) -> None:
        try:
            for task in tasks:
                do(task)
        except SwarmError as error:
            raise ToolError(str(error)) from None

    async def wait(self, swarm: str, kind: Literal["any", "all"]) -> str:
        """Until one more task, or the swarm, is over; the digest as it is then. Raises ToolError."""
        running = self.running.get(self.known.kept(swarm).id)
        if running is None or running.work is None or running.work.done():
            return self.known.digest(swarm)
        if kind == "all":
            return await self._wait_for(running)
        await running.scheduler.next_end()
        return self.known.digest(swarm)

    async def take(self, swarm: str, tasks: Sequence[str]) -> str:
        """Take over what finished tasks changed outside their scopes. Raises ToolError, KimiError."""
        kept, state = self.known.kept(swarm), self.known.state(swarm)
        running = self.running.get(kept.id)
        if running is not None and running.work is not None and not running.work.done():
            raise ToolError("The swarm still runs: what is outside scopes can be taken over when it is over.")
        words: list[str] = []
        for task in tasks:
            progress = state.tasks.get(task)
            result = progress.result if progress else None
            if result is None or not result.outside:
                raise ToolError(f"Task {task} has no changes outside its scope.")
            words.append(f"{task}: {(await self._take(kept, task, result)).words}")
        return "\n".join(words)

    async def _take(self, kept: Kept, task: str, result: Result) -> Delivered:
        home, agent = self.home_now(), self.parent.agent
        checkouts, _ = await home.freeze()
        try:
            piece = await recall(checkouts.trees, task, result.commit, outside=True)
            asks = agent.scope.policy.mode != "yolo"
            delivery = Delivery(home, self._publish, self._ask, agent.before_change, asks)
            patch = self.parent.folder / "patches" / f"swarm-{kept.number}-{task}.patch"
            return await delivery.deliver(checkouts, piece.commit, result.commit, patch)
        finally:
            await home.thaw(checkouts)

    def note(self, sender: str, topic: str, text: str) -> int:
        """Tell the agents at work in all swarms; how many hear it."""
        return sum(running.scheduler.say(sender, topic, text) for running in self.running.values())

    # --- As a stage of its agent's turns -----------------------------------------------------------------------------

    @property
    def isolates(self) -> bool:
        return False

    async def linger(self) -> str:
        """Wait for the swarms in the background; what came of them, which nobody has waited for."""
        works = {id: running.work for id, running in self.running.items() if running.work and not running.work.done()}
        if not works:
            return ""
        await asyncio.wait(works.values())
        over = [(id, work) for id, work in works.items() if not work.cancelled()]
        return "\n".join(f"The swarm {id} is over:\n{work.exception() or work.result()}" for id, work in over)

    async def begin(self) -> None:
        self._partial = ""

    def forget(self) -> None:
        pass

    async def end(self, closing: Closing) -> None:
        """Wait for swarms in the background; a turn that is cut short stops them, to be resumed."""
        for running in self.running.values():
            if running.work is None or running.work.done():
                continue
            if closing.outcome is Outcome.DONE:
                await self._wait_for(running)
            else:
                running.work.cancel()
                await asyncio.wait({running.work})
        if self._partial and closing.outcome is Outcome.DONE:
            closing.outcome, closing.error = self._came_to, self._partial


def _look(work: "asyncio.Task[str]") -> None:
    """A failure in the background is told by whoever waits for it."""
    if not work.cancelled():
        work.exception()

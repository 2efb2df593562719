"""What an agent holds of its swarms: start one, steer it, read from it, take its change over, go on after a kill."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from kimi_code.agent.stages import Closing
from kimi_code.errors import PlanError, SwarmError, ToolError
from kimi_code.events import Event, Outcome, PlannedTask, SwarmEnded, SwarmMetrics, SwarmPlanned
from kimi_code.repo.checkout import Checkouts
from kimi_code.session.swarms import SWARMS
from kimi_code.swarm.approval import approve
from kimi_code.swarm.delivery import CopyTree, Home
from kimi_code.swarm.digest import digest
from kimi_code.swarm.handover import Handover
from kimi_code.swarm.journal import Kept, swarms_of
from kimi_code.swarm.known import Known
from kimi_code.swarm.launch import Launch
from kimi_code.swarm.metrics import measure
from kimi_code.swarm.plan import Plan, Task, check
from kimi_code.swarm.running import Running, SwarmOutcome, exit_of, left_of, listen, outcome_of, took
from kimi_code.swarm.states import Effort
from kimi_code.swarm.worker import Parent, Worker

_SPLIT_MOST = 8  # agents at once of a task that is split


@dataclass(slots=True)
class Director:
    """One per agent that may have swarms; also a stage of its turns, which end when its swarms do.

    `home_now` tells the tree that a swarm starts from at that moment. One that a sub-agent has `reads` if its task only
    reads; `ended` hears what its swarms took.
    """

    launch: Launch
    handover: Handover
    home_now: Callable[[], Home]
    plan_first: bool = False
    reads: bool = False
    ended: Callable[[Effort], None] = lambda _: None
    running: dict[str, Running] = field(default_factory=dict[str, Running])
    known: Known = field(init=False)
    _partial: str = ""
    _came_to: Outcome = Outcome.PARTIAL
    _numbers: int = 0

    def __post_init__(self) -> None:
        self.known = Known(self.parent.folder, self.running, self.launch.snapshots)

    @property
    def parent(self) -> Parent:
        """The agent whose swarms they are, as its sub-agents see it."""
        return self.launch.parent

    # --- Starting and ending -----------------------------------------------------------------------------------------

    async def run(self, plan: Plan, *, background: bool = False) -> str:
        """Run a plan: the digest of what came of it, or with `background` at once the words that it runs.

        Raises:
            ToolError: the plan cannot be run, or was not approved.
            KimiError: no isolated copies can be had.
        """
        plan, warnings = await self._accepted(plan)
        running = await self.launch.afresh(self._next(), plan, warnings, self.home_now(), self._split)
        work = self._start(running)
        if background:
            work.add_done_callback(_look)
            told = f"Swarm {running.kept.id} runs in the background: SwarmUpdate waits for it or steers it."
            return "\n".join((told, *(f"Warning: {warning}" for warning in running.warnings)))
        return await self._wait_for(running)

    async def resume(self, kept: Kept) -> str:
        """Go on with a swarm that another process left: what is finished is not done again. Raises SwarmError."""
        running = await self.launch.again(kept, self.home_now(), self._split)
        self._start(running)
        return await self._wait_for(running)

    def _start(self, running: Running) -> "asyncio.Task[str]":
        self.running[running.kept.id] = running
        self._announce(running)
        running.work = asyncio.create_task(self._see_through(running), name=f"swarm {running.kept.id}")
        return running.work

    async def _wait_for(self, running: Running) -> str:
        assert running.work is not None
        try:
            return await asyncio.shield(running.work)
        except asyncio.CancelledError:
            running.work.cancel()
            await asyncio.wait({running.work})
            raise

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
        launch = replace(
            self.launch,
            parent=inner,
            most=min(self.launch.most, _SPLIT_MOST),
            depth=self.launch.depth + 1,
            ledger=post.ledger,
            kept=base,
        )
        director = Director(
            launch,
            Handover(inner),
            lambda: CopyTree(checkouts, post.checkout, post.take),
            reads=post.mode == "read",
            ended=post.spent,
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
            running.delivered = await self.handover.of_swarm(running, home)
        finally:
            listening.cancel()
            running.journal.close()
            self.parent.tell(SwarmEnded(running.kept.id, outcome, metrics))
            await scheduler.crew.close()
            await home.thaw(running.checkouts)
        if outcome != "done":
            self._came_to = exit_of(scheduler)
            self._partial = f"The swarm {running.kept.id} ended {outcome}: {left_of(scheduler.state)}"
        return digest(scheduler.state, running.warnings, running.delivered.words, metrics)

    async def _accepted(self, plan: Plan) -> tuple[Plan, tuple[str, ...]]:
        """The plan as it is to run, and warnings. Raises ToolError: it cannot be run, or the user declines it."""
        kinds, depth = self.launch.kinds, self.launch.depth
        try:
            warnings = check(plan, agents=kinds, depth=depth)
        except PlanError as error:
            raise ToolError(str(error)) from None
        if self.reads and (writing := [task.id for task in plan.tasks if task.mode == "write"]):
            raise ToolError(f"You only read, and so must your sub-agents: give {', '.join(writing)} mode read.")
        mode = self.parent.agent.scope.policy.mode
        if mode == "yolo" or not (mode == "ask" or self.plan_first):
            return plan, warnings
        keep = self.parent.folder / SWARMS / "plan.yaml"
        return await approve(plan, warnings, self.parent.request, keep, kinds, depth)

    def _announce(self, running: Running) -> None:
        plan = running.state.plan
        tasks = tuple(PlannedTask(t.id, t.task, t.agent, t.mode, t.needs, t.scope) for t in plan.tasks)
        self.parent.tell(
            SwarmPlanned(running.kept.id, plan.goal, tasks, plan.max_parallel or self.launch.most, running.warnings)
        )

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
            warnings = check(running.state.plan.extended(tasks), agents=self.launch.kinds, depth=self.launch.depth)
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
            delivered = await self.handover.of_strays(kept, task, result, self.home_now())
            words.append(f"{task}: {delivered.words}")
        return "\n".join(words)

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

"""One task's life in a running swarm: attempts, its check, the merge, a conflict resolved or redone."""

import asyncio
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from kimi_code.errors import BudgetExceeded, ToolError
from kimi_code.events import Outcome, TaskState, TurnEnded
from kimi_code.repo.checkout import Checkout
from kimi_code.repo.merge import Conflict, is_marked, merge
from kimi_code.swarm import assignments
from kimi_code.swarm.agents import AgentType
from kimi_code.swarm.commands import describe
from kimi_code.swarm.crew import Crew
from kimi_code.swarm.evidence import Evidence
from kimi_code.swarm.integrate import Made, Piece, carry_over, recall
from kimi_code.swarm.integrate import describe as describe_conflicts
from kimi_code.swarm.ledger import Ledger
from kimi_code.swarm.plan import MAX_ATTEMPTS, Task
from kimi_code.swarm.remains import Until
from kimi_code.swarm.scope import holds
from kimi_code.swarm.states import Progress, Result
from kimi_code.swarm.worker import Post, Worker

if TYPE_CHECKING:
    from kimi_code.swarm.scheduler import Scheduler

_RESOLUTIONS = 3  # times that one task's conflicts are resolved, as others are merged meanwhile
_TAKE_EVERY = 5.0  # seconds


class Halt(Exception):
    """The task goes no further: `state` says how it ended."""

    def __init__(self, state: TaskState, reason: str) -> None:
        super().__init__(reason)
        self.state = state
        self.reason = reason


@dataclass(slots=True)
class Job:
    """Made for a task that is ready; `run` brings it to a state in which it is over."""

    task: Task
    scheduler: "Scheduler"
    crew: Crew
    worker: Worker | None = None
    _checkout: Checkout | None = None
    _evidence: Evidence = field(init=False)
    _unfit: Result | None = None  # what the check of another process's attempt found wanting
    _ledger: Ledger = field(init=False)

    def __post_init__(self) -> None:
        self._evidence = Evidence(self.task, self.crew, self.scheduler.note)
        above = self.scheduler.ledger
        self._ledger = Ledger(f"The task {self.task.id}", self.task.budget, above.price, above)
        # What an earlier process spent on it counts.
        effort = self.scheduler.state.tasks[self.task.id].effort
        self._ledger.usage, self._ledger.tool_calls = effort.usage, effort.tool_calls

    async def run(self) -> None:
        """All attempts. Raises KimiError or ShadowError where the machinery fails, not the agent."""
        try:
            await self._attempts()
        except Halt as end:
            self.scheduler.move(self.task.id, end.state, end.reason)
        except BudgetExceeded as error:
            self.scheduler.move(self.task.id, *self._out_of_budget(error.message))
        finally:
            await self._leave()

    async def _attempts(self) -> None:
        scheduler, task = self.scheduler, self.task
        before = scheduler.state.tasks[task.id]
        if before.state in (TaskState.CHECKING, TaskState.MERGING) and before.result and before.result.commit:
            problem = await self._finish_interrupted(before.result)
        else:
            problem = await self._attempt(await self._begin(before))
        while problem:
            if scheduler.state.tasks[task.id].attempt >= MAX_ATTEMPTS:
                raise Halt(TaskState.FAILED, problem)
            scheduler.move(task.id, TaskState.READY, problem)
            problem = await self._attempt(await self._begin_again(problem))

    async def _begin(self, before: Progress) -> str:
        """The first attempt in this process; `before` is where the journal left the task."""
        result, queue = before.result or Result(), self.crew.queue
        if self.task.id in self.crew.left:
            return await self._continue(before, result)
        if self.task.id in self.crew.retrying and before.state is TaskState.READY:
            self.crew.retrying -= {self.task.id}
            return await self._take_over(result, before.reason)
        if before.attempt == 1:
            return await self._engage(await queue.start_of(self._ancestors()))
        first = await self._engage(queue.head if self._is_merged() else await queue.start_of(self._ancestors()))
        if self._is_merged():
            return assignments.mend(first, before.reason)
        return assignments.retry_afresh(first, before.reason, result.said)

    async def _begin_again(self, problem: str) -> str:
        """Another attempt: with what it had, the last one with a fresh agent; after a conflict, on what is merged."""
        scheduler, said = self.scheduler, self._evidence.result.said
        if self.worker is not None and scheduler.state.tasks[self.task.id].attempt < MAX_ATTEMPTS:
            scheduler.move(self.task.id, TaskState.RUNNING, problem, self.worker.path)
            return assignments.retry(problem)
        if self._unfit is not None:
            return await self._take_over(self._unfit, problem)
        conflicted = self.worker is None
        await self._leave()
        queue = self.crew.queue
        start = queue.head if conflicted or self._is_merged() else await queue.start_of(self._ancestors())
        first = await self._engage(start)
        return assignments.mend(first, problem) if self._is_merged() else assignments.retry_afresh(first, problem, said)

    async def _continue(self, before: Progress, result: Result) -> str:
        """Go on where a process that ended left off: its conversation whole, its files as last taken."""
        trees, files, start = self.crew.checkouts.trees, "", ""
        taken_at = self.crew.left.pop(self.task.id)
        if taken_at is not None and self.task.mode == "write":
            piece = await recall(trees, self.task.id, result.commit, outside=bool(result.outside))
            files, start = result.commit, piece.start
        else:
            start = self.crew.queue.head if before.attempt > 1 else await self.crew.queue.start_of(self._ancestors())
        until = Until(taken_at, reads=self.task.mode == "read")
        first = await self._engage(start, files=files, until=until, name=self._last_agent)
        if self.worker is None or not self.worker.agent.context.messages:
            return first
        return assignments.go_on(first, before.reason)

    async def _take_over(self, result: Result, problem: str) -> str:
        """The same agent again, for whom another process has worked: with its conversation and its files."""
        self._unfit = None
        trees, start = self.crew.checkouts.trees, ""
        if result.commit:
            start = (await recall(trees, self.task.id, result.commit, outside=bool(result.outside))).start
        start = start or await self.crew.queue.start_of(self._ancestors())
        first = await self._engage(start, files=result.commit, until=Until(math.inf), name=self._last_agent)
        assert self.worker is not None
        known = bool(self.worker.agent.context.messages)
        return assignments.retry(problem) if known else assignments.retry_afresh(first, problem, result.said)

    @property
    def _last_agent(self) -> str:
        """The last part of the path of who was at it last."""
        return self.scheduler.state.tasks[self.task.id].agent.rpartition("/")[2]

    async def _finish_interrupted(self, result: Result) -> str:
        """Check and merge what was made before a process ended."""
        self._evidence.result = result
        trees = self.crew.checkouts.trees
        piece = await recall(trees, self.task.id, result.commit, outside=bool(result.outside))
        if self.task.check:
            self.scheduler.move(self.task.id, TaskState.CHECKING)
            checkout = self._checkout = await self.crew.checkout(self.task.id, result.commit)
            problem = await self._check(checkout)
            if problem:
                self._unfit = self._evidence.result
                await self._leave()
                return problem
        return await self._merge(Made(piece, result.commit, result.changes, result.outside))

    async def _engage(self, start: str, *, files: str = "", until: Until | None = None, name: str = "") -> str:
        """A checkout that begins with `start` (and has the files of a commit), an agent in it; its first words."""
        task, crew, scheduler = self.task, self.crew, self.scheduler
        name = name or crew.name_of(task.id, scheduler.state.tasks[task.id].attempt)
        scheduler.move(task.id, TaskState.RUNNING, scheduler.state.tasks[task.id].reason, f"{crew.parent.path}/{name}")
        self._evidence.begin(start)
        if task.mode == "read":
            self._checkout = await crew.reader(start)
        else:
            self._checkout = await crew.checkout(task.id, files or start)
        self.worker = self._hire(name, crew.kinds[task.agent], self._checkout, until=until)
        needed = {need: scheduler.state.tasks[need].result or Result() for need in task.needs}
        isolation = "" if task.mode == "read" else self._checkout.isolation
        return assignments.assign(
            scheduler.state.plan, task, self.worker.path, needed, isolation, tuple(scheduler.board)
        )

    async def _attempt(self, prompt: str) -> str:
        """Work, check, merge; "" when the task is over, else why another attempt is needed. Raises Halt."""
        worker, checkout = self.worker, self._checkout
        assert worker is not None and checkout is not None
        await self.crew.head_start.wait()
        taking = asyncio.create_task(self._take_now_and_then())
        try:
            ended = await worker.work(prompt)
        except asyncio.CancelledError:
            # Another process may go on with it: with its files as they are now.
            await worker.settle()
            if self.task.mode == "write":
                await self._evidence.take_up(checkout)
            raise
        finally:
            taking.cancel()
            self.crew.head_start.end()
        self._evidence.result = Result(said=ended.text, output=ended.output, refused=tuple(worker.refused))
        if self.task.mode == "read":
            self._evidence.report()
            problem = self._judge(ended, worker)
            if not problem:
                self.scheduler.move(self.task.id, TaskState.DONE)
            return problem
        await worker.settle()
        made = await self._evidence.take_up(checkout)
        problem = self._judge(ended, worker)
        if problem:
            return problem
        if self.task.check:
            self.scheduler.move(self.task.id, TaskState.CHECKING)
            problem = await self._check(checkout)
            if problem:
                return problem
        if made.piece.commit != made.piece.start:
            return await self._merge(made)
        broken = self.scheduler.state.verified
        if broken is not None and self._is_merged():
            return f"Nothing was changed, and with what it made before the merged tree fails: {describe(broken.check)}"
        self.scheduler.move(self.task.id, TaskState.DONE)
        return ""

    def _judge(self, ended: TurnEnded, worker: Worker) -> str:
        """Why the turn did not do, "" when it did. Raises Halt where another attempt makes no sense."""
        self.scheduler.heard(self.task.id, ended.outcome)
        if ended.outcome is Outcome.DONE:
            return ""
        why = worker.stuck or ended.error or ended.outcome.value
        if self.scheduler.fatal:
            raise Halt(TaskState.STOPPED, self.scheduler.fatal)
        if ended.outcome is Outcome.BUDGET:
            raise Halt(*self._out_of_budget(why))
        return why

    def _is_merged(self) -> bool:
        return any(piece.task == self.task.id for piece in self.crew.queue.pieces)

    async def _take_now_and_then(self) -> None:
        """So that a kill costs no more than the last seconds of a long task."""
        while True:
            await asyncio.sleep(_TAKE_EVERY)
            await self._take_now()

    async def _take_now(self) -> None:
        worker, checkout = self.worker, self._checkout
        if worker is None or checkout is None or self.task.mode == "read" or not worker.take_changed():
            return
        await self._evidence.take_now(checkout)

    async def _check(self, checkout: Checkout) -> str:
        try:
            return await self._evidence.check(checkout)
        except ToolError as error:
            raise Halt(TaskState.FAILED, error.message) from None

    # --- Merging -----------------------------------------------------------------------------------------------------

    async def _merge(self, made: Made) -> str:
        scheduler = self.scheduler
        scheduler.move(self.task.id, TaskState.MERGING)
        conflicts = await self._add(made.piece)
        if conflicts:
            await self._leave()
            conflicts = await self._bring_together(made)
        if not conflicts:
            scheduler.move(self.task.id, TaskState.MERGED)
            return ""
        return f"It does not go together with what was merged before it:\n{describe_conflicts(conflicts)}"

    async def _bring_together(self, made: Made) -> tuple[Conflict, ...]:
        """Have an agent resolve the conflicts, again where others were merged into the same meanwhile."""
        asked = time.monotonic()
        async with self.crew.resolving:
            self.scheduler.waited(self.task.id, "merge", time.monotonic() - asked)
            for number in range(_RESOLUTIONS):
                conflicts = await self._add(made.piece)
                role = f"+resolver{number + 1 if number else ''}"
                resolved = await self._resolve(made, conflicts, role) if conflicts else None
                if resolved is None:
                    return conflicts
                made = resolved
            return await self._add(made.piece)

    async def _add(self, piece: Piece) -> tuple[Conflict, ...]:
        queue, asked = self.crew.queue, time.monotonic()
        async with self.crew.merging:
            self.scheduler.waited(self.task.id, "merge", time.monotonic() - asked)
            return await queue.add(piece)

    async def _resolve(self, made: Made, conflicts: Sequence[Conflict], role: str) -> Made | None:
        """Have both sides brought together by an agent of its own; None when that did not succeed."""
        trees, crew, piece = self.crew.checkouts.trees, self.crew, made.piece
        head = crew.queue.head
        paths = [conflict.path for conflict in conflicts]
        before = await trees.files(piece.start, paths)
        rest = await trees.edit(piece.commit, {path: before.get(path) for path in paths})
        merged = await merge(trees, piece.start, head, rest)
        marks = {conflict.path: conflict.marked for conflict in conflicts if conflict.marked is not None}
        tree = await trees.edit(merged.tree or head, marks)
        start = await trees.commit(tree, f"{self.task.id}, with its conflicts marked\n", head)
        ours = self._others_of(paths)
        attempt = self.scheduler.state.tasks[self.task.id].attempt
        checkout = await crew.checkout(f"{self.task.id}-resolver", start)
        kind = crew.kinds.get("resolver") or crew.kinds["coder"]
        task = replace(self.task, output_schema=None)
        worker = self._hire(crew.name_of(self.task.id, attempt, role), kind, checkout, task)
        self.worker = worker
        try:
            ended = await worker.work(assignments.resolve(ours, self.task, conflicts))
            await worker.settle()
            if ended.outcome is not Outcome.DONE:
                return None
            tree = await checkout.take()
            marked = any(is_marked(entry.content) for entry in (await trees.files(tree, paths)).values())
            touched = [change.path for change in await trees.changes(start, tree, renames=False)]
            strays = [path for path in touched if path not in paths and not holds(self.task.scope, path)]
            if marked or strays or not touched:
                return None
            if self.task.check and await self._check(checkout):
                return None
            commit = await trees.commit(tree, f"{self.task.id}, brought together with what was merged\n", head)
            both = Piece(self.task.id, head, commit)
            whole = await carry_over(trees, made, both)
            changes = await trees.changes(head, commit, renames=False)
            resolved = Made(both, whole, changes, made.outside)
            await self._evidence.record(resolved)
            return resolved
        finally:
            self.worker = None
            await worker.close()
            await checkout.remove()

    def _others_of(self, paths: Sequence[str]) -> list[Task]:
        """The merged tasks that changed any of the paths."""
        state = self.scheduler.state
        return [
            state.plan[task_id]
            for task_id in dict.fromkeys(piece.task for piece in self.crew.queue.pieces)
            if (result := state.tasks[task_id].result) is not None
            and any(change.path in paths for change in result.changes)
        ]

    # --- People ------------------------------------------------------------------------------------------------------

    def _hire(
        self, name: str, kind: AgentType, checkout: Checkout, task: Task | None = None, until: Until | None = None
    ) -> Worker:
        task = task or self.task
        crew, scheduler = self.crew, self.scheduler

        post = Post(
            name,
            task,
            kind,
            checkout,
            self.task.mode,
            self._ledger,
            crew.patience,
            partial(scheduler.spent, self.task.id),
            lambda cause, seconds: scheduler.waited(self.task.id, cause, seconds),
            crew.head_start.end,
            self._take_now,
            until,
            crew.split,
        )
        return crew.hire(post)

    def _ancestors(self) -> frozenset[str]:
        return self.scheduler.ancestors(self.task.id)

    def _out_of_budget(self, why: str) -> tuple[TaskState, str]:
        """How a task ends whose budget is used up, or that of more than the task."""
        whole = self.scheduler.ledger
        used_up = "" if self._ledger.refusal else whole.refused() or whole.exhausted()
        return (TaskState.STOPPED, used_up) if used_up else (TaskState.FAILED, why)

    async def _leave(self) -> None:
        """End the agent and its checkout."""
        worker, self.worker = self.worker, None
        checkout, self._checkout = self._checkout, None
        if worker is not None:
            await worker.close()
        if checkout is not None and self.task.mode == "write":
            await checkout.remove()

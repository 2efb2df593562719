"""What a swarm's journal says, and the state that follows from it: a pure fold, so that a replay is the live state."""

from collections.abc import Iterable, Mapping
from dataclasses import field, replace
from typing import Literal, assert_never

from kimi_code.events import FileChange, TaskState
from kimi_code.messages import Usage
from kimi_code.swarm.plan import MAX_ATTEMPTS, Plan, Task
from kimi_code.values import frozen

# What a task came to. BLOCKED and STOPPED may still go on, when a need is tried again or the swarm is resumed.
GOOD = frozenset({TaskState.MERGED, TaskState.DONE})
BAD = frozenset({TaskState.FAILED, TaskState.BLOCKED, TaskState.CANCELLED, TaskState.STOPPED})
OVER = GOOD | BAD
ACTIVE = frozenset({TaskState.RUNNING, TaskState.CHECKING, TaskState.MERGING})

# Where a task may be moved. WAITING, BLOCKED and a first READY are never written down: they follow from the needs.
# To itself, an active state says that another process goes on with it. READY after a start is another attempt.
_LEAVE = {TaskState.CANCELLED, TaskState.STOPPED}
_AGAIN = {TaskState.READY, TaskState.FAILED}
_MOVES: Mapping[TaskState, frozenset[TaskState]] = {
    TaskState.WAITING: frozenset(_LEAVE),
    TaskState.BLOCKED: frozenset(_LEAVE),
    TaskState.READY: frozenset({TaskState.RUNNING, TaskState.FAILED} | _LEAVE),
    TaskState.RUNNING: ACTIVE | {TaskState.DONE} | _AGAIN | _LEAVE,
    TaskState.CHECKING: ACTIVE | {TaskState.DONE} | _AGAIN | _LEAVE,
    TaskState.MERGING: ACTIVE | GOOD | _AGAIN | _LEAVE,
    TaskState.MERGED: frozenset(_AGAIN),
    TaskState.DONE: frozenset(_AGAIN),
    TaskState.FAILED: frozenset({TaskState.READY}),
    TaskState.CANCELLED: frozenset({TaskState.READY}),
    TaskState.STOPPED: frozenset({TaskState.READY, TaskState.CANCELLED}),
}

# --- Entries: the lines of the journal; `at` is Unix time ------------------------------------------------------------


@frozen
class Check:
    """A command that we ran: evidence. `exit_code` None: it was killed. `output` is the end of what it printed."""

    command: str
    exit_code: int | None
    output: str = ""
    seconds: float = 0.0


@frozen
class Result:
    """What an attempt came to. `said`, `output` and `questions` are the sub-agent's words; the rest is ours.

    `commit` holds its files. `outside` are changes outside the scope, which are not merged by themselves.
    """

    said: str = ""
    output: object = None
    questions: tuple[str, ...] = ()
    commit: str = ""
    changes: tuple[FileChange, ...] = ()
    outside: tuple[FileChange, ...] = ()
    check: Check | None = None
    refused: tuple[str, ...] = ()


@frozen
class Effort:
    """What a piece of work took. `critical` counts steps that could not be done side by side; `steps` of an agent that
    split its task includes those of its own sub-agents. `cost` is None when no price is known."""

    steps: int = 0
    critical: int = 0
    tool_calls: int = 0
    usage: Usage = field(default_factory=Usage)
    cost: float | None = None

    def __add__(self, other: "Effort") -> "Effort":
        costs = [cost for cost in (self.cost, other.cost) if cost is not None]
        return Effort(
            self.steps + other.steps,
            self.critical + other.critical,
            self.tool_calls + other.tool_calls,
            self.usage + other.usage,
            sum(costs) if costs else None,
        )

    def beyond(self, before: "Effort") -> "Effort":
        """What of it came after `before`, which is a part of it."""
        usage, was = self.usage, before.usage
        return Effort(
            self.steps - before.steps,
            self.critical - before.critical,
            self.tool_calls - before.tool_calls,
            Usage(
                usage.input - was.input,
                usage.cached - was.cached,
                usage.output - was.output,
                usage.reasoning - was.reasoning,
            ),
            None if self.cost is None else self.cost - (before.cost or 0.0),
        )


Cause = Literal["rate_limit", "slow_start", "lock", "cpu", "merge", "person"]


@frozen
class Planned:
    """First of a journal, and the only one of its kind. `base` is the commit that the tasks start from."""

    at: float
    swarm_id: str
    plan: Plan
    base: str = ""
    kind: Literal["planned"] = "planned"


@frozen
class Extended:
    """The orchestrator added tasks."""

    at: float
    tasks: tuple[Task, ...]
    kind: Literal["extended"] = "extended"


@frozen
class Moved:
    """A task changed its state; `agent` is the path of the sub-agent that works on it."""

    at: float
    task: str
    to: TaskState
    reason: str = ""
    agent: str = ""
    kind: Literal["moved"] = "moved"


@frozen
class Reported:
    """An attempt's result; a later one replaces it."""

    at: float
    task: str
    result: Result
    kind: Literal["reported"] = "reported"


@frozen
class Spent:
    """Work was done since the last such entry of the task; task "" is the orchestrator."""

    at: float
    task: str
    effort: Effort
    kind: Literal["spent"] = "spent"


@frozen
class Waited:
    """An agent waited for `seconds`, until `at`; task "" is the orchestrator."""

    at: float
    task: str
    cause: Cause
    seconds: float
    kind: Literal["waited"] = "waited"


@frozen
class Verified:
    """`verify` ran on the merged tree `commit`; `culprit` is the task that broke it, `broken` the tests it broke."""

    at: float
    check: Check
    commit: str = ""
    culprit: str = ""
    broken: tuple[str, ...] = ()
    kind: Literal["verified"] = "verified"


@frozen
class Cited:
    """The orchestrator read or used what a task found."""

    at: float
    task: str
    kind: Literal["cited"] = "cited"


@frozen
class Resumed:
    """Another process goes on; the time since the entry before it counts for nothing."""

    at: float
    kind: Literal["resumed"] = "resumed"


@frozen
class Ended:
    """The swarm is over, or stopped and can be resumed; `commit` is the merged tree."""

    at: float
    reason: str = ""
    commit: str = ""
    kind: Literal["ended"] = "ended"


Entry = Planned | Extended | Moved | Reported | Spent | Waited | Verified | Cited | Resumed | Ended

# --- The state ------------------------------------------------------------------------------------------------------


@frozen
class Progress:
    """A task's place. `attempt` counts from 1 and is the one under way, or the next one."""

    state: TaskState = TaskState.WAITING
    attempt: int = 1
    agent: str = ""
    reason: str = ""
    since: float = 0.0
    result: Result | None = None
    effort: Effort = field(default_factory=Effort)
    started: bool = False
    cited: bool = False

    @property
    def may_retry(self) -> bool:
        """Whether another attempt is allowed after this one."""
        return self.attempt < MAX_ATTEMPTS


@frozen
class Swarm:
    """A swarm at a moment; never changed, only followed by another. `effort` is the orchestrator's own."""

    swarm_id: str
    plan: Plan
    tasks: Mapping[str, Progress]
    base: str = ""
    effort: Effort = field(default_factory=Effort)
    verified: Verified | None = None
    ended: Ended | None = None

    def ready(self) -> list[str]:
        """The tasks that may start, in the plan's order."""
        return [task_id for task_id, progress in self.tasks.items() if progress.state is TaskState.READY]

    @property
    def over(self) -> bool:
        """Whether no task can go on by itself."""
        return all(progress.state in OVER for progress in self.tasks.values())

    @property
    def spent(self) -> Effort:
        """What the tasks took; the orchestrator's own steps are not in it."""
        return sum((progress.effort for progress in self.tasks.values()), Effort())


def replay(entries: Iterable[Entry]) -> Swarm:
    """The state after a journal's entries. Raises ValueError when they cannot have been written in this order."""
    swarm: Swarm | None = None
    for entry in entries:
        swarm = begin(entry) if swarm is None else advance(swarm, entry)
    if swarm is None:
        raise ValueError("the journal is empty")
    return swarm


def begin(entry: Entry) -> Swarm:
    """The state after the first entry. Raises ValueError when it is no Planned."""
    if not isinstance(entry, Planned):
        raise ValueError(f"a swarm's journal begins with its plan, not with {entry.kind!r}")
    tasks = {task.id: Progress(since=entry.at) for task in entry.plan.tasks}
    return Swarm(entry.swarm_id, entry.plan, _settle(entry.plan, tasks, entry.at), entry.base)


def advance(swarm: Swarm, entry: Entry) -> Swarm:
    """The state after one more entry. Raises ValueError when the entry cannot follow."""
    match entry:
        case Planned():
            raise ValueError("a swarm is planned once")
        case Extended(at=at, tasks=added):
            plan = swarm.plan.extended(added)
            tasks = {**swarm.tasks, **{task.id: Progress(since=at) for task in added}}
            if len(tasks) != len(plan.tasks):
                raise ValueError("a task was added twice")
            return replace(swarm, plan=plan, tasks=_settle(plan, tasks, at), ended=None)
        case Moved():
            return _move(swarm, entry)
        case Spent(task="", effort=effort):
            return replace(swarm, effort=swarm.effort + effort)
        case Spent(task=task, effort=effort):
            progress = _of(swarm, task)
            return _with(swarm, task, replace(progress, effort=progress.effort + effort))
        case Reported(task=task, result=result):
            return _with(swarm, task, replace(_of(swarm, task), result=result))
        case Cited(task=task):
            return _with(swarm, task, replace(_of(swarm, task), cited=True))
        case Verified():
            return replace(swarm, verified=entry)
        case Ended():
            return replace(swarm, ended=entry)
        case Resumed():
            return replace(swarm, ended=None)
        case Waited():
            return swarm
        case _:
            assert_never(entry)


def may_move(swarm: Swarm, task: str, to: TaskState) -> bool:
    """Whether a Moved with these would be taken."""
    return to in _MOVES[_of(swarm, task).state]


def _move(swarm: Swarm, entry: Moved) -> Swarm:
    now = _of(swarm, entry.task)
    if entry.to not in _MOVES[now.state]:
        raise ValueError(f"task {entry.task} cannot go from {now.state.value} to {entry.to.value}")
    # To try again is another attempt; to go on after a stop, or to start for the first time, is not.
    again = entry.to is TaskState.READY and now.started and now.state not in (TaskState.STOPPED, TaskState.CANCELLED)
    moved = replace(
        now,
        # A fresh look at the needs decides whether it is ready at once.
        state=TaskState.WAITING if entry.to is TaskState.READY else entry.to,
        attempt=now.attempt + 1 if again else now.attempt,
        agent=entry.agent or now.agent,
        reason=entry.reason,
        since=entry.at,
        started=now.started or entry.to in ACTIVE,
    )
    return replace(swarm, tasks=_settle(swarm.plan, {**swarm.tasks, entry.task: moved}, entry.at))


def _of(swarm: Swarm, task: str) -> Progress:
    try:
        return swarm.tasks[task]
    except KeyError:
        raise ValueError(f"there is no task {task!r}") from None


def _with(swarm: Swarm, task: str, progress: Progress) -> Swarm:
    return replace(swarm, tasks={**swarm.tasks, task: progress})


_BEFORE = frozenset({TaskState.WAITING, TaskState.READY, TaskState.BLOCKED})


def _settle(plan: Plan, tasks: dict[str, Progress], at: float) -> dict[str, Progress]:
    """Where the tasks that are not at work stand, given the others: what is blocked blocks what needs it."""
    changed = True
    while changed:
        changed = False
        for task in plan.tasks:
            progress = tasks[task.id]
            if progress.state not in _BEFORE:
                continue
            state = _standing([tasks[need].state for need in task.needs])
            if state is not progress.state:
                failed = [need for need in task.needs if tasks[need].state in BAD]
                reason = f"{', '.join(failed)} came to nothing" if failed else progress.reason
                tasks[task.id] = replace(progress, state=state, reason=reason, since=at)
                changed = True
    return tasks


def _standing(needs: Iterable[TaskState]) -> TaskState:
    states = set(needs)
    if states & BAD:
        return TaskState.BLOCKED
    return TaskState.READY if states <= GOOD else TaskState.WAITING

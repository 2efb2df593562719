"""The task graph of a swarm: its values, what makes one impossible or doubtful, and which task goes first. Pure."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from graphlib import CycleError, TopologicalSorter
from itertools import combinations, islice
from typing import Literal

from kimi_code.errors import PlanError
from kimi_code.llm.model import Thinking
from kimi_code.swarm import scope
from kimi_code.values import frozen

MAX_TASKS = 100
MAX_DEPTH = 2  # the user's agent plans, a sub-agent may split its own task once
MAX_ATTEMPTS = 3
MAX_TOOL_CALLS = 1500
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
_WARNINGS_SHOWN = 20

Mode = Literal["read", "write"]


@frozen
class Allowance:
    """What may be spent; None means no limit. `cost` is in US dollars, `agents` counts starts, time is wall time."""

    tokens: int | None = None
    cost: float | None = None
    tool_calls: int | None = None
    agents: int | None = None
    seconds: float | None = None


@frozen
class Task:
    """One piece of work for one sub-agent.

    `needs` are the tasks whose results it starts from, `scope` globs of what it may change (none: anything), `check` a
    command that must succeed in its checkout, `locks` names of which one task at a time may hold each.
    """

    id: str
    task: str
    mode: Mode = "write"
    agent: str = "coder"
    needs: tuple[str, ...] = ()
    scope: tuple[str, ...] = ()
    check: str = ""
    locks: tuple[str, ...] = ()
    model: str = ""
    thinking: Thinking | None = None
    budget: Allowance = field(default_factory=Allowance)
    output_schema: Mapping[str, object] | None = None


@frozen
class Plan:
    """A swarm as it was asked for. `verify` must succeed on the merged tree; `max_parallel` 0 means as many as may."""

    goal: str
    tasks: tuple[Task, ...]
    verify: str = ""
    max_parallel: int = 0
    budget: Allowance = field(default_factory=lambda: Allowance(tool_calls=MAX_TOOL_CALLS))

    def __getitem__(self, task_id: str) -> Task:
        for task in self.tasks:
            if task.id == task_id:
                return task
        raise KeyError(task_id)

    def extended(self, tasks: Iterable[Task]) -> "Plan":
        """The plan with more tasks; check it again."""
        return replace(self, tasks=(*self.tasks, *tasks))


# --- What makes a plan impossible -----------------------------------------------------------------------------------


def check(plan: Plan, *, agents: Collection[str] | None = None, depth: int = 1) -> tuple[str, ...]:
    """The warnings of a plan that can be run. `agents` are the known types; `depth` is that of the plan's sub-agents.

    Raises:
        PlanError: it cannot be run; all that is wrong with it, the tasks named.
    """
    problems = [*_whole(plan, depth), *_tasks(plan, agents)]
    if not problems:
        problems += _cycle(plan)
    if problems:
        raise PlanError(tuple(problems))
    return tuple(_warnings(plan))


def _whole(plan: Plan, depth: int) -> Iterator[str]:
    if depth > MAX_DEPTH:
        yield f"agents of a split task may not split theirs again (depth {MAX_DEPTH} is the limit): do it yourself."
    if not plan.goal.strip():
        yield "the goal is empty: say in a sentence what the swarm is for."
    if not plan.tasks:
        yield "there are no tasks."
    if len(plan.tasks) > MAX_TASKS:
        yield f"{len(plan.tasks)} tasks are more than {MAX_TASKS}: give related items to one agent."
    if plan.max_parallel < 0:
        yield f"max_parallel is {plan.max_parallel}: it must be at least 1, or left out."
    yield from _allowance("the swarm", plan.budget)


def _tasks(plan: Plan, agents: Collection[str] | None) -> Iterator[str]:
    known = {task.id for task in plan.tasks}
    seen: set[str] = set()
    words: dict[object, str] = {}
    for task in plan.tasks:
        if not _ID.fullmatch(task.id):
            shown = task.id if len(task.id) <= 60 else task.id[:60] + "…"
            yield f"task {shown!r}: an id has 1 to 40 letters, digits, dots, dashes or underscores."
        elif task.id in seen:
            yield f"task {task.id}: another task has the same id."
        seen.add(task.id)
        if not task.task.strip():
            yield f"task {task.id}: it does not say what to do."
        elif (twin := words.setdefault(_essence(task), task.id)) != task.id:
            yield f"task {task.id}: it is the same as {twin}."
        yield from _one(task, known)
        if agents is not None and task.agent not in agents:
            yield f"task {task.id}: there is no agent type {task.agent!r}; there are {', '.join(sorted(agents))}."


def _one(task: Task, known: Collection[str]) -> Iterator[str]:
    for need in dict.fromkeys(task.needs):
        if need == task.id:
            yield f"task {task.id}: it needs itself."
        elif need not in known:
            yield f"task {task.id}: it needs {need!r}, which is no task of this plan."
    for pattern in task.scope:
        if fault := scope.problem(pattern):
            yield f"task {task.id}: the scope {pattern!r} {fault}."
    if any(not name.strip() for name in task.locks):
        yield f"task {task.id}: a lock has no name."
    yield from _allowance(f"task {task.id}", task.budget)


def _allowance(owner: str, budget: Allowance) -> Iterator[str]:
    for name in ("tokens", "cost", "tool_calls", "agents", "seconds"):
        limit = getattr(budget, name)
        if limit is not None and limit < 0:
            yield f"{owner}: the budget's {name} is below zero."


def _essence(task: Task) -> object:
    return (" ".join(task.task.split()), task.mode, task.agent, task.model, task.scope, task.check)


def _cycle(plan: Plan) -> Iterator[str]:
    try:
        TopologicalSorter({task.id: task.needs for task in plan.tasks}).prepare()
    except CycleError as error:
        # graphlib tells the cycle from need to needer, its first task twice.
        cycle: Sequence[str] = error.args[1][::-1]
        yield f"task {cycle[0]}: it needs itself in the end: {' needs '.join(cycle)}."


# --- What makes it doubtful -----------------------------------------------------------------------------------------


def _warnings(plan: Plan) -> Iterator[str]:
    before = ancestors(plan)
    writers = [task for task in plan.tasks if task.mode == "write"]
    clashes: dict[tuple[str, str], dict[str, None]] = {}
    for a, b in combinations(writers, 2):
        if a.id not in before[b.id] and b.id not in before[a.id] and (pair := scope.overlap(a.scope, b.scope)):
            clashes.setdefault(pair, {}).update({a.id: None, b.id: None})
    for (one, other), ids in islice(clashes.items(), _WARNINGS_SHOWN):
        files = one if one == other else f"{one} and {other}"
        yield f"{_some(list(ids))} may change the same files ({files}) with no order between them."
    if len(clashes) > _WARNINGS_SHOWN:
        yield f"{len(clashes) - _WARNINGS_SHOWN} more scopes overlap."
    open_ended = [task.id for task in writers if not task.scope]
    if open_ended and len(writers) > 1:
        yield (
            f"no scope is given for {_some(open_ended)}: that they stay out of each other's files cannot be told "
            "beforehand."
        )
    if len(plan.tasks) > 1 and len({len(chain) for chain in before.values()}) == len(plan.tasks):
        yield "every task needs the one before: this runs one after the other; one agent would do it for less."


def _some(ids: Sequence[str], shown: int = 5) -> str:
    if len(ids) > shown:
        return f"{', '.join(ids[:shown])} and {len(ids) - shown} more"
    return " and ".join(filter(None, (", ".join(ids[:-1]), ids[-1])))


def ancestors(plan: Plan) -> dict[str, frozenset[str]]:
    """For each task all those that must be over before it, in an order that respects needs."""
    found: dict[str, frozenset[str]] = {}
    needs = {task.id: task.needs for task in plan.tasks}
    for task_id in TopologicalSorter(needs).static_order():
        found[task_id] = frozenset(needs[task_id]).union(*(found[need] for need in needs[task_id]))
    return found


# --- Which goes first -----------------------------------------------------------------------------------------------


def remaining(plan: Plan, weights: Mapping[str, float] | None = None) -> dict[str, float]:
    """For each task the length of the longest path from its start to the plan's end.

    `weights` are what single tasks are expected to take, in any unit; 1 where nothing is said.
    """
    lengths = dict.fromkeys((task.id for task in plan.tasks), 0.0)
    for task_id in reversed(list(ancestors(plan))):
        lengths[task_id] += (weights or {}).get(task_id, 1.0)
        for need in plan[task_id].needs:
            lengths[need] = max(lengths[need], lengths[task_id])
    return lengths


def by_priority(plan: Plan, ready: Iterable[str], weights: Mapping[str, float] | None = None) -> list[str]:
    """`ready` in the order to start: longest remaining path first, then what most others wait for, then as planned."""
    lengths, places = remaining(plan, weights), {task.id: place for place, task in enumerate(plan.tasks)}
    waiting = dict.fromkeys(places, 0)
    for before in ancestors(plan).values():
        for task_id in before:
            waiting[task_id] += 1
    return sorted(ready, key=lambda task_id: (-lengths[task_id], -waiting[task_id], places[task_id]))

"""What a swarm was worth, from its journal: steps, times, rates, waiting, and verdicts in words. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from itertools import pairwise
from typing import get_args

from kimi_code.counting import counted
from kimi_code.events import SwarmMetrics, TaskState, Waiting
from kimi_code.swarm.plan import Plan
from kimi_code.swarm.states import (
    ACTIVE,
    GOOD,
    OVER,
    Cause,
    Effort,
    Entry,
    Extended,
    Moved,
    Planned,
    Resumed,
    Swarm,
    Waited,
    advance,
    begin,
)
from kimi_code.values import frozen

_CONTENDED = ("rate_limit", "slow_start", "lock", "cpu")  # what one agent alone would not wait for
_COLLAPSED = 1.3  # tasks at work on average, where more could be
_MOSTLY = 0.5


@frozen
class Span:
    """A task in one state, in seconds since the swarm began; pauses between two processes are left out."""

    task: str
    state: TaskState
    start: float
    end: float

    @property
    def seconds(self) -> float:
        return self.end - self.start


@frozen
class Course:
    """A journal read as a course of time. `waits` are (task, cause, start, end); `levels` the stage of every task.

    Stages follow from needs, and from what was over when a task was added: it could not have been asked for before.
    """

    swarm: Swarm
    spans: tuple[Span, ...]
    waits: tuple[tuple[str, str, float, float], ...]
    wall: float
    levels: Mapping[str, int] = field(default_factory=dict[str, int])

    @property
    def work(self) -> list[Span]:
        """When tasks were worked on: running, checking, merging."""
        return [span for span in self.spans if span.state in ACTIVE]

    def at_once(self) -> list[tuple[float, float, int]]:
        """(start, end, how many tasks were running or checking then), in order."""
        edges = sorted({edge for span in self.work for edge in (span.start, span.end)})
        busy = [span for span in self.work if span.state is not TaskState.MERGING]
        counts = dict.fromkeys(edges, 0)
        for span in busy:
            counts[span.start] += 1
            counts[span.end] -= 1
        made: list[tuple[float, float, int]] = []
        now = 0
        for start, end in pairwise(edges):
            now += counts[start]
            made.append((start, end, now))
        return made


def course(entries: Iterable[Entry]) -> Course:
    """Read a journal. Raises ValueError as `states.replay` does."""
    swarm: Swarm | None = None
    since: dict[str, float] = {}
    spans: list[Span] = []
    waits: list[tuple[str, str, float, float]] = []
    levels: dict[str, int] = {}
    first = last = paused = 0.0
    for entry in entries:
        if swarm is None:
            first = last = entry.at
        elif isinstance(entry, Resumed):
            paused += max(entry.at - last, 0.0)
        # A clock that was set back must not make time run backwards.
        last = max(last, entry.at)
        now = max(last - first - paused, 0.0)
        before = swarm
        swarm = begin(entry) if swarm is None else advance(swarm, entry)
        if isinstance(entry, Planned | Extended):
            _level(swarm.plan, before, levels)
        if isinstance(entry, Waited):
            waits.append((entry.task, entry.cause, max(now - entry.seconds, 0.0), now))
        if not isinstance(entry, Planned | Extended | Moved):
            continue  # the others change no state
        for task_id, progress in swarm.tasks.items():
            old = before.tasks.get(task_id) if before else None
            if old is None:
                since[task_id] = now
            elif old.state is not progress.state or (isinstance(entry, Moved) and entry.task == task_id):
                spans.append(Span(task_id, old.state, since[task_id], now))
                since[task_id] = now
    if swarm is None:
        raise ValueError("the journal is empty")
    wall = max(last - first - paused, 0.0)
    spans += [Span(task, swarm.tasks[task].state, start, wall) for task, start in since.items()]
    shown = tuple(span for span in spans if span.seconds > 0 and span.state not in OVER)
    return Course(swarm, shown, tuple(waits), wall, levels)


def _level(plan: Plan, before: Swarm | None, levels: dict[str, int]) -> None:
    over = [levels[task] + 1 for task, progress in before.tasks.items() if progress.state in OVER] if before else []
    lowest = max(over, default=0)
    waiting = [task for task in plan.tasks if task.id not in levels]
    while waiting:
        # Every need is in the plan and there is no cycle: each round finds at least one.
        known = [task for task in waiting if all(need in levels for need in task.needs)]
        if not known:
            raise ValueError("the plan's needs cannot be met")
        for task in known:
            levels[task.id] = max((levels[need] + 1 for need in task.needs), default=0)
            levels[task.id] = max(levels[task.id], lowest)
        waiting = [task for task in waiting if task.id not in levels]


# --- The numbers ----------------------------------------------------------------------------------------------------


def measure(entries: Iterable[Entry]) -> SwarmMetrics:
    """All numbers of a journal, and the verdicts. Raises ValueError as `states.replay` does."""
    return of_course(course(entries))


def of_course(course: Course) -> SwarmMetrics:
    """The same, of a journal that was read.

    Critical steps are the makers' of Kimi K2.5: summed over stages, the orchestrator's steps and the most of any
    sub-agent. The serial estimate is the time in which no task was at work plus all tasks' own time one after the
    other, without what they waited for each other; the speed-up compares it to the wall time.
    """
    swarm = course.swarm
    children, main = swarm.spent, swarm.effort
    started = [task for task, progress in swarm.tasks.items() if progress.started]
    finished = [task for task in started if swarm.tasks[task].state in GOOD]
    useful = useful_tasks(swarm)
    total, critical = main.steps + children.steps, main.critical + _critical(course)
    work = course.at_once()
    most = max((count for _, _, count in work), default=0)
    serial = serial_seconds(course)
    speed_up = serial / course.wall if course.wall else 0.0
    cost = (main + children).cost
    return SwarmMetrics(
        tasks=len(swarm.tasks),
        started=len(started),
        finished=len(finished),
        useful=len(useful),
        agents_at_once=most,
        total_steps=total,
        critical_steps=critical,
        tool_calls=main.tool_calls + children.tool_calls,
        parallelism=_ratio(total, critical),
        wall_s=round(course.wall, 3),
        serial_s=round(serial, 3),
        speed_up=round(speed_up, 3),
        efficiency=_ratio(speed_up, most),
        finish_rate=_ratio(len(finished), len(started)),
        useful_rate=_ratio(len(useful), len(started)),
        usage=main.usage + children.usage,
        cost_usd=None if cost is None else round(cost, 6),
        cost_per_task=None if children.cost is None or not started else round(children.cost / len(started), 6),
        waiting=_waiting(course),
        verdicts=tuple(verdicts(course)),
    )


def useful_tasks(swarm: Swarm) -> set[str]:
    """Tasks whose work is in the result: merged, cited, or needed by one that is."""
    useful = {
        task
        for task, progress in swarm.tasks.items()
        if progress.state in GOOD and (progress.state is TaskState.MERGED or progress.cited)
    }
    found = set(useful)
    while found:
        needs = {need for task in found for need in swarm.plan[task].needs}
        found = {need for need in needs - useful if swarm.tasks[need].state in GOOD}
        useful |= found
    return useful


def serial_seconds(course: Course) -> float:
    """How long one agent would have taken for the same work, estimated."""
    idle = course.wall - sum(end - start for start, end, _ in _active(course))
    busy = sum(span.seconds for span in course.work if span.state is not TaskState.MERGING)
    lost = sum(end - start for task, cause, start, end in course.waits if task and cause in _CONTENDED)
    return max(idle, 0.0) + max(busy - lost, 0.0)


def _active(course: Course) -> Iterator[tuple[float, float, int]]:
    return ((start, end, count) for start, end, count in course.at_once() if count)


def _critical(course: Course) -> int:
    stages: dict[int, int] = {}
    for task, progress in course.swarm.tasks.items():
        stage = course.levels[task]
        stages[stage] = max(stages.get(stage, 0), progress.effort.critical)
    return sum(stages.values())


def _waiting(course: Course) -> Waiting:
    seconds: dict[str, float] = dict.fromkeys(get_args(Cause), 0.0)
    for _, cause, start, end in course.waits:
        seconds[cause] += end - start
    # A task that waits for a lock is ready, and has no place either: that one cause is enough.
    place = sum(span.seconds for span in course.spans if span.state is TaskState.READY) - seconds["lock"]
    return Waiting(**{cause: round(time, 3) for cause, time in seconds.items()}, place=round(max(place, 0.0), 3))


def _ratio(part: float, whole: float) -> float:
    return round(part / whole, 3) if whole else 0.0


# --- In words -------------------------------------------------------------------------------------------------------


def verdicts(course: Course) -> Iterator[str]:
    """What went well and what did not, a sentence each, the most telling first."""
    work = list(_active(course))
    time = sum(end - start for start, end, _ in work)
    mean = sum((end - start) * count for start, end, count in work) / time if time else 0.0
    started = [task for task, progress in course.swarm.tasks.items() if progress.started]
    if len(started) > 1 and mean < _COLLAPSED:
        yield f"Serial collapse: {len(started)} tasks ran, on average {mean:.1f} at once. {_why(course, time)}"
    elif len(started) > 1:
        serial = serial_seconds(course)
        gain = f", {serial / course.wall:.1f}x faster than one after the other (estimated)" if course.wall else ""
        yield f"{len(started)} tasks ran, on average {mean:.1f} at once{gain}."
        if pole := _long_pole(course, time):
            yield pole
    yield from _spurious(course.swarm, started)
    yield from _repeated(course.swarm)


def _why(course: Course, time: float) -> str:
    """Why tasks that could have run side by side did not: the first of the causes that explains most of it."""
    plan, waiting = course.swarm.plan, _waiting(course)
    planned = len({course.levels[task] for task in course.levels})
    if plan.max_parallel == 1:
        return "max_parallel is 1."
    if planned > len(course.levels) * _MOSTLY and _chained(plan):
        return "The plan is a chain: most tasks need the one before."
    if planned > len(course.levels) * _MOSTLY:
        return "The tasks were asked for one after the other: ask for all that is known at once."
    if pole := _long_pole(course, time):
        return pole
    causes = {
        "the rate limit of the provider": waiting.rate_limit,
        "the slow start of requests: what the provider takes at once was not known yet": waiting.slow_start,
        "locks: tasks that hold the same one cannot run at once": waiting.lock,
        "the processor: their commands are heavy": waiting.cpu,
        "the merge queue": waiting.merge,
        "answers of a person": waiting.person,
        "a free place: more agents at once would help": waiting.place,
    }
    cause, seconds = max(causes.items(), key=lambda item: item[1])
    return f"They waited most for {cause} ({seconds:.0f} s)." if seconds > 0 else "They were over too soon to overlap."


def _chained(plan: Plan) -> bool:
    return sum(bool(task.needs) for task in plan.tasks) >= len(plan.tasks) * _MOSTLY


def _long_pole(course: Course, time: float) -> str:
    """A sentence on a task that alone took most of the time; "" when there is none."""
    alone: dict[str, float] = {}
    for start, end, count in _active(course):
        if count == 1:
            task = next(s.task for s in course.work if s.state is not TaskState.MERGING and s.start <= start < s.end)
            alone[task] = alone.get(task, 0.0) + end - start
    task, seconds = max(alone.items(), key=lambda item: item[1], default=("", 0.0))
    if seconds <= time * _MOSTLY:
        return ""
    return f"For {seconds:.0f} of {time:.0f} s only {task} was at work: split it, or start it first."


def _spurious(swarm: Swarm, started: Sequence[str]) -> Iterator[str]:
    useful = useful_tasks(swarm)
    over = [task for task in started if swarm.tasks[task].state in OVER]
    useless = [task for task in over if task not in useful]
    if len(over) > 2 and len(useless) >= len(over) * _MOSTLY:
        names = ", ".join(useless[:5]) + (f" and {len(useless) - 5} more" if len(useless) > 5 else "")
        cost = sum((swarm.tasks[task].effort for task in useless), Effort())
        yield (
            f"Spurious parallelism: of {len(over)} tasks {len(useless)} left nothing in the result ({names}); "
            f"they took {counted(cost.steps, 'step')} and {cost.usage.total:,} tokens."
        )


def _repeated(swarm: Swarm) -> Iterator[str]:
    again = [task for task, progress in swarm.tasks.items() if progress.attempt > 1]
    if again and len(again) >= len(swarm.tasks) * 0.25:
        many = f"{len(again)} of {counted(len(swarm.tasks), 'task')}"
        yield f"{many} needed more than one attempt: say more in each, and let no two change the same file."

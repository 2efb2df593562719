"""A swarm as an episode for training an orchestrator: its steps, its children, the reward and its terms, as JSON lines.

The terms are those of Kimi K2.5's makers: r = l1 * r_parallel + l2 * r_finish + r_perf, l1 and l2 annealed to 0; their
early public form is R = l(e) * r_parallel + (1 - l(e)) * success * Q with l from 0.1 to 0. They publish what the terms
are for, not their formulas: those here are ours, and every number they are made of stands in the last line.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any, Literal, cast

from kimi_code.errors import UsageError
from kimi_code.events import MessageCompleted, Record, StepEnded, SwarmMetrics
from kimi_code.session.codec import plain
from kimi_code.swarm.metrics import Course, course, of_course, useful_tasks
from kimi_code.swarm.states import GOOD, Entry, Swarm
from kimi_code.values import frozen

VERSION = 1


@frozen
class Annealing:
    """The weights of an episode. `episode` counts from 0; after `episodes` of them only the result counts.

    `early` takes the early public form, in which `parallel` is l(0) and `finish` is not used.
    """

    episode: int = 0
    episodes: int = 1000
    parallel: float = 0.1
    finish: float = 0.1
    form: Literal["sum", "early"] = "sum"

    def __post_init__(self) -> None:
        """Raises UsageError for numbers that are no schedule."""
        if self.episode < 0 or self.episodes < 1 or self.parallel < 0 or self.finish < 0:
            raise UsageError("An annealing needs episode >= 0, episodes >= 1 and weights >= 0.")

    @property
    def left(self) -> float:
        """1 in the first episode, falling in a straight line to 0."""
        return max(1.0 - self.episode / self.episodes, 0.0)


@frozen
class Reward:
    """The terms, each from 0 to 1, the weights of this episode, and the sum.

    `parallel` is the share of all steps that were done beside others: 1 - critical / total, 0 when the orchestrator did
    all alone (serial collapse). `finish` is finished / started: children that achieve nothing lower it. `perf` is the
    result: whether the swarm succeeded, times `quality`, the share of the tasks that came to something.
    """

    parallel: float
    finish: float
    perf: float
    success: bool
    quality: float
    weight_parallel: float
    weight_finish: float
    total: float


def reward(told: SwarmMetrics, annealing: Annealing, *, success: bool) -> Reward:
    """The reward of an episode with these numbers."""
    parallel = 1.0 - told.critical_steps / told.total_steps if told.total_steps else 0.0
    quality = told.finished / told.tasks if told.tasks else 0.0
    perf = quality if success else 0.0
    first, second = annealing.parallel * annealing.left, annealing.finish * annealing.left
    if annealing.form == "early":
        second, total = 0.0, first * parallel + (1.0 - first) * perf
    else:
        total = first * parallel + second * told.finish_rate + perf
    return Reward(parallel, told.finish_rate, perf, success, quality, first, second, total)


def rollout(
    entries: Iterable[Entry],
    records: Iterable[Record],
    annealing: Annealing | None = None,
    *,
    success: bool | None = None,
) -> Iterator[str]:
    """The lines of the episode, without line breaks: `episode`, `step`s and `result`s, `child`ren, `reward`.

    `records` are those of the orchestrator's session. Without `success` it is that of `verify`, or, where there is
    none, that every task came to something.
    """
    annealing = annealing or Annealing()
    read = course(entries)
    told = of_course(read)
    succeeded = _succeeded(read.swarm) if success is None else success
    yield _line(
        "episode",
        version=VERSION,
        swarm=read.swarm.swarm_id,
        goal=read.swarm.plan.goal,
        tasks=plain(read.swarm.plan.tasks),
        verify=read.swarm.plan.verify,
    )
    yield from _steps(records)
    yield from _children(read)
    yield _line(
        "reward",
        **_fields(reward(told, annealing, success=succeeded)),
        annealing=plain(annealing),
        metrics=plain(told),
    )


def _succeeded(swarm: Swarm) -> bool:
    if swarm.verified is not None:
        return swarm.verified.check.exit_code == 0
    return all(progress.state in GOOD for progress in swarm.tasks.values())


def _steps(records: Iterable[Record]) -> Iterator[str]:
    """What the orchestrator said and called, and what it was told, in order; sub-agents' own records are left out."""
    step = 0
    orchestrator = ""
    for record in records:
        orchestrator = orchestrator or record.agent
        if record.agent != orchestrator:
            continue
        match record.event:
            case MessageCompleted(message=message) if message.role == "assistant":
                step += 1
                calls = [{"id": c.id, "name": c.name, "arguments": c.arguments} for c in message.tool_calls]
                yield _line("step", step=step, thought=message.thought, text=message.text, calls=calls)
            case MessageCompleted(message=message) if message.role == "tool":
                yield _line("result", step=step, call=message.call_id, text=message.text)
            case MessageCompleted(message=message):
                yield _line("prompt", step=step, source=message.source, text=message.text)
            case StepEnded(usage=usage):
                yield _line("usage", step=step, **_fields(usage))
            case _:
                pass


def _children(read: Course) -> Iterator[str]:
    useful = useful_tasks(read.swarm)
    for task in read.swarm.plan.tasks:
        progress = read.swarm.tasks[task.id]
        spans = [span for span in read.work if span.task == task.id]
        yield _line(
            "child",
            task=task.id,
            stage=read.levels[task.id],
            state=progress.state.value,
            attempt=progress.attempt,
            start=round(min((span.start for span in spans), default=0.0), 3),
            end=round(max((span.end for span in spans), default=0.0), 3),
            effort=plain(progress.effort),
            result=plain(progress.result),
            finished=progress.state in GOOD,
            useful=task.id in useful,
        )


def _fields(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", plain(value))


def _line(kind: str, **fields: Any) -> str:
    # ASCII only: what a model wrote may hold lone surrogates, which are no text.
    return json.dumps({"type": kind, **fields}, ensure_ascii=True, separators=(",", ":"))

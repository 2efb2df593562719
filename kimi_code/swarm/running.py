"""A swarm that runs in this process, what it came to, and what another process left of one."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from kimi_code.errors import SwarmError
from kimi_code.events import Outcome, SwarmMetrics, TaskState
from kimi_code.repo.checkout import Checkouts
from kimi_code.repo.shadow import ShadowError
from kimi_code.repo.trees import Trees
from kimi_code.swarm.delivery import Delivered
from kimi_code.swarm.digest import clip
from kimi_code.swarm.integrate import Queue, recall
from kimi_code.swarm.journal import Kept, SwarmJournal
from kimi_code.swarm.plan import MAX_ATTEMPTS
from kimi_code.swarm.scheduler import BEGUN_ANEW, Scheduler
from kimi_code.swarm.states import GOOD, Effort, Entry, Moved, Reported, Result, Swarm

SwarmOutcome = Literal["done", "partial", "failed", "cancelled", "stopped"]
_LISTEN_EVERY = 0.5  # seconds
_NAMES, _GROUPS, _REASON = 10, 5, 160  # of what is left: tasks of a kind, kinds, characters of a reason


@dataclass(slots=True)
class Running:
    """A swarm of this process, until its agent's turn is over."""

    kept: Kept
    warnings: tuple[str, ...]
    checkouts: Checkouts
    scheduler: Scheduler
    journal: SwarmJournal
    work: "asyncio.Task[str] | None" = None
    delivered: Delivered | None = None
    told: Effort = field(default_factory=Effort)  # what its owner has heard that it took, in an earlier process

    @property
    def state(self) -> Swarm:
        return self.scheduler.state


def took(metrics: SwarmMetrics) -> Effort:
    """What a swarm took, as a piece of its owner's work."""
    told = metrics
    return Effort(told.total_steps, told.critical_steps, told.tool_calls, told.usage, told.cost_usd)


async def listen(running: Running) -> None:
    """Hear whether another process asks to cancel the swarm."""
    while True:  # there is no event for a file that another process makes
        await asyncio.sleep(_LISTEN_EVERY)
        if running.kept.cancel_mark.exists():
            break
    running.scheduler.cancel_all("cancelled by the user")


def outcome_of(scheduler: Scheduler) -> SwarmOutcome:
    """What a swarm that is over came to."""
    state = scheduler.state
    states = [progress.state for progress in state.tasks.values()]
    broken = state.verified is not None and state.verified.check.exit_code != 0
    if all(each in GOOD for each in states) and not broken and not scheduler.failure:
        return "done"
    if any(each in GOOD for each in states):
        return "partial"
    return "cancelled" if all(each is TaskState.CANCELLED for each in states) else "failed"


def exit_of(scheduler: Scheduler) -> Outcome:
    """How the turn ends whose swarm was not done: in part, but where nothing came of it for one known reason."""
    states = {progress.state for progress in scheduler.state.tasks.values()}
    if states & GOOD:
        return Outcome.PARTIAL
    ledger = scheduler.ledger
    used_up = TaskState.STOPPED in states and (ledger.refused() or ledger.exhausted(starting=True))
    return scheduler.given_up or (Outcome.BUDGET if used_up else Outcome.PARTIAL)


def left_of(state: Swarm) -> str:
    """What is not done of it, in words."""
    alike = dict[tuple[str, str], list[str]]()  # tasks by how and why they ended
    for task, at in state.tasks.items():
        if at.state not in GOOD:
            why = next(iter(at.reason.splitlines()), "").rstrip(".:")
            alike.setdefault((at.state.value, clip(why, _REASON)), []).append(task)
    groups = [f"{_named(tasks)} {how}" + (f" ({why})" if why else "") for (how, why), tasks in alike.items()]
    shown = "; ".join(groups[:_GROUPS]) + (f"; and {len(groups) - _GROUPS} more" if len(groups) > _GROUPS else "")
    if state.verified is not None and state.verified.check.exit_code != 0:
        shown = "; ".join(
            part for part in (shown, f"`{state.verified.check.command}` fails on the merged tree") if part
        )
    return f"{shown or 'not all came to something'}."


def _named(tasks: Sequence[str]) -> str:
    more = len(tasks) - _NAMES
    return ", ".join(tasks[:_NAMES]) + (f" and {more} more" if more > 0 else "")


def left_behind(state: Swarm, entries: Sequence[Entry]) -> dict[str, float | None]:
    """The tasks that were under way, and when the files of the agent that was at it were taken last."""
    taken, agents = dict[str, float | None](), dict[str, str]()
    for entry in entries:
        if isinstance(entry, Moved) and entry.to is TaskState.RUNNING:
            if agents.get(entry.task) != entry.agent:
                agents[entry.task], taken[entry.task] = entry.agent, None
        elif isinstance(entry, Reported) and entry.result.commit:
            taken[entry.task] = entry.at
    going = (TaskState.RUNNING, TaskState.STOPPED)
    return {task: at for task, at in taken.items() if state.tasks[task].state in going}


def about_to_retry(state: Swarm, entries: Sequence[Entry]) -> frozenset[str]:
    """The tasks of which an attempt did not do, and whose agent was to go on with what it had."""
    last = dict[str, TaskState]()
    found = set[str]()
    for entry in entries:
        if isinstance(entry, Moved):
            worked = last.get(entry.task) in (TaskState.RUNNING, TaskState.CHECKING)
            again = entry.to is TaskState.READY and worked and entry.reason != BEGUN_ANEW
            (found.add if again else found.discard)(entry.task)
            last[entry.task] = entry.to
    return frozenset(task for task in found if state.tasks[task].attempt < MAX_ATTEMPTS)


def agents_over(state: Swarm, entries: Sequence[Entry]) -> int:
    """How many agents were started that will not go on."""
    started = {entry.agent for entry in entries if isinstance(entry, Moved) and entry.to is TaskState.RUNNING}
    going_on = (*left_behind(state, entries), *about_to_retry(state, entries))
    return len(started - {state.tasks[task].agent for task in going_on})


async def merged_queue(trees: Trees, state: Swarm, entries: Sequence[Entry]) -> Queue:
    """The merge queue as the journal has it. Raises SwarmError where what tasks made cannot be read any more."""
    try:
        return await _merged_queue(trees, state, entries)
    except ShadowError as error:
        lost = await _lost(trees, state, entries)
        whose = f" Lost is the work of {', '.join(lost)}." if lost else ""
        raise SwarmError(
            f"The swarm {state.swarm_id} cannot go on: what its tasks had made is not there any more ({error}). A "
            f"power cut may have taken the last of it, or it was pruned with the checkpoints.{whose}",
            hint=f"Your files are as they were. `kimi-code swarm report {state.swarm_id}` still tells how it went; "
            "start it anew with `kimi-code swarm run`.",
        ) from None


async def _lost(trees: Trees, state: Swarm, entries: Sequence[Entry]) -> list[str]:
    """The merged tasks whose work cannot be read any more, in the plan's order."""
    results = {entry.task: entry.result for entry in entries if isinstance(entry, Reported)}
    lost = list[str]()
    for task, progress in state.tasks.items():
        if progress.state is not TaskState.MERGED or task not in results:
            continue
        try:
            await recall(trees, task, results[task].commit, outside=bool(results[task].outside))
        except ShadowError:
            lost.append(task)
    return lost


async def _merged_queue(trees: Trees, state: Swarm, entries: Sequence[Entry]) -> Queue:
    queue, results = Queue(trees, state.base), dict[str, Result]()
    for entry in entries:
        match entry:
            case Reported(task=task, result=result):
                results[task] = result
            case Moved(task=task, to=TaskState.MERGED):
                result = results[task]
                await queue.add(await recall(trees, task, result.commit, outside=bool(result.outside)))
            case Moved(task=task, to=TaskState.FAILED) if any(piece.task == task for piece in queue.pieces):
                await queue.without(task)
            case _:
                pass
    return queue

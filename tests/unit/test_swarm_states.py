"""A swarm's state is the fold of its journal: what may follow what, what blocks and what frees, replay."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from kimi_code.events import FileChange, TaskState
from kimi_code.messages import Usage
from kimi_code.swarm.journal import Kept, encode, swarms_of
from kimi_code.swarm.plan import Plan, Task
from kimi_code.swarm.states import (
    ACTIVE,
    GOOD,
    OVER,
    Check,
    Cited,
    Effort,
    Ended,
    Entry,
    Extended,
    Moved,
    Planned,
    Reported,
    Result,
    Resumed,
    Spent,
    Swarm,
    Verified,
    Waited,
    advance,
    begin,
    may_move,
    replay,
)
from tests.costly import costly

READY, RUNNING, CHECKING, MERGING = TaskState.READY, TaskState.RUNNING, TaskState.CHECKING, TaskState.MERGING
MERGED, DONE, FAILED, STOPPED = TaskState.MERGED, TaskState.DONE, TaskState.FAILED, TaskState.STOPPED
WAITING, BLOCKED, CANCELLED = TaskState.WAITING, TaskState.BLOCKED, TaskState.CANCELLED


def swarm_of(**needs: str) -> Swarm:
    """A swarm with a task per keyword; the value holds the names of those it needs."""
    return begin(
        Planned(1.0, "s", Plan("goal", tuple(Task(n, f"do {n}", needs=tuple(v.split())) for n, v in needs.items())))
    )


def moved(swarm: Swarm, *moves: str) -> Swarm:
    """After moves such as "a:running"."""
    for move in moves:
        task, _, to = move.partition(":")
        swarm = advance(swarm, Moved(2.0, task, TaskState(to)))
    return swarm


def states(swarm: Swarm) -> dict[str, TaskState]:
    return {task: progress.state for task, progress in swarm.tasks.items()}


def test_what_needs_nothing_is_ready_and_the_rest_waits() -> None:
    assert states(swarm_of(a="", b="a", c="")) == {"a": READY, "b": WAITING, "c": READY}


def test_a_task_is_ready_once_all_it_needs_came_to_something() -> None:
    swarm = moved(swarm_of(a="", b="", c="a b"), "a:running", "a:done", "b:running", "b:checking", "b:merging")
    assert states(swarm)["c"] is WAITING
    assert moved(swarm, "b:merged").ready() == ["c"]


def test_what_needs_a_failed_task_is_blocked_down_the_line_and_freed_when_it_is_tried_again() -> None:
    swarm = moved(swarm_of(a="", b="a", c="b", d=""), "a:running", "a:failed")
    assert states(swarm) == {"a": FAILED, "b": BLOCKED, "c": BLOCKED, "d": READY}
    assert swarm.tasks["c"].reason == "b came to nothing"
    swarm = moved(swarm, "a:ready")
    assert states(swarm) == {"a": READY, "b": WAITING, "c": WAITING, "d": READY}
    assert moved(swarm, "a:running", "a:done").ready() == ["b", "d"]


def test_a_reopened_merge_holds_back_what_has_not_started_and_leaves_what_has() -> None:
    swarm = moved(swarm_of(a="", b="a", c="a"), "a:running", "a:merging", "a:merged", "b:running", "a:ready")
    assert states(swarm) == {"a": READY, "b": RUNNING, "c": WAITING}


def test_attempts_count_retries_and_neither_stops_nor_a_new_process() -> None:
    swarm = moved(swarm_of(a=""), "a:running", "a:running", "a:stopped", "a:ready", "a:running")
    assert swarm.tasks["a"].attempt == 1
    swarm = moved(swarm, "a:checking", "a:ready", "a:running", "a:merging")
    assert (swarm.tasks["a"].attempt, swarm.tasks["a"].may_retry) == (2, True)
    swarm = moved(swarm, "a:ready", "a:running")
    assert (swarm.tasks["a"].attempt, swarm.tasks["a"].may_retry) == (3, False)


def test_a_task_that_never_started_is_at_its_first_attempt_when_it_is_taken_up_again() -> None:
    assert moved(swarm_of(a=""), "a:failed", "a:ready").tasks["a"].attempt == 1


@pytest.mark.parametrize("move", ["a:merged", "a:done", "b:running", "a:waiting", "b:ready", "x:running", "a:blocked"])
def test_what_cannot_follow_is_refused(move: str) -> None:
    with pytest.raises(ValueError, match="task"):
        moved(swarm_of(a="", b="a"), move)


def test_added_tasks_take_their_place_and_reopen_an_ended_swarm() -> None:
    swarm = advance(moved(swarm_of(a=""), "a:running", "a:done"), Ended(3.0))
    assert swarm.over
    swarm = advance(swarm, Extended(4.0, (Task("b", "do b", needs=("a", "c")), Task("c", "do c"))))
    assert states(swarm) == {"a": DONE, "b": WAITING, "c": READY}
    assert swarm.ended is None and not swarm.over
    with pytest.raises(ValueError, match="twice"):
        advance(swarm, Extended(5.0, (Task("a", "again"),)))


def test_what_was_spent_and_found_stays_with_the_task() -> None:
    result = Result("it works", changes=(FileChange("a.py", "modified", 3, 1),), check=Check("pytest", 0))
    entries = (
        Spent(2.0, "a", Effort(2, 2, 3, Usage(10, 0, 5), 0.5)),
        Spent(2.0, "a", Effort(1, 1, 1, Usage(1, 0, 1))),
        Spent(2.0, "", Effort(4, 4)),
        Reported(3.0, "a", result),
        Cited(3.0, "a"),
        Waited(3.0, "a", "lock", 2.0),
        Verified(3.0, Check("make", 1), culprit="a"),
    )
    swarm = swarm_of(a="", b="")
    for entry in entries:
        swarm = advance(swarm, entry)
    assert swarm.tasks["a"].effort == swarm.spent == Effort(3, 3, 4, Usage(11, 0, 6), 0.5)
    assert (swarm.effort.steps, swarm.tasks["a"].result, swarm.tasks["a"].cited) == (4, result, True)
    assert swarm.verified is not None and swarm.verified.culprit == "a"


def test_a_journal_begins_with_its_plan_and_has_one() -> None:
    with pytest.raises(ValueError, match="empty"):
        replay([])
    with pytest.raises(ValueError, match="begins with its plan"):
        replay([Resumed(1.0)])
    with pytest.raises(ValueError, match="once"):
        advance(swarm_of(a=""), Planned(2.0, "s", Plan("goal", ())))


# --- Any run whatever -----------------------------------------------------------------------------------------------


@st.composite
def runs(draw: st.DrawFn) -> list[Entry]:
    """The journal of some run: legal moves in any order, spending, growth, resumption."""
    count = draw(st.integers(1, 8))
    tasks = tuple(
        Task(f"t{n}", f"do {n}", needs=tuple(draw(st.sets(st.sampled_from([f"t{i}" for i in range(n)])))) if n else ())
        for n in range(count)
    )
    entries: list[Entry] = [Planned(0.0, "s", Plan("goal", tasks))]
    swarm = replay(entries)
    for at in range(1, draw(st.integers(0, 40)) + 1):
        task = draw(st.sampled_from(sorted(swarm.tasks)))
        targets = [to for to in TaskState if may_move(swarm, task, to)]
        options: list[Entry] = [Spent(at, task, Effort(1, 1, 2)), Resumed(at), Waited(at, task, "cpu", 1.0)]
        options += [Moved(at, task, to, "why", f"main/{task}") for to in targets]
        if len(swarm.tasks) < 10:
            options.append(Extended(at, (Task(f"x{at}", f"do more at {at}", needs=(task,)),)))
        entries.append(draw(st.sampled_from(options)))
        swarm = advance(swarm, entries[-1])
    return entries


@costly
@given(runs(), st.data())
def test_a_replay_gives_the_live_state_wherever_the_process_died(entries: list[Entry], data: st.DataObject) -> None:
    cut = data.draw(st.integers(1, len(entries)))
    live = replay(entries)
    again = replay(entries[:cut])
    for entry in entries[cut:]:
        again = advance(again, entry)
    assert again == live


@costly
@given(runs())
def test_no_task_is_lost_and_each_stands_where_its_needs_let_it(entries: list[Entry]) -> None:
    swarm = replay(entries)
    assert list(swarm.tasks) == [task.id for task in swarm.plan.tasks]
    for task in swarm.plan.tasks:
        needs = {swarm.tasks[need].state for need in task.needs}
        match swarm.tasks[task.id].state:
            case TaskState.READY:
                assert needs <= GOOD
            case TaskState.WAITING:
                assert needs - GOOD and not needs & (OVER - GOOD)
            case TaskState.BLOCKED:
                assert needs & (OVER - GOOD)
            case _:
                pass
    # Something can always be done until all is over.
    assert swarm.over or any(progress.state in ACTIVE | {READY} for progress in swarm.tasks.values())


_adapter = TypeAdapter[list[Entry]](list[Entry])


@costly
@given(runs())
def test_entries_can_be_written_as_json_and_read_back(entries: list[Entry]) -> None:
    assert _adapter.validate_json(_adapter.dump_json(entries)) == entries


def test_a_swarm_that_was_killed_before_its_plan_was_written_is_none(tmp_path: Path) -> None:
    torn, whole = Kept(tmp_path, 1), Kept(tmp_path, 2)
    torn.path.parent.mkdir()
    torn.path.touch()
    assert swarms_of(tmp_path) == []
    whole.path.write_text(encode(Planned(1.0, whole.id, Plan("g", (Task("a", "x"),)))) + "\n")
    assert swarms_of(tmp_path) == [whole]
    assert whole.is_unfinished()

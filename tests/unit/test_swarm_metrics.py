"""What a swarm was worth: the numbers by hand on small journals, and what holds for any."""

from math import isclose

import pytest
from hypothesis import given

from kimi_code.events import FileChange, TaskState, Waiting
from kimi_code.messages import Usage
from kimi_code.swarm.metrics import course, measure
from kimi_code.swarm.plan import Plan, Task
from kimi_code.swarm.states import (
    Cited,
    Effort,
    Ended,
    Entry,
    Extended,
    Moved,
    Planned,
    Result,
    Resumed,
    Spent,
    Waited,
)
from tests.costly import costly
from tests.unit.test_swarm_states import runs

CHANGED = Result("done", changes=(FileChange("a.py", "modified", 1, 1),))


def planned(max_parallel: int = 0, **needs: str) -> Planned:
    tasks = tuple(Task(name, f"do {name}", needs=tuple(need.split())) for name, need in needs.items())
    return Planned(100.0, "s", Plan("goal", tasks, max_parallel=max_parallel))


def ran(task: str, start: float, end: float, steps: int = 1, to: str = "merged") -> list[Entry]:
    """A task at work from `start` to `end`, in seconds after the plan."""
    return [
        Moved(100 + start, task, TaskState.RUNNING, agent=f"main/{task}"),
        Spent(100 + end, task, Effort(steps, steps, 2 * steps, Usage(100, 0, 10), 0.01)),
        *([Moved(100 + end, task, TaskState.MERGING)] if to == "merged" else []),
        Moved(100 + end, task, TaskState(to)),
    ]


def journal(first: Planned, *parts: list[Entry] | Entry) -> list[Entry]:
    entries = [entry for part in parts for entry in (part if isinstance(part, list) else [part])]
    return [first, *sorted(entries, key=lambda entry: entry.at)]


def test_the_numbers_of_a_diamond() -> None:
    entries = journal(
        planned(a="", b="a", c="a", d="b c"),
        Spent(100.0, "", Effort(3, 3, 1, Usage(50, 0, 5), 0.01)),
        ran("a", 0, 10, 4),
        ran("b", 10, 30, 6),
        ran("c", 10, 20, 9, to="done"),
        ran("d", 30, 40, 2),
        Ended(142.0),
    )
    told = measure(entries)
    assert (told.tasks, told.started, told.finished, told.useful, told.agents_at_once) == (4, 4, 4, 4, 2)
    assert (told.total_steps, told.critical_steps) == (24, 3 + 4 + 9 + 2)
    assert isclose(told.parallelism, 24 / 18, abs_tol=1e-3)
    assert (told.wall_s, told.serial_s) == (42, 52)
    assert isclose(told.speed_up, 52 / 42, abs_tol=1e-3)
    assert isclose(told.efficiency, 26 / 42, abs_tol=1e-3)
    assert (told.cost_usd, told.cost_per_task, told.usage.total, told.tool_calls) == (0.05, 0.01, 495, 43)


def test_an_unknown_price_leaves_the_cost_open() -> None:
    told = measure([planned(a=""), *ran("a", 0, 1)[:1]])
    assert (told.cost_usd, told.cost_per_task) == (None, None)


def test_what_tasks_wait_for_each_other_is_no_time_that_one_agent_would_need() -> None:
    waits: list[Entry] = [Waited(110.0, "a", "rate_limit", 4.0), Waited(110.0, "b", "merge", 1.0)]
    told = measure(journal(planned(a="", b=""), ran("a", 0, 10), ran("b", 0, 10), waits, Ended(110.0)))
    assert told.serial_s == 16
    assert told.waiting == Waiting(rate_limit=4.0, merge=1.0)


def test_time_without_a_free_place_is_waiting_too() -> None:
    told = measure(journal(planned(a="", b=""), ran("a", 0, 10), ran("b", 10, 12)))
    assert told.waiting.place == 10


def test_time_for_a_lock_is_none_for_a_place_and_a_collapse_is_put_down_to_it() -> None:
    held = Waited(110.0, "b", "lock", 10.0)
    entries = journal(planned(a="", b=""), ran("a", 0, 10), held, ran("b", 10, 20), Ended(120.0))
    assert measure(entries).waiting == Waiting(lock=10.0)
    assert "They waited most for locks" in measure(entries).verdicts[0]


def test_the_pause_until_another_process_goes_on_counts_for_nothing() -> None:
    entries = journal(
        planned(a="", b=""),
        Moved(100.0, "a", TaskState.RUNNING),
        Spent(105.0, "a", Effort(1, 1)),
        Resumed(90_000.0),
        Moved(90_000.0, "a", TaskState.RUNNING),
        Moved(90_005.0, "a", TaskState.DONE),
    )
    assert (measure(entries).wall_s, course(entries).work[0].seconds) == (10, 5)


def test_what_came_to_nothing_is_neither_finished_nor_useful_and_a_citation_makes_reading_useful() -> None:
    told = measure(
        journal(
            planned(a="", b="", c="", d=""),
            ran("a", 0, 5, to="failed"),
            ran("b", 0, 5, to="done"),
            ran("c", 0, 5, to="done"),
            Cited(105.0, "c"),
        )
    )
    assert (told.tasks, told.started, told.finished, told.useful) == (4, 3, 2, 1)
    assert (told.finish_rate, told.useful_rate) == (0.667, 0.333)


# --- Verdicts -------------------------------------------------------------------------------------------------------


def verdict(*parts: list[Entry] | Entry, first: Planned) -> str:
    return " ".join(measure(journal(first, *parts)).verdicts)


def test_a_swarm_that_ran_side_by_side_is_told_so() -> None:
    said = verdict(ran("a", 0, 10), ran("b", 0, 10), ran("c", 0, 10), Ended(110.0), first=planned(a="", b="", c=""))
    assert said == "3 tasks ran, on average 3.0 at once, 3.0x faster than one after the other (estimated)."


@pytest.mark.parametrize(
    ("first", "parts", "why"),
    [
        (planned(1, a="", b=""), [], "max_parallel is 1"),
        (planned(a="", b="a"), [], "The plan is a chain"),
        (planned(a="", b=""), [Waited(118.0, "b", "lock", 12.0)], "waited most for locks"),
        (planned(a="", b=""), [Waited(118.0, "b", "rate_limit", 12.0)], "the rate limit of the provider (12 s)"),
        (planned(a="", b=""), [Waited(118.0, "b", "slow_start", 12.0)], "the slow start of requests"),
        (planned(a="", b=""), [Waited(118.0, "b", "cpu", 12.0)], "the processor"),
        (planned(a="", b=""), [Waited(118.0, "b", "merge", 12.0)], "the merge queue"),
        (planned(a="", b=""), [Waited(118.0, "b", "person", 12.0)], "answers of a person"),
        (planned(a="", b=""), [], "a free place"),
    ],
)
def test_serial_collapse_is_named_with_its_cause(first: Planned, parts: list[Entry], why: str) -> None:
    said = verdict(ran("a", 0, 10), ran("b", 10, 20), parts, first=first)
    assert said.startswith("Serial collapse: 2 tasks ran, on average 1.0 at once.")
    assert why in said


def test_tasks_that_are_asked_for_one_by_one_are_a_collapse_too() -> None:
    more: list[Entry] = [Extended(110.5, (Task("b", "do b"),)), Extended(120.5, (Task("c", "do c"),))]
    told = measure(journal(planned(a=""), ran("a", 0, 10, 5), more, ran("b", 11, 20, 5), ran("c", 21, 30, 5)))
    assert told.critical_steps == 15
    assert "asked for one after the other" in told.verdicts[0]


def test_one_long_task_is_named() -> None:
    said = verdict(ran("a", 0, 100), ran("b", 0, 40), ran("c", 0, 40), first=planned(a="", b="", c=""))
    assert "For 60 of 100 s only a was at work" in said


def test_children_that_achieve_nothing_are_spurious_parallelism() -> None:
    parts = [ran(task, 0, 10, to="done") for task in "abc"]
    said = verdict(*parts, ran("d", 0, 10), first=planned(a="", b="", c="", d=""))
    assert "Spurious parallelism: of 4 tasks 3 left nothing in the result (a, b, c); they took 3 steps" in said


@costly
@given(runs())
def test_the_numbers_of_any_run_hold_together(entries: list[Entry]) -> None:
    told = measure(entries)
    assert told.useful <= told.finished <= told.started <= told.tasks
    assert told.critical_steps <= told.total_steps
    assert told.parallelism >= 1 or told.total_steps == 0
    assert 0 <= told.finish_rate <= 1 and 0 <= told.useful_rate <= 1
    assert told.wall_s >= 0 and told.serial_s >= 0
    made = course(entries)
    assert all(0 <= span.start < span.end <= made.wall for span in made.spans)
    assert set(made.levels) == set(made.swarm.tasks)

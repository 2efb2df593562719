"""Swarms as lines: widths that fit, the graph's order, plans to read; boards of sessions that were left."""

from hypothesis import given
from hypothesis import strategies as st

from kimi_code.events import (
    AgentSpawned,
    Approval,
    Effect,
    Event,
    PlannedTask,
    Record,
    RequestOpened,
    SessionOpened,
    SwarmPlanned,
    TaskState,
    TaskStateChanged,
    ToolStarted,
)
from kimi_code.session.swarm_board import SwarmBoards
from kimi_code.session.swarms import Account
from kimi_code.tui.strips.line import width_of
from kimi_code.tui.strips.plan import outline
from kimi_code.tui.strips.swarm import graph, graph_lines, grid_lines, head_lines, places, urgent

PLAN = (
    PlannedTask("base", "Begin", "coder", "write"),
    PlannedTask("other", "Beside", "explorer", "read"),
    PlannedTask("above", "Build 你好", "coder", "write", ("base", "other")),
    PlannedTask("top", "End", "coder", "write", ("above", "base")),
)


def boards(*events: tuple[str, Event]) -> SwarmBoards:
    planned: tuple[str, Event] = ("main", SwarmPlanned("s-1", "The goal", PLAN, 4))
    return SwarmBoards(Record(seq, agent, 100.0 + seq, event) for seq, (agent, event) in enumerate((planned, *events)))


WORKING: tuple[tuple[str, Event], ...] = (
    ("main", TaskStateChanged("s-1", "other", TaskState.RUNNING, 1, "main/other")),
    ("main", TaskStateChanged("s-1", "base", TaskState.RUNNING, 1, "main/base")),
    ("main/base", AgentSpawned("Begin", "coder", "write", "k3", "base")),
    ("main/base", ToolStarted("c1", "Bash", "pytest -q 你好\x1b[2J", Effect.EXECUTE, {})),
)


def test_the_graph_puts_a_task_below_the_need_that_is_furthest_from_the_start() -> None:
    board = boards().boards["s-1"]
    assert [(place.task, deep) for place, deep in graph([board])] == [
        ("base", 0),
        ("above", 1),
        ("top", 2),
        ("other", 0),
    ]


def test_who_asks_comes_first_and_what_is_over_or_waits_for_needs_is_left_out() -> None:
    asks = ("main/base", RequestOpened("r1", Approval("c1", "Bash", "rm x", "asked")))
    rows = places(boards(*WORKING, asks).boards.values())
    assert [place.task for place in urgent(rows)] == ["base", "other"]


@given(width=st.integers(40, 260), height=st.integers(1, 4))
def test_no_line_is_wider_than_the_screen_and_no_control_sequence_gets_through(width: int, height: int) -> None:
    board = boards(*WORKING).boards["s-1"]
    rows = places([board])
    lines = [
        *head_lines([board] * min(height, 2), width, 200.0, Account(1, 2, 0.5, 1_000, 1_500, 2.0)),
        *grid_lines(rows, list(rows), width, 200.0),
        *graph_lines([board], width, 200.0),
    ]
    assert all(width_of(line.text) <= width for line in lines)
    assert "\x1b" not in "".join(line.text for line in lines)


def test_a_swarm_that_another_process_left_does_not_run_any_more() -> None:
    known = boards(*WORKING, ("main", SessionOpened("s", "/p", "k3", "auto", "0")))
    board = known.boards["s-1"]
    assert (board.outcome, known.running) == ("stopped", {})
    assert {row.state for row in board.rows.values()} == {TaskState.STOPPED}


@given(st.text(), st.integers(1, 120))
def test_whatever_is_no_plan_is_shown_as_it_is(text: str, width: int) -> None:
    assert outline(text, width)


def test_a_plan_is_read_as_tasks_with_what_holds_for_them() -> None:
    text = (
        "goal: G\nverify: pytest -q\nbudget: {cost: 2.0}\ntasks:\n- {id: a, task: Begin, scope: [a/**], check: make}\n"
        "- {id: b, task: Go on, mode: read, agent: reviewer, needs: [a]}\n\n# Warning: a and b are alike\n"
    )
    assert [line.text.rstrip() for line in outline(text, 80)] == [
        "verify: pytest -q",
        "budget: cost 2.0",
        "",
        "a  write",
        "  Begin",
        "  scope: a/**",
        "  check: make",
        "b  read · reviewer  ← a",
        "  Go on",
        "",
        "! a and b are alike",
    ]

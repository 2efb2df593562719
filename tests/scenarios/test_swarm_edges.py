"""Edges of a swarm's life: silent agents, time that runs out, changes outside a scope that meet a conflict."""

from pathlib import Path
from typing import Any

import pytest

from kimi_code.events import AgentFinished, Outcome, TaskState, TaskStateChanged
from kimi_code.wiring.opening import SwarmStart
from tests.harness import Lab
from tests.server import Received, Reply, call, calls, hang, say
from tests.swarm_world import Cast, make_project, state, swarm, swarm_result, task, write


def told_of(cast: Cast, id: str) -> dict[str, Any]:
    """What the orchestrator was told of a task."""
    return next(told for told in swarm_result(cast.told[""])["tasks"] if told["id"] == id)


@pytest.fixture
def project(lab: Lab) -> Path:
    make_project(lab.project, {"a.txt": "a\n", "b.txt": "b\n", "shared.txt": "one\n"})
    lab.configure(permission_mode="yolo", retry_wait=0.001)
    return lab.project


async def test_an_agent_without_a_sign_of_life_is_nudged_then_stopped_and_tried_again(lab: Lab, project: Path) -> None:
    cast = Cast(
        lab,
        {
            "": [swarm(task("a")), say("Done.")],
            "a": [hang(), write("a.txt", "better\n"), say("ok")],
        },
    )
    ran = await lab.run(swarms=SwarmStart(patience=1.0))
    assert ran.exit_code == 0, ran.result
    moves = [(move.state, move.reason) for move in ran.events(TaskStateChanged)]
    assert (TaskState.READY, "there was no sign of life from it for 2 s") in moves
    assert "Nothing has come from you for" in cast.told["a"]
    assert (project / "a.txt").read_text() == "better\n"


async def test_time_that_runs_out_half_way_stops_who_is_at_work_and_who_is_not_yet(lab: Lab, project: Path) -> None:
    cast = Cast(
        lab,
        {
            "": [swarm(task("a"), task("b", needs=["a"]), budget={"seconds": 2.0}), say("Nothing.")],
            "a": [hang()],
        },
    )
    before = state(project)
    ran = await lab.run()
    assert ran.exit_code == 4
    assert {(told_of(cast, id)["status"]) for id in "ab"} == {"stopped", "blocked"}
    assert "2 seconds" in told_of(cast, "a")["reason"]
    assert "b" not in cast.asked
    assert state(project) == before
    assert {event.outcome for event in ran.events(AgentFinished)} == {Outcome.BUDGET}


async def test_what_was_outside_a_scope_is_still_there_to_be_taken_after_a_conflict_was_resolved(
    lab: Lab, project: Path
) -> None:
    def both(name: str) -> Reply:
        return calls(
            ("Read", {"path": "shared.txt"}),
            ("Write", {"path": "shared.txt", "content": f"{name}\n"}),
            ("Write", {"path": f"outside-{name}.txt", "content": f"{name}\n"}),
        )

    def take(request: Received) -> Reply:
        tasks = swarm_result(str(request.last["content"]))["tasks"]
        assert {told["id"]: told["outside_scope"]["files"] for told in tasks} == {
            id: [f"outside-{id}.txt"] for id in "ab"
        }
        assert not list(project.glob("outside-*"))
        return call("SwarmUpdate", {"take": ["a", "b"]})

    cast = Cast(
        lab,
        {
            "": [swarm(task("a", scope=["shared.txt"]), task("b", scope=["shared.txt"])), take, say("Done.")],
            "a": [both("a"), say("ok")],
            "b": [both("b"), say("ok")],
            "resolver": [write("shared.txt", "a and b\n"), say("both are in")],
        },
    )
    ran = await lab.run()
    assert (ran.exit_code, cast.left) == (0, {})
    written = {path.name: path.read_text() for path in project.glob("*.txt")}
    assert written == {
        "a.txt": "a\n",
        "b.txt": "b\n",
        "shared.txt": "a and b\n",
        "outside-a.txt": "a\n",
        "outside-b.txt": "b\n",
    }


async def test_where_no_isolated_copy_can_be_had_nobody_begins_and_the_reason_is_told(lab: Lab, project: Path) -> None:
    lab.data.mkdir(exist_ok=True)
    (lab.data / "checkouts").write_text("no folder can be here")
    before = state(project)
    cast = Cast(lab, {"": [swarm(task("a"), task("b")), say("It cannot be done here.")]})
    await lab.run()
    assert "No isolated working copy" in cast.told[""]
    assert cast.asked == ["", ""]
    assert state(project) == before

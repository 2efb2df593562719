"""What a person does with a swarm through the session: plans approved and edited, agents stopped, retried, steered."""

import json
from pathlib import Path
from typing import Any

import pytest

from kimi_code.events import (
    Allow,
    AllowEdited,
    Approval,
    Deny,
    Record,
    RequestOpened,
    TaskState,
    TaskStateChanged,
    Text,
    ToolStarted,
)
from kimi_code.session.session import Session
from kimi_code.session.swarm_board import SwarmBoards
from kimi_code.swarm.plan import Plan, Task
from kimi_code.wiring.opening import SwarmStart
from tests.harness import Lab
from tests.server import Reply, call, say
from tests.swarm_world import Cast, make_project, swarm, task, write


@pytest.fixture
def project(lab: Lab) -> Path:
    make_project(lab.project, {"a.txt": "a\n", "b.txt": "b\n"})
    lab.configure(permission_mode="auto", retry_wait=0.001)
    return lab.project


async def converse(lab: Lab, session: Session, prompt: str = "Do it.") -> list[Record]:
    records: list[Record] = []
    session.subscribe(records.append)
    try:
        await session.prompt(prompt)
    finally:
        await session.close()
    return records


async def test_a_plan_is_shown_first_and_runs_as_the_user_wrote_it_anew(lab: Lab, project: Path) -> None:
    cast = Cast(
        lab,
        {
            "": [swarm(task("a"), task("b")), say("Done.")],
            "only": [write("b.txt", "edited\n"), say("ok")],
        },
    )
    session = (await lab.open(swarms=SwarmStart(plan_first=True))).session
    shown: list[str] = []
    replies = iter(
        [
            AllowEdited("goal: g\ntasks: [{id: x, task: t, needs: [nobody]}]"),
            Allow(),
            AllowEdited("goal: Less\ntasks: [{id: only, task: Better b}]"),
            Allow(),
        ]
    )

    def answer(record: Record) -> None:
        if isinstance(record.event, RequestOpened) and isinstance(record.event.request, Approval):
            shown.extend(block.text for block in record.event.request.blocks if isinstance(block, Text))
            session.reply(record.event.request_id, next(replies))

    session.subscribe(answer)
    await converse(lab, session)
    assert (project / "b.txt").read_text() == "edited\n"
    assert cast.asked.count("a") == 0
    assert "id: a\n  task: Better a" in shown[0]
    assert "needs: [nobody]" in shown[1]  # the first edit is there to be mended, with what is wrong with it
    assert "# Warning: task x: it needs 'nobody'" in shown[1]
    assert shown[2] == shown[1]  # nor can it be allowed as it is


async def test_a_plan_that_is_declined_starts_nobody_and_is_kept(lab: Lab, project: Path) -> None:
    lab.configure(permission_mode="ask")
    cast = Cast(lab, {"": [swarm(task("a")), say("I see.")]})
    session = (await lab.open()).session

    def decline(record: Record) -> None:
        if isinstance(record.event, RequestOpened):
            session.reply(record.event.request_id, Deny("too many"))

    session.subscribe(decline)
    await converse(lab, session)
    assert cast.asked == ["", ""]
    assert "too many" in cast.told[""]
    (kept,) = (lab.data / "sessions").glob("*/swarms/plan.yaml")
    assert "task: Better a" in kept.read_text()


async def test_a_task_is_begun_anew_and_another_stopped_while_they_work(lab: Lab, project: Path) -> None:
    patterns = iter(range(1000))

    def for_ever(request: Any) -> Reply:
        return call("Glob", {"pattern": f"*{next(patterns)}"})

    cast = Cast(
        lab,
        {
            "": [swarm(task("a"), task("b")), say("Done.")],
            "a": [for_ever] * 500,
            "a~2": [write("a.txt", "second\n"), say("ok")],
            "b": [for_ever] * 500,
        },
    )
    lab.configure(permission_mode="yolo")
    session = (await lab.open()).session
    desk = session.swarms
    assert desk is not None
    done: set[str] = set()

    def act(record: Record) -> None:
        if isinstance(record.event, ToolStarted) and record.agent not in done:
            done.add(record.agent)
            if record.agent == "main/a":
                desk.retry("", "a")
            elif record.agent == "main/b":
                desk.cancel("", "b")

    session.subscribe(act)
    records = await converse(lab, session)
    moves = [event for r in records if isinstance(event := r.event, TaskStateChanged)]
    assert [move.state for move in moves if move.task_id == "b"][-1] is TaskState.CANCELLED
    assert [move.state for move in moves if move.task_id == "a"][-1] is TaskState.MERGED
    assert (project / "a.txt").read_text() == "second\n"
    assert "begun anew for the user" in cast.told["a~2"]


async def test_the_model_has_no_sub_agents_when_they_are_off_and_is_told_how_to_use_them_when_on(
    lab: Lab, project: Path
) -> None:
    cast = Cast(lab, {"": [say("one"), say("two"), say("three")]})
    session = (await lab.open()).session
    desk = session.swarms
    assert desk is not None
    await session.prompt("first")
    desk.set_mode("off")
    await session.prompt("second")
    desk.set_mode("on")
    await session.prompt("third")
    await session.close()
    offered = [{tool["function"]["name"] for tool in request.body["tools"]} for request in lab.server.requests]
    assert [{"Agent", "Swarm"} <= names for names in offered] == [True, False, True]
    assert not any({"SwarmUpdate", "SwarmRead", "Note"} & names for names in offered)
    assert "Cut by files" in cast.told[""]
    assert "Cut by files" not in str(lab.server.requests[1].messages)


async def test_a_board_of_the_records_says_where_every_task_stands(lab: Lab, project: Path) -> None:
    lab.configure(permission_mode="yolo")
    Cast(
        lab,
        {
            "": [swarm(task("a"), task("b", needs=["a"])), say("Done.")],
            "a": [write("a.txt", "better\n"), say("ok")],
            "b": [say("nothing to do")],
        },
    )
    session = (await lab.open()).session
    boards, doing = SwarmBoards(), list[str]()

    def watch(record: Record) -> None:
        if boards.apply(record):
            doing.extend(row.doing for board in boards.boards.values() for row in board.rows.values())

    session.subscribe(watch)
    records = await converse(lab, session)
    (board,) = boards.boards.values()
    assert (board.owner, board.outcome, board.done) == ("main", "done", 2)
    assert [(row.state, row.tool_calls, row.waits) for row in board.rows.values()] == [
        (TaskState.MERGED, 2, ""),
        (TaskState.DONE, 0, ""),
    ]
    assert board.tokens > 0
    assert {"thinks", "answers", "Write a.txt"} <= set(doing)
    assert SwarmBoards(records).boards == boards.boards


async def test_the_episode_is_written_with_its_reward(lab: Lab, project: Path, tmp_path: Path) -> None:
    Cast(lab, {"": [swarm(task("a", mode="read")), say("Done.")], "a": [say("seen")]})
    path = tmp_path / "episode.jsonl"
    ran = await lab.run(swarms=SwarmStart(rollout=path))
    assert ran.exit_code == 0
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["type"] for line in lines][:2] == ["episode", "prompt"]
    assert {line["type"] for line in lines} >= {"step", "result", "child"}
    assert lines[-1]["type"] == "reward"
    assert (lines[-1]["success"], lines[-1]["quality"]) == (True, 1.0)


async def test_a_plan_that_nobody_can_approve_is_denied_work(lab: Lab, project: Path) -> None:
    cast = Cast(lab, {"": [swarm(task("a")), say("The plan waits for you.")]})
    ran = await lab.run(swarms=SwarmStart(plan_first=True))
    assert (ran.exit_code, ran.result["denied"][0]["tool"]) == (5, "Swarm")
    assert "kimi-code swarm run --plan" in cast.told[""]


async def test_a_plan_from_a_file_that_nobody_can_approve_is_denied_work_too(lab: Lab, project: Path) -> None:
    cast = Cast(lab, {})
    ran = await lab.run(swarms=SwarmStart(plan=Plan("g", (Task("a", "Better a"),)), plan_first=True))
    assert (ran.exit_code, ran.result["status"], cast.asked) == (5, "denied", [])
    (kept,) = lab.data.glob("sessions/*/swarms/plan.yaml")
    assert f"The answer was: nobody can approve it in this run. It is kept in {kept}" in ran.result["error"]

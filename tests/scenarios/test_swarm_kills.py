"""`kill -9` of a swarm in every state that its journal knows, and what another process makes of what is left."""

import os
import signal
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from kimi_code.events import TaskState
from kimi_code.swarm.journal import Kept, newest_unfinished
from kimi_code.swarm.states import GOOD
from kimi_code.wiring.opening import SwarmStart
from tests.harness import Lab
from tests.kill_points import Attempt, dying
from tests.server import Received, Reply, call, calls, say
from tests.swarm_world import WORK_OF_A_SWARM, git, make_project, state, who, words

if not hasattr(os, "fork"):
    pytest.skip("needs fork", allow_module_level=True)

FILES = {"a": ("shared.txt", "one\nA\n"), "b": ("shared.txt", "one\nB\n"), "c": ("c.txt", "c\n")}
BOTH = "one\nA and B\n"
JOURNAL = "swarms/1.jsonl"

# Everything that the journal can say of the task `a`, whose check runs, of `b`, which conflicts, of `c`, and of all.
# Of lines between which no file is opened and no program started, the last one: a kill after either leaves the same.
MOMENTS = [
    (JOURNAL, '"kind":"planned"'),
    (JOURNAL, '"task":"a","to":"running"'),
    (JOURNAL, '"task":"a","to":"checking"'),
    (JOURNAL, '"task":"a","to":"merging"'),
    (JOURNAL, '"task":"a","to":"merged"'),
    ("agents/b+resolver/records.jsonl", "turn_started"),
    (JOURNAL, '"task":"c","to":"merged"'),
    (JOURNAL, '"kind":"verified"'),
    (JOURNAL, '"kind":"ended"'),
]
# Those after which one process does all the rest, or goes on with an agent: by themselves, too.
ALONE = [MOMENTS[0], MOMENTS[2], MOMENTS[5]]


@pytest.fixture(scope="module")
def attempt() -> Iterator[Attempt]:
    with dying(WORK_OF_A_SWARM) as made:
        yield made


def play(lab: Lab, plan: Mapping[str, Any]) -> list[str]:
    """A project, and a server that plays everybody; who has asked it."""
    asked: list[str] = []

    def reply(request: Received) -> Reply:
        name = who(request)
        asked.append(name)
        worked = any(message["role"] == "tool" for message in request.messages)
        if not name:
            begun = any(message["role"] == "assistant" for message in request.messages)
            return say("All is done.") if begun else call("Swarm", plan)
        if worked:
            return say("both are in" if name == "resolver" else "ok")
        path, content = ("shared.txt", BOTH) if name == "resolver" else FILES[name]
        return calls(("Read", {"path": path}), ("Write", {"path": path, "content": content}))

    lab.server.always(reply)
    make_project(lab.project, {"shared.txt": "one\n"})
    lab.configure(permission_mode="yolo", retry_wait=0.001)
    return asked


@pytest.fixture
def asked(lab: Lab) -> list[str]:
    tasks: list[dict[str, Any]] = [
        {"id": "a", "task": "Write A", "check": "grep -q A shared.txt"},
        {"id": "b", "task": "Write B"},
        {"id": "c", "task": "Write c", "needs": ["a", "b"]},
    ]
    verify = "grep -q 'A and B' shared.txt && test -e c.txt"
    return play(lab, {"goal": "g", "tasks": tasks, "max_parallel": 1, "verify": verify})


async def resume(lab: Lab, kept: Kept) -> int:
    ran = await lab.run(resume=kept.session.name, swarms=SwarmStart(left=kept))
    return ran.exit_code


def over(kept: Kept) -> set[str]:
    """What was checked or merged when it died had been taken up: its agent has nothing more to do."""
    taken = {TaskState.CHECKING, TaskState.MERGING, *GOOD}
    return {task for task, progress in kept.state().tasks.items() if progress.state in taken}


@pytest.mark.parametrize(
    "moments", [MOMENTS, *([moment] for moment in ALONE)], ids=["all of them", *(text for _, text in ALONE)]
)
async def test_killed_once_the_journal_says_so_it_goes_on_and_nothing_that_was_over_is_done_again(
    lab: Lab, asked: list[str], attempt: Attempt, moments: list[tuple[str, str]]
) -> None:
    before, was_over = state(lab.project), set[str]()
    for number, (file, text) in enumerate(moments):
        once, left = (f"{lab.data}/sessions/*/{file}", text), "left" if number else ""
        assert attempt(1, lab.server.url, lab.project, lab.data, "yolo", left, once=once) == -signal.SIGKILL, text
        assert state(lab.project) == before
        assert not was_over & set(asked), text
        was_over = over(newest_unfinished(lab.data, lab.project))
        asked.clear()
    kept = newest_unfinished(lab.data, lab.project)
    assert await resume(lab, kept) == 0
    assert (lab.project / "shared.txt").read_text() == BOTH
    assert (lab.project / "c.txt").read_text() == "c\n"
    assert all(progress.state is TaskState.MERGED for progress in kept.state().tasks.values())
    assert not was_over & set(asked)
    assert [progress.attempt for progress in kept.state().tasks.values()] == [1, 1, 1]
    assert git(lab.project, "log", "--oneline", "--all").count(b"\n") == 1
    assert git(lab.project, "stash", "list") == b""
    assert not kept.is_unfinished()


async def test_killed_while_a_broken_whole_is_looked_into_and_mended_the_culprit_mends_it(
    lab: Lab, attempt: Attempt
) -> None:
    moments = [
        ("../../verified", "ran\nran\n"),  # in the middle of finding the culprit
        (JOURNAL, '"task":"b","to":"ready"'),
        ("agents/b~2/records.jsonl", "turn_started"),
    ]
    verify = f"echo ran >> '{lab.data}/verified'; ! grep -q bad b.txt"
    plan = {"goal": "g", "tasks": [{"id": id, "task": f"Write {id}"} for id in "abc"], "verify": verify}
    asked: list[str] = []

    def reply(request: Received) -> Reply:
        name = who(request)
        asked.append(name)
        if not name:
            begun = any(message["role"] == "assistant" for message in request.messages)
            return say("All is done.") if begun else call("Swarm", plan)
        path = f"{name[0]}.txt"
        if request.messages[-1]["role"] == "tool":
            return say("ok")
        content = "bad\n" if name == "b" else "good\n"
        return calls(("Read", {"path": path}), ("Write", {"path": path, "content": content}))

    lab.server.always(reply)
    make_project(lab.project, {"b.txt": "b\n"})
    lab.configure(permission_mode="yolo", retry_wait=0.001)
    before = state(lab.project)
    for number, (file, text) in enumerate(moments):
        once, left = (f"{lab.data}/sessions/*/{file}", text), "left" if number else ""
        assert attempt(1, lab.server.url, lab.project, lab.data, "yolo", left, once=once) == -signal.SIGKILL, text
        assert state(lab.project) == before
        assert not number or set(asked) <= {"b~2", ""}, text
        asked.clear()
    kept = newest_unfinished(lab.data, lab.project)
    assert await resume(lab, kept) == 0
    assert {path.name: path.read_text() for path in lab.project.glob("*.txt")} == dict.fromkeys(
        ("a.txt", "b.txt", "c.txt"), "good\n"
    )
    assert set(asked) == {"b~2", ""}
    assert {id: at.attempt for id, at in kept.state().tasks.items()} == {"a": 1, "b": 2, "c": 1}


async def test_killed_while_the_change_is_reviewed_it_is_shown_again_and_nothing_else_is_done(
    lab: Lab, attempt: Attempt
) -> None:
    asked = play(lab, {"goal": "g", "tasks": [{"id": "c", "task": "Write c"}]})
    before = state(lab.project)
    once = (f"{lab.data}/sessions/*/records.jsonl", "the swarm's change is reviewed")
    assert attempt(1, lab.server.url, lab.project, lab.data, "auto", once=once) == -signal.SIGKILL
    assert state(lab.project) == before
    kept = newest_unfinished(lab.data, lab.project)
    asked.clear()
    assert await resume(lab, kept) == 0
    assert (set(asked), (lab.project / "c.txt").read_text()) == ({""}, "c\n")


@pytest.mark.parametrize(
    ("file", "text", "number"),
    [
        ("restore.json", "operation", 1),
        ("restore.json", "operation", 6),  # one file is in its place
        ("checkpoints.jsonl", '"landed"', 1),
        ("checkpoints.jsonl", '"landed"', 6),  # all are, and only to say so is left
    ],
)
async def test_killed_while_the_change_is_applied_all_of_it_is_there_in_the_end(
    lab: Lab, attempt: Attempt, file: str, text: str, number: int
) -> None:
    asked = play(lab, {"goal": "g", "tasks": [{"id": "a", "task": "Write A"}, {"id": "c", "task": "Write c"}]})
    once = (f"{lab.data}/snapshots/*/{file}", text)
    assert attempt(number, lab.server.url, lab.project, lab.data, once=once) == -signal.SIGKILL
    kept = newest_unfinished(lab.data, lab.project)
    (lab.project / "mine.txt").write_text("made meanwhile\n")
    asked.clear()
    assert await resume(lab, kept) == 0
    assert set(asked) == {""}
    made = {path.name: path.read_text() for path in lab.project.iterdir() if path.is_file()}
    assert made == {"shared.txt": "one\nA\n", "c.txt": "c\n", "mine.txt": "made meanwhile\n"}
    assert not kept.is_unfinished()


async def test_where_what_was_merged_is_lost_it_is_said_and_nothing_is_touched(
    lab: Lab, asked: list[str], attempt: Attempt
) -> None:
    once = (f"{lab.data}/sessions/*/{JOURNAL}", '"task":"a","to":"merged"')
    assert attempt(1, lab.server.url, lab.project, lab.data, once=once) == -signal.SIGKILL
    kept, before = newest_unfinished(lab.data, lab.project), state(lab.project)
    result = kept.state().tasks["a"].result
    assert result is not None
    (lost,) = lab.data.glob(f"snapshots/*/objects/{result.commit[:2]}/{result.commit[2:]}")
    lost.unlink()  # as a power cut may leave it
    asked.clear()
    ran = await lab.run(resume=kept.session.name, swarms=SwarmStart(left=kept))
    assert (ran.exit_code, asked, state(lab.project)) == (1, [], before)
    error = ran.result["error"]
    assert f"The swarm {kept.id} cannot go on" in error
    assert "Lost is the work of a." in error
    assert "`kimi-code swarm run`" in error


async def test_killed_before_a_second_attempt_began_the_same_agent_goes_on_with_what_it_had(
    lab: Lab, attempt: Attempt
) -> None:
    play(lab, {})
    task = {"id": "a", "task": "Write A", "check": "grep -q better a.txt"}
    told: list[str] = []

    def reply(request: Received) -> Reply:
        said = words(request)
        if not who(request):
            begun = any(message["role"] == "assistant" for message in request.messages)
            return say("Over.") if begun else call("Swarm", {"goal": "g", "tasks": [task]})
        told.append(who(request))
        if "first.txt" not in str(request.messages):
            return call("Write", {"path": "first.txt", "content": "1\n"})
        if "That did not do" not in said:
            return say("done")
        wrote = '"a.txt"' in str([message for message in request.messages if message["role"] == "assistant"])
        return say("done now") if wrote else call("Write", {"path": "a.txt", "content": "better\n"})

    lab.server.always(reply)
    once = (f"{lab.data}/sessions/*/{JOURNAL}", '"task":"a","to":"ready"')
    assert attempt(1, lab.server.url, lab.project, lab.data, once=once) == -signal.SIGKILL
    kept = newest_unfinished(lab.data, lab.project)
    # Nothing is written between that line and the next one: the journal of a kill there ends with it.
    lines = kept.path.read_text().splitlines(keepends=True)
    ready = next(number for number, line in enumerate(lines) if '"to":"ready"' in line)
    kept.path.write_text("".join(lines[: ready + 1]))
    assert kept.state().tasks["a"].state is TaskState.READY
    told.clear()
    assert await resume(lab, kept) == 0
    assert told == ["a", "a"]
    assert (lab.project / "first.txt").read_text() == "1\n"
    assert (lab.project / "a.txt").read_text() == "better\n"
    assert kept.state().tasks["a"].attempt == 2


async def test_what_was_brought_together_is_kept_with_the_merged_state_that_it_stands_on(
    lab: Lab, attempt: Attempt
) -> None:
    # Two are merged when b comes: no agent ever made the commit of that state.
    tasks = [{"id": id, "task": f"Write {id}"} for id in "acb"]
    asked = play(lab, {"goal": "g", "tasks": tasks, "max_parallel": 1})
    once = (f"{lab.data}/sessions/*/{JOURNAL}", '"removed":1')  # what the resolver made
    assert attempt(1, lab.server.url, lab.project, lab.data, once=once) == -signal.SIGKILL
    kept = newest_unfinished(lab.data, lab.project)
    asked.clear()
    assert await resume(lab, kept) == 0
    assert set(asked) == {""}
    assert (lab.project / "shared.txt").read_text() == BOTH
    assert (lab.project / "c.txt").read_text() == "c\n"


async def test_what_a_task_spent_in_an_earlier_process_counts_against_its_own_budget(
    lab: Lab, attempt: Attempt
) -> None:
    task = {"id": "a", "task": "Write A", "budget": {"tool_calls": 2}}
    play(lab, {})
    asked = 0

    def reply(request: Received) -> Reply:
        nonlocal asked
        if not who(request):
            begun = any(message["role"] == "assistant" for message in request.messages)
            return say("Over.") if begun else call("Swarm", {"goal": "g", "tasks": [task]})
        asked += 1
        return (
            call("Write", {"path": "new.txt", "content": "n"}) if asked == 2 else call("Glob", {"pattern": f"{asked}"})
        )

    lab.server.always(reply)
    # Killed as it writes, in its second step.
    once = (f"{lab.data}/sessions/*/agents/*/records.jsonl", "new.txt")
    assert attempt(1, lab.server.url, lab.project, lab.data, once=once) == -signal.SIGKILL
    kept = newest_unfinished(lab.data, lab.project)
    assert await resume(lab, kept) == 6
    assert (asked, kept.state().tasks["a"].reason) == (4, "The task a may use 2 tool calls, which are used up.")


async def test_agents_that_an_earlier_process_started_count(lab: Lab, attempt: Attempt) -> None:
    tasks = [{"id": id, "task": f"Write {id}", "mode": "read"} for id in "abc"]
    asked = play(lab, {"goal": "g", "tasks": tasks, "max_parallel": 1, "budget": {"agents": 2}})
    once = (f"{lab.data}/sessions/*/{JOURNAL}", '"task":"b","to":"running"')
    assert attempt(1, lab.server.url, lab.project, lab.data, once=once) == -signal.SIGKILL
    kept = newest_unfinished(lab.data, lab.project)
    asked.clear()
    assert await resume(lab, kept) == 6
    assert {task: progress.state.value for task, progress in kept.state().tasks.items()} == {
        "a": "done",
        "b": "done",
        "c": "stopped",
    }
    assert set(asked) == {"b", ""}

"""`kill -9` of a swarm of which an agent has split its task: the parts that were over are not done again either."""

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from kimi_code.events import TaskState
from kimi_code.swarm.journal import Kept, newest_unfinished
from kimi_code.swarm.states import GOOD
from kimi_code.wiring.opening import SwarmStart
from tests.harness import Lab
from tests.kill_points import Attempt, dying
from tests.server import Received, Reply, call, calls, say
from tests.swarm_world import WORK_OF_A_SWARM, make_project, state, who, words

if not hasattr(os, "fork"):
    pytest.skip("needs fork", allow_module_level=True)

INNER = "agents/a/swarms/1.jsonl"


@pytest.fixture(scope="module")
def attempt() -> Iterator[Attempt]:
    with dying(WORK_OF_A_SWARM) as made:
        yield made


class Play:
    """`z` and `u` are done, then `a` writes a note, splits its task into parts and reports.

    In mode "again" only after its first report did not do, as what is in its scope was not made yet.
    """

    def __init__(self, lab: Lab, mode: str) -> None:
        self.mode = mode
        self.how: dict[str, Any] = {"agent": "coder", "mode": "read" if mode == "read" else "write"}
        self.asked: list[str] = []
        lab.server.always(self.reply)
        make_project(lab.project, {"x.txt": "x\n", "y.txt": "y\n", "in/one.txt": "1\n"})
        lab.configure(permission_mode="yolo", retry_wait=0.001)

    def reply(self, request: Received) -> Reply:
        name = who(request)
        self.asked.append(name)
        said = sum(message["role"] == "assistant" for message in request.messages)
        if not name:
            how: dict[str, Any] = {**self.how, "needs": ["z", "u"]}
            if self.mode != "read":
                how["check"] = "grep -q better x.txt && grep -q better y.txt"
            if self.mode == "again":
                how["scope"] = ["?.txt"]
            tasks = [{"id": id, "task": f"Write {id}"} for id in "zu"]
            tasks.append({"id": "a", "task": "Better all", **how})
            return say("All is done.") if said else call("Swarm", {"goal": "g", "tasks": tasks})
        if name in ("z", "u"):
            return say("ok") if said else call("Write", {"path": f"in/{name}.txt", "content": f"{name}\n"})
        if name == "a":
            return self._split(request)
        if said:
            return say(f"{name} is better")
        path = f"{name[-1]}.txt"
        if self.mode == "read":
            return call("Read", {"path": path})
        return calls(("Read", {"path": path}), ("Write", {"path": path, "content": f"better {name}\n"}))

    def _split(self, request: Received) -> Reply:
        told = words(request)
        if "a/y is better" in told:
            return say("both are better")
        if self.mode != "read" and "note.txt" not in str(request.messages):
            return call("Write", {"path": "note.txt", "content": "a was here\n"})
        if self.mode == "again" and "That did not do" not in told:
            return say("There is a note.")
        tasks: list[dict[str, Any]] = [{"id": id, "task": f"Better {id}", **self.how} for id in "xy"]
        return call("Swarm", {"goal": "parts", "tasks": tasks, "max_parallel": 1})


@pytest.mark.parametrize(
    ("mode", "moments"),
    [
        # One process after the other is killed; the next one does as if there had been no other.
        ("write", ['"task":"x","to":"running"', '"task":"x","to":"merged"', '"kind":"ended"']),
        ("again", ['"task":"x","to":"merged"']),
        ("read", ['"task":"x","to":"done"', '"kind":"ended"']),
    ],
)
async def test_parts_that_were_over_are_not_done_again(
    lab: Lab, attempt: Attempt, mode: str, moments: list[str]
) -> None:
    play = Play(lab, mode)
    before, over, spent = state(lab.project), set[str](), 0
    for number, text in enumerate(moments):
        play.asked.clear()
        once, left = (f"{lab.data}/sessions/*/{INNER}", text), "left" if number else ""
        assert attempt(1, lab.server.url, lab.project, lab.data, "yolo", left, once=once) == -signal.SIGKILL, text
        assert state(lab.project) == before
        assert not over & set(play.asked)
        kept = newest_unfinished(lab.data, lab.project)
        inner = Kept(kept.session / "agents" / "a", 1)
        over = {"z", "u"} | {f"a/{task}" for task, at in inner.state().tasks.items() if at.state in GOOD}
        spent = kept.state().spent.steps + (0 if inner.state().ended else inner.state().spent.steps)
    kept = newest_unfinished(lab.data, lab.project)
    inner = Kept(kept.session / "agents" / "a", 1)
    play.asked.clear()
    ran = await lab.run(resume=kept.session.name, swarms=SwarmStart(left=kept))
    assert ran.exit_code == 0, kept.state().tasks["a"]
    assert not over & set(play.asked)
    assert {at.state for at in inner.state().tasks.values()} <= GOOD
    assert not Kept(inner.session, 2).path.exists()  # the task was not split anew
    if mode != "read":
        made = {path.name: path.read_text() for path in lab.project.rglob("*.txt")}
        note = {} if mode == "again" else {"note.txt": "a was here\n"}
        parts = {"x.txt": "better a/x\n", "y.txt": "better a/y\n", "one.txt": "1\n", "z.txt": "z\n", "u.txt": "u\n"}
        assert made == parts | note
        result = kept.state().tasks["a"].result
        assert result is not None
        assert [change.path for change in result.outside] == (["note.txt"] if mode == "again" else [])
    # What the killed process spent is counted once.
    asked = len([name for name in play.asked if name])
    assert kept.state().spent.steps == spent + asked
    assert kept.state().tasks["a"].state is (TaskState.DONE if mode == "read" else TaskState.MERGED)

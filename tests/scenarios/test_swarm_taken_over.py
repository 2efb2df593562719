"""What another process left in the middle of its check goes on with the same agent."""

import os
import signal
from collections.abc import Iterator

import pytest

from kimi_code.swarm.journal import newest_unfinished
from kimi_code.wiring.opening import SwarmStart
from tests.harness import Lab
from tests.kill_points import Attempt, dying
from tests.server import Received, Reply, call, say
from tests.swarm_world import WORK_OF_A_SWARM, make_project, who, words

if not hasattr(os, "fork"):
    pytest.skip("needs fork", allow_module_level=True)


@pytest.fixture(scope="module")
def attempt() -> Iterator[Attempt]:
    with dying(WORK_OF_A_SWARM) as made:
        yield made


@pytest.mark.parametrize("moment", ['"to":"checking"', '"to":"running","reason":"The check'])
async def test_a_check_that_fails_is_told_to_the_same_agent_with_its_files_whichever_of_both_was_killed(
    lab: Lab, attempt: Attempt, moment: str
) -> None:
    asked: list[str] = []

    def reply(request: Received) -> Reply:
        asked.append(who(request))
        said = sum(message["role"] == "assistant" for message in request.messages)
        if not asked[-1]:
            tasks = [{"id": "a", "task": "Write a", "check": "test -e one.txt && test -e two.txt"}]
            return say("All is done.") if said else call("Swarm", {"goal": "g", "tasks": tasks})
        if said == 0:
            return call("Write", {"path": "one.txt", "content": "1\n"})
        if said == 1:
            return say("I made the first one.")
        if said == 2:
            assert "The check `test -e one.txt && test -e two.txt` failed with exit code 1" in words(request)
            return call("Write", {"path": "two.txt", "content": "2\n"})
        return say("And the second one.")

    lab.server.always(reply)
    make_project(lab.project, {"a.txt": "a\n"})
    lab.configure(permission_mode="yolo", retry_wait=0.001)
    once = (f"{lab.data}/sessions/*/swarms/1.jsonl", f'"task":"a",{moment}')
    assert attempt(1, lab.server.url, lab.project, lab.data, once=once) == -signal.SIGKILL
    kept = newest_unfinished(lab.data, lab.project)
    asked.clear()
    ran = await lab.run(resume=kept.session.name, swarms=SwarmStart(left=kept))
    assert ran.exit_code == 0, ran.result
    assert asked[:2] == ["a", "a"]  # no step of the first attempt is paid for again
    assert {path.name: path.read_text() for path in lab.project.glob("*o*.txt")} == {"one.txt": "1\n", "two.txt": "2\n"}
    assert kept.state().tasks["a"].attempt == 2

"""A session that is closed while it works ends its turn first, on record."""

import asyncio
import os
import sys

import pytest

from kimi_code.events import Outcome, Record, ToolStarted, TurnEnded, TurnUndone
from kimi_code.session.journal import RECORDS, read
from kimi_code.session.rewind import Wish
from kimi_code.session.session import Session
from tests.harness import Lab
from tests.server import Reply, call, say
from tests.swarm_world import Cast, make_project, swarm, task


async def _closed_at(session: Session, agent: str) -> TurnEnded:
    """Close the session when the agent begins a call; how the turn that was under way ended."""
    begun = asyncio.Event()

    def listen(record: Record) -> None:
        if record.agent == agent and isinstance(record.event, ToolStarted):
            begun.set()

    session.subscribe(listen)
    turn = asyncio.create_task(session.prompt("Do it."))
    await begun.wait()
    await session.close()
    return await turn


def _last(session: Session) -> Record:
    return read(session.meta.path / RECORDS).records[-1]


async def test_a_session_closed_while_a_swarm_runs_keeps_how_the_turn_ended(lab: Lab) -> None:
    make_project(lab.project, {"a.txt": "a\n"})
    lab.configure(permission_mode="yolo", retry_wait=0.001)
    patterns = iter(range(1000))

    def for_ever(_: object) -> Reply:
        return call("Glob", {"pattern": f"*{next(patterns)}"})

    Cast(lab, {"": [swarm(task("a"))], "a": [for_ever] * 500})
    session = (await lab.open()).session
    ended = await _closed_at(session, "main/a")
    assert ended.outcome is Outcome.INTERRUPTED
    assert isinstance(_last(session).event, TurnEnded)


@pytest.mark.skipif(sys.platform == "win32", reason="pipes with names")
async def test_a_session_closed_while_a_command_runs_keeps_how_the_turn_ended(lab: Lab) -> None:
    lab.configure(permission_mode="yolo")
    os.mkfifo(lab.project / "fifo")
    lab.server.script(call("Bash", {"command": "cat fifo"}))
    session = (await lab.open()).session
    ended = await _closed_at(session, "main")
    assert ended.outcome is Outcome.INTERRUPTED
    assert isinstance(_last(session).event, TurnEnded)


async def test_a_session_may_be_closed_twice_and_when_nothing_runs(lab: Lab) -> None:
    lab.server.script(say("hi"))
    session = (await lab.open()).session
    await session.prompt("Hi.")
    await session.close()
    await session.close()
    assert isinstance(_last(session).event, TurnEnded)


async def test_a_session_closed_while_it_undoes_has_undone_files_and_conversation(lab: Lab) -> None:
    lab.configure(permission_mode="auto")
    lab.server.script(call("Write", {"path": "a.txt", "content": "a\n"}), say("done"))
    session = (await lab.open()).session
    await session.prompt("Do it.")
    undoing = asyncio.create_task(session.undo(Wish(1)))
    await asyncio.sleep(0)  # it has begun
    await session.close()
    await undoing
    assert not (lab.project / "a.txt").exists()
    assert isinstance(_last(session).event, TurnUndone)

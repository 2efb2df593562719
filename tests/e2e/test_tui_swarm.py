"""A swarm on a real terminal: its plan edited, its panel, an agent opened and steered, the result approved."""

import asyncio
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.program import PATIENCE, make_program, take_interrupts
from tests.server import FakeServer, Received, Reply, call, calls, say
from tests.swarm_world import make_project, who, words

if sys.platform == "win32":
    pytest.skip("needs a pty", allow_module_level=True)

from tests.terminal import Terminal

TASKS = [{"id": name, "task": f"Better {name}", "scope": [f"{name}.txt"]} for name in ("one", "two", "three")]


class Agents(FakeServer):
    """Everybody writes their file; the second one then waits to be let go."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.said: dict[str, str] = {}
        self.always(self.play)

    async def prepare(self, request: Received) -> None:
        if who(request) == "two" and request.last["role"] == "tool":
            await asyncio.to_thread(self.gate.wait, PATIENCE)

    def play(self, request: Received) -> Reply:
        name = who(request)
        self.said[name] = words(request)
        answers = sum(message["role"] == "assistant" for message in request.messages)
        if not name:
            return call("Swarm", {"goal": "All better", "tasks": TASKS}) if answers == 0 else say("All is done.")
        if answers == 0:
            path = f"{name}.txt"
            return calls(("Read", {"path": path}), ("Write", {"path": path, "content": "better\n"}))
        return say(f"{name} is finished")


@pytest.fixture
def agents() -> Iterator[Agents]:
    take_interrupts()
    with Agents() as server:
        yield server
        server.gate.set()


def test_a_swarm_is_planned_watched_steered_and_its_result_approved(agents: Agents, tmp_path: Path) -> None:
    program = make_program(agents, tmp_path)
    make_project(program.project, {f"{task['id']}.txt": "old\n" for task in TASKS})
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nsed "s/Better three/Splendid three/" "$1" > "$1.new" && mv "$1.new" "$1"\n')
    editor.chmod(0o755)
    flags = ("--plan-first", "--permission-mode", "auto", "better")
    with Terminal(program, *flags, size=(100, 34), env={"VISUAL": str(editor)}) as terminal:
        terminal.wait_for("edit the plan")
        terminal.wait_for("three  write")
        terminal.type_slowly("e")
        terminal.wait_for("2/3 done")
        assert "Splendid three" in agents.said["three"]
        terminal.type("\x1bOQ")  # F2
        terminal.wait_for("o open")
        terminal.type("o")
        terminal.wait_for("coder · write · two.txt")
        terminal.wait_for("Write")
        terminal.type("s")
        terminal.wait_for("Say to two")
        terminal.type("mind the gap\r")
        terminal.wait_for("Said to two")
        agents.gate.set()
        terminal.wait_for("two is finished")
        terminal.type("\x1b")
        terminal.wait_for("F2 to look")
        terminal.wait_for("allow once")
        terminal.type("\x1bOQ")
        terminal.wait_for("o open   g graph   t timeline   Esc close")
        terminal.type("\x1b")
        terminal.wait_for("allow once")
        terminal.type_slowly("y")
        terminal.wait_for("All is done.")
        terminal.type("/swarm\r")
        terminal.wait_for("critical path")
        terminal.type("\x1b")
        terminal.wait_for("Ask for something")
    assert "mind the gap" in agents.said["two"]
    assert [(program.project / f"{task['id']}.txt").read_text() for task in TASKS] == ["better\n"] * 3

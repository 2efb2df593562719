"""A swarm on the screen: the panel, one agent's transcript, steering, killing, plans to approve, the timeline."""

import asyncio
from collections.abc import Callable
from threading import Event
from typing import Any

from textual.widgets import Static

from kimi_code.events import TaskState
from kimi_code.tui.screens.agent import AgentScreen
from kimi_code.tui.screens.swarm import SwarmScreen
from kimi_code.tui.widgets.lines import LinesView
from kimi_code.tui.widgets.swarm import SwarmPanel
from kimi_code.tui.widgets.transcript import TranscriptView
from tests.server import Received, Reply, call, calls, say
from tests.swarm_world import make_project, who, words
from tests.tui.conftest import PATIENCE, Lookout, Stage


def task(id: str, **more: Any) -> dict[str, Any]:
    return {"id": id, "task": f"Better {id}", "scope": [f"{id}.txt"], **more}


class Agents:
    """Everybody writes their file; who is in `held` waits in the first answer until it is let go."""

    def __init__(self, stage: Stage, *tasks: dict[str, Any], held: tuple[str, ...] = ()) -> None:
        self.tasks = tasks
        self.gates = {name: Event() for name in held}
        self.said: dict[str, str] = {}
        make_project(stage.project, {f"{one['id']}.txt": "old\n" for one in tasks})
        stage.server.always(self.reply)
        stage.server.prepare = self.hold

    async def hold(self, request: Received) -> None:
        """Who is held gets the answer to what its first tool calls gave later."""
        gate = self.gates.get(who(request))
        if gate is not None and request.last["role"] == "tool":
            await asyncio.to_thread(gate.wait, PATIENCE)

    def reply(self, request: Received) -> Reply:
        name = who(request)
        self.said[name] = words(request)
        answers = sum(message["role"] == "assistant" for message in request.messages)
        if not name:
            goal = {"goal": "Make all files better", "tasks": list(self.tasks)}
            return call("Swarm", goal) if answers == 0 else say("All is done.")
        if answers == 0:
            return calls(("Read", {"path": f"{name}.txt"}), ("Write", {"path": f"{name}.txt", "content": "better\n"}))
        return say(f"{name} is better now")

    def let_go(self) -> None:
        for gate in self.gates.values():
            gate.set()


def text_of(view: LinesView) -> str:
    return "\n".join(line.text for line in view.lines)


def panel(screen: Lookout) -> SwarmPanel:
    return screen.main.query_one(SwarmPanel)


def seen(view: TranscriptView) -> str:
    return "\n".join(view.render_line(y).text for y in range(view.size.height))


def chosen(screen: Lookout) -> str:
    place = panel(screen).chosen
    return place.task if place else ""


def settings(stage: Stage, mode: str = "yolo") -> None:
    stage.configure(f'sandbox = "off"\npermission_mode = "{mode}"\n')


async def started(screen: Lookout, shows: Callable[[str], bool]) -> None:
    await screen.ready()
    await screen.say("make them better")
    await screen.until(lambda: screen.main.query(SwarmPanel) and shows(text_of(panel(screen))))


async def test_the_panel_goes_with_its_swarm_and_by_the_keyboard_agents_are_steered_and_graph_and_timeline_are_shown(
    stage: Stage,
) -> None:
    settings(stage)
    agents = Agents(stage, task("a"), task("b", needs=["a"]), task("c", needs=["b"]), held=("b",))
    async with stage.open(size=(80, 24)) as screen:
        await started(screen, lambda text: "1/3 done" in text and "1 running · 1 queued" in text)
        text = text_of(panel(screen))
        assert "Swarm · Make all files better" in text
        assert "of 1,500 calls" in text
        assert len(panel(screen).lines) <= 4
        await screen.until(lambda: "b" in agents.said)
        await screen.pilot.press("f2")
        await screen.until(lambda: panel(screen).has_focus)
        await screen.until(lambda: "o open" in text_of(panel(screen)))
        await screen.pilot.press("left")
        await screen.until(lambda: chosen(screen) == "a")
        await screen.pilot.press("right")
        await screen.until(lambda: chosen(screen) == "b")
        await screen.pilot.press("g")
        await screen.until(lambda: isinstance(screen.app.screen, SwarmScreen))
        body = screen.app.screen.query_one("#swarm-body", LinesView)
        await screen.until(lambda: "← a" in text_of(body))
        assert [line.text.index(name) for line, name in zip(body.lines, "abc", strict=True)] == [5, 7, 9]
        await screen.pilot.press("t")
        await screen.until(lambda: "critical path" in text_of(body))
        await screen.pilot.press("escape")
        await screen.until(lambda: screen.app.screen is screen.main)
        await screen.pilot.press("o")
        await screen.until(lambda: isinstance(screen.app.screen, AgentScreen))
        view = screen.app.screen.query_one(TranscriptView)
        await screen.until(lambda: view.find("b.txt"))
        await screen.pilot.press("s")
        await screen.until(lambda: screen.app.screen.query("#line-text"))
        await screen.pilot.press(*"mind it", "enter")
        await screen.until(lambda: isinstance(screen.app.screen, AgentScreen))
        agents.let_go()
        await screen.until(lambda: "mind it" in agents.said["b"])
        await screen.until(lambda: view.find("b is better now"))
        await screen.pilot.press("escape")
        await screen.until(lambda: screen.state == "idle")
        await screen.until(lambda: not panel(screen).display)
        assert screen.main.prompt.has_focus
        assert (stage.project / "c.txt").read_text() == "better\n"
        # After its end, too.
        await screen.say("/swarm")
        await screen.until(lambda: isinstance(screen.app.screen, SwarmScreen))
        body = screen.app.screen.query_one("#swarm-body", LinesView)
        await screen.until(lambda: "speed-up" in text_of(body))
        assert any("█" in line.text for line in body.lines)


async def test_a_kill_takes_two_presses_and_the_others_go_on(stage: Stage) -> None:
    settings(stage)
    agents = Agents(stage, task("a"), task("b"), held=("b",))
    async with stage.open() as screen:
        await started(screen, lambda text: "1/2 done" in text)
        await screen.pilot.press("f2")
        await screen.until(lambda: chosen(screen) == "b")
        await screen.pilot.press("x")
        row = screen.main.swarming.row(next(p for p in panel(screen).shown if p.task == "b"))
        assert row is not None and row.state is TaskState.RUNNING
        await screen.pilot.press("x")
        await screen.until(lambda: row.state is TaskState.CANCELLED)
        agents.let_go()
        await screen.until(lambda: screen.state == "idle")
    assert (stage.project / "a.txt").read_text() == "better\n"
    assert (stage.project / "b.txt").read_text() == "old\n"


async def test_a_plan_to_approve_is_a_list_to_read_and_denied_with_words_starts_nobody(stage: Stage) -> None:
    settings(stage, "ask")
    agents = Agents(stage, task("a"), task("b", needs=["a"], check="true"))
    async with stage.open() as screen:
        await screen.ready()
        await screen.say("make them better")
        await screen.asked()
        view = screen.main.transcript
        await screen.until(lambda: "tool calls 1500" in seen(view))
        for shown in ("b  write  ← a", "check: true", "scope: b.txt", "Better a"):
            assert shown in seen(view)
        assert "needs:" not in seen(view)
        assert "edit the plan" in str(screen.approval.query_one("#approval-keys", Static).render())
        await screen.pilot.press("n", *"too many", "enter")
        await screen.until(lambda: screen.state == "idle")
    assert "too many" in agents.said[""]
    assert agents.said.keys() == {""}

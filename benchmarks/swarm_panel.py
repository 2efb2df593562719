"""The panel of a swarm of 100 agents under a made-up stream of their records: repaints and CPU a second.

python -m benchmarks.swarm_panel [SECONDS] [RECORDS A SECOND]
"""

import asyncio
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from textual.app import App, ComposeResult
from textual.containers import Vertical

import kimi_code.tui
from kimi_code.events import (
    AgentSpawned,
    Effect,
    Event,
    PlannedTask,
    Record,
    StepEnded,
    StepStarted,
    SwarmPlanned,
    TaskState,
    TaskStateChanged,
    TextDelta,
    ToolEnded,
    ToolStarted,
)
from kimi_code.messages import Usage
from kimi_code.session.swarm_board import SwarmBoards
from kimi_code.tui.theme import THEMES
from kimi_code.tui.widgets.swarm import SwarmPanel

AGENTS = 100
NAMES = [f"agent-{number}" for number in range(AGENTS)]


def plan() -> Iterator[tuple[str, Event]]:
    """All agents begin."""
    tasks = tuple(PlannedTask(name, f"Better {name}", "coder", "write") for name in NAMES)
    yield "main", SwarmPlanned("s-1", "Make everything better", tasks, AGENTS)
    for name in NAMES:
        yield "main", TaskStateChanged("s-1", name, TaskState.RUNNING, 1, f"main/{name}")
        yield f"main/{name}", AgentSpawned(f"Better {name}", "coder", "write", "kimi", name)


def work() -> Iterator[tuple[str, Event]]:
    """What agents do for ever: mostly words, now and then a tool."""
    step = 0
    while True:
        step += 1
        for name in NAMES:
            path = f"main/{name}"
            yield path, StepStarted(step)
            for _ in range(20):
                yield path, TextDelta("word ")
            yield path, ToolStarted(f"c{step}", "Bash", f"pytest -q tests/{name}.py", Effect.EXECUTE, {})
            yield path, ToolEnded(f"c{step}", "Bash", "pytest", "done", "exit 0")
            yield path, StepEnded(step, Usage(1_000, 0, 50), 1_000)


class Stage(App[None]):
    """Nothing but the panel."""

    CSS_PATH = Path(kimi_code.tui.__file__).parent / "app.tcss"

    def __init__(self) -> None:
        super().__init__()
        self.boards = SwarmBoards()
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = THEMES[0].name

    def compose(self) -> ComposeResult:
        with Vertical():
            yield SwarmPanel(lambda: list(self.boards.boards.values()), lambda swarm: None, {}, id="swarm")


async def measure(size: tuple[int, int], focused: bool, seconds: float, rate: float) -> str:
    """One line of the result."""
    app = Stage()
    async with app.run_test(size=size) as pilot:
        panel = app.query_one(SwarmPanel)
        seq = 0

        def feed(items: Iterator[tuple[str, Event]], most: int) -> None:
            nonlocal seq
            for _, (agent, event) in zip(range(most), items, strict=False):
                seq += 1
                if app.boards.apply(Record(seq, agent, time.time(), event)):
                    panel.touch()

        feed(plan(), 1_000)
        await pilot.pause(0.3)
        if focused:
            panel.focus()
            await pilot.pause(0.3)
        items, fed, repaints, cpu, began = work(), 0, panel.repaints, time.process_time(), time.monotonic()
        while (passed := time.monotonic() - began) < seconds:
            due = int(rate * passed) - fed
            feed(items, due)
            fed += due
            await asyncio.sleep(0.02)
        cpu, repaints = time.process_time() - cpu, panel.repaints - repaints
    where = "all agents" if focused else "folded"
    return (
        f"{size[0]}x{size[1]:<3} {where:<10} {fed / passed:7,.0f} records/s  {repaints / passed:4.1f} repaints/s  "
        f"{100 * cpu / passed:5.1f} % of a core"
    )


async def main(seconds: float, rate: float) -> None:
    """Print a line for each size."""
    for size in ((80, 24), (100, 34), (200, 50)):
        for focused in (False, True):
            print(await measure(size, focused, seconds, rate))


if __name__ == "__main__":
    asyncio.run(main(*(float(word) for word in [*sys.argv[1:], *("4", "3000")[len(sys.argv) - 1 :]])))

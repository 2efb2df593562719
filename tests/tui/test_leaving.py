"""The screen goes while something runs or waits: nobody is there to be told, and nothing that was typed is lost."""

import asyncio
import os
import sys

import pytest

from kimi_code.events import Outcome, Record, TurnEnded
from tests.server import call, hang, say
from tests.tui.conftest import PATIENCE, Stage

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="named pipes and signals of POSIX")


async def test_a_turn_that_ends_after_the_screen_has_closed_reports_no_bug(stage: Stage) -> None:
    begun = stage.project.parent / "begun"
    os.mkfifo(begun)
    stage.server.script(call("Bash", {"command": f"trap '' TERM; echo > {begun}; while :; do sleep 0.1; done"}))
    async with stage.open(yolo=True) as screen:
        await screen.ready()
        await screen.say("run it")
        async with asyncio.timeout(PATIENCE):
            await asyncio.to_thread(begun.read_text)
        screen.app.exit(7)
        await screen.until(lambda: not screen.app.is_running)
    main = screen.main
    main.hearing.hear(Record(99, "main", 0.0, TurnEnded(1, Outcome.INTERRUPTED)))
    main.hearing.refresh()
    assert screen.app.crash is None
    assert screen.app.return_value == 7


async def test_what_was_queued_when_one_leaves_is_in_the_prompt_at_the_next_start(stage: Stage) -> None:
    stage.server.script(hang(40, say("A long answer.")))
    async with stage.open() as screen:
        await screen.ready()
        await screen.until(lambda: screen.main.prompt.remembers)
        await screen.say("first")
        await screen.until(lambda: screen.state == "working")
        await screen.say("second")
        await screen.say("!ls")
        screen.main.prompt.replace_text("half a thought")
        screen.app.leave()
        await screen.until(lambda: not screen.app.is_running)
    async with stage.open() as screen:
        await screen.until(lambda: screen.main.prompt.text == "second\n!ls\nhalf a thought")

"""The screen has gone and something still runs: nobody is there to be told, and that is no bug."""

import asyncio
import os
import sys

import pytest

from kimi_code.events import Outcome, Record, TurnEnded
from tests.server import call
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

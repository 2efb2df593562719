"""The screen goes while something runs or waits: nobody is there to be told, and nothing that was typed is lost."""

import asyncio
import contextlib
import os
import sys

import pytest

from kimi_code.cli.run import RunFlags
from kimi_code.cli.tui import LocalHost
from kimi_code.events import Outcome, Record, TurnEnded
from kimi_code.session.journal import open_locked
from kimi_code.session.session import Session
from kimi_code.tui.app import KimiApp
from kimi_code.tui.host import Opened, Which
from tests.server import call, hang, say
from tests.tui.conftest import PATIENCE, Hands, Lookout, Stage

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


class Doorman(LocalHost):
    """Lets a session be opened when it is told to; tells when somebody wants one, and when it is made."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(RunFlags(yolo=True), stage.project, stage.env)
        self.wanted, self.may, self.came = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.made: list[Session] = []

    async def open(self, which: Which) -> Opened:
        self.wanted.set()
        await self.may.wait()
        opened = await super().open(which)
        self.made.append(opened.session)
        self.came.set()
        return opened

    def assert_all_closed(self) -> None:
        for session in self.made:
            open_locked(session.meta.journal).close()  # raises while somebody holds it


@pytest.mark.parametrize("moment", ["before", "while", "after"])
async def test_a_screen_that_goes_around_the_opening_of_its_session_leaves_nothing_open(
    stage: Stage, moment: str
) -> None:
    host = Doorman(stage)
    app = KimiApp(host, Which(), dark=True)
    async with app.run_test(), asyncio.timeout(PATIENCE):
        if moment != "before":
            await host.wanted.wait()
        if moment == "after":
            host.may.set()
            await host.came.wait()
        app.leave(7)
        host.may.set()
        await Lookout(app, Hands(app)).until(lambda: not app.is_running)
    assert (app.crash, app.return_value) == (None, 7)
    host.assert_all_closed()


async def test_a_screen_that_goes_while_another_session_takes_the_place_of_one_leaves_neither_open(
    stage: Stage,
) -> None:
    begun = stage.project.parent / "begun"
    os.mkfifo(begun)
    host = Doorman(stage)
    host.may.set()
    app = KimiApp(host, Which(), dark=True)
    async with app.run_test(), asyncio.timeout(PATIENCE):
        screen = Lookout(app, Hands(app))
        await screen.ready()
        await screen.say(f"!trap '' TERM; echo > {begun}; while :; do sleep 0.1; done")
        await asyncio.to_thread(begun.read_text)
        host.came.clear()
        taking = asyncio.create_task(app.main.conversation.open(Which()))
        await host.came.wait()
        await asyncio.sleep(0)  # it waits for the command of the one before now
        taking.cancel()
        app.exit(7)
        await screen.until(lambda: not app.is_running)
        with contextlib.suppress(asyncio.CancelledError):
            await taking
    assert (app.crash, len(host.made)) == (None, 2)
    host.assert_all_closed()

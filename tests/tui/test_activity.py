"""What the line above the prompt says is going on."""

from tests.server import hang, say
from tests.tui.conftest import Stage
from tests.tui.test_swarm import Agents, task


async def test_it_waits_for_the_person_only_until_they_have_answered(stage: Stage) -> None:
    agents = Agents(stage, task("a"), held=("a",))
    stage.configure("permission_mode = 'ask'\n")
    async with stage.open() as screen:
        activity = screen.main.activity
        await screen.say("make it better")
        await screen.asked()
        await screen.until(lambda: activity.words == "Waiting for you")
        before = screen.main.session.standing.tokens
        await screen.pilot.press("y")
        await screen.until(lambda: activity.words.startswith("Swarm"))
        # What sub-agents take counts while they take it.
        await screen.until(lambda: screen.main.session.standing.tokens > before)
        agents.let_go()
        await screen.asked()
        await screen.until(lambda: activity.words == "Waiting for you")
        await screen.pilot.press("y")
        await screen.until(lambda: screen.shows("All is done."))


async def test_with_reduced_motion_nothing_turns_while_it_works(stage: Stage) -> None:
    stage.configure("[screen]\nreduced_motion = true\n")
    stage.server.script(hang(900, say("A long answer. " * 30)))
    async with stage.open() as screen:
        await screen.say("hello")
        await screen.until(lambda: screen.shows("A long answer."))
        assert str(screen.main.activity.render()).startswith("● ")
        assert screen.app.animation_level == "none"
        await screen.pilot.press("escape")
        await screen.until(lambda: screen.state == "idle")

"""Forty columns: what has to be seen is."""

from tests.server import call, say
from tests.tui.conftest import Stage


async def test_what_may_run_unasked_is_seen_before_the_folder(stage: Stage) -> None:
    async with stage.open(size=(40, 20), permission_mode="auto") as screen:
        await screen.ready()
        await screen.until(lambda: "auto" in str(screen.main.status.render()))


async def test_a_question_names_its_keys_and_hangs_its_descriptions(stage: Stage) -> None:
    options = [{"label": "SQLite", "description": "A file beside the project; one writer at a time"}]
    stage.server.script(call("Ask", {"question": "Which?", "options": options}), say("Good."))
    async with stage.open(size=(40, 20)) as screen:
        await screen.say("ask me")
        await screen.questioned()
        hint = screen.main.query_one("#question-hint")
        await screen.until(lambda: "let the model decide" in str(hint.render()))
        view = screen.main.transcript
        await screen.until(lambda: any("waits for" in view.render_line(y).text for y in range(view.size.height)))
        await screen.pilot.press("enter")
        await screen.until(lambda: screen.shows("Good.") and screen.state == "idle")
        await screen.until(lambda: any("Which? · SQLite" in view.render_line(y).text for y in range(view.size.height)))


async def test_the_side_bar_leaves_room_at_forty_columns_and_no_width_is_too_small(stage: Stage) -> None:
    async with stage.open(size=(40, 20)) as screen:
        await screen.ready()
        await screen.pilot.press("ctrl+b")
        await screen.until(lambda: screen.main.sidebar.region.height == 8)
        await screen.until(lambda: screen.main.prompt.region.width > 30)
        for columns in (8, 3, 1, 40):
            await screen.pilot.resize_terminal(columns, 6)
        await screen.until(lambda: screen.main.prompt.region.width > 30)

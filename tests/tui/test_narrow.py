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


async def test_the_timeline_names_all_its_keys(stage: Stage) -> None:
    stage.server.script(call("Write", {"path": "a.txt", "content": "a\n"}), say("Written."))
    async with stage.open(size=(40, 24), permission_mode="yolo") as screen:
        await screen.ask("write it")
        await screen.say("/checkpoints")
        await screen.until(lambda: screen.app.screen.query("#timeline-hint"))
        hint = screen.app.screen.query_one("#timeline-hint")
        await screen.until(lambda: hint.size.height == 3 and "Esc close" in hint.render_line(2).text)


async def test_the_keys_of_an_approval_are_seen_below_a_command_of_any_length(stage: Stage) -> None:
    command = " && ".join(f"make thing-{number} --with=everything-there-is" for number in range(9))
    stage.server.script(call("Bash", {"command": command}), say("No then."))
    async with stage.open(size=(40, 24), permission_mode="ask") as screen:
        await screen.say("run it")
        await screen.asked()
        keys, body = screen.approval.query_one("#approval-keys"), screen.approval.query_one("#approval-body")
        await screen.until(lambda: "scroll" in str(keys.render()) and body.max_scroll_y > 0)
        assert keys.region.bottom <= screen.approval.region.bottom <= screen.main.prompt.region.y
        assert keys.region.y == body.region.bottom
        await screen.pilot.press("down")
        await screen.until(lambda: body.scroll_y == 1)
        await screen.pilot.press("n", "enter")
        await screen.until(lambda: screen.shows("No then."))


async def test_the_keys_of_an_approval_stand_right_below_it(stage: Stage) -> None:
    stage.server.script(call("Write", {"path": "a.txt", "content": "a\n"}), say("Good."))
    async with stage.open(size=(100, 30), permission_mode="ask") as screen:
        await screen.say("write it")
        await screen.asked()
        keys, text = screen.approval.query_one("#approval-keys"), screen.approval.query_one("#approval-text")
        await screen.until(lambda: text.region.height == 3)
        assert keys.region.y == text.region.bottom
        await screen.pilot.press("y")
        await screen.until(lambda: screen.shows("Good."))

"""Forty columns: what has to be seen is."""

from tests.server import call, say
from tests.tui.conftest import Stage


async def test_what_may_run_unasked_is_seen_before_the_folder_the_side_bar_leaves_room_and_no_width_is_too_small(
    stage: Stage,
) -> None:
    async with stage.open(size=(40, 20), permission_mode="auto") as screen:
        await screen.ready()
        await screen.until(lambda: "auto" in str(screen.main.status.render()))
        await screen.pilot.press("ctrl+b")
        await screen.until(lambda: screen.main.sidebar.region.height == 8)
        await screen.until(lambda: screen.main.prompt.region.width > 30)
        for columns in (8, 3, 1, 40):
            await screen.pilot.resize_terminal(columns, 6)
        await screen.until(lambda: screen.main.prompt.region.width > 30)


async def test_a_question_an_approval_and_the_timeline_name_all_their_keys(stage: Stage) -> None:
    options = [{"label": "SQLite", "description": "A file beside the project; one writer at a time"}]
    command = " && ".join(f"make thing-{number} --with=everything-there-is" for number in range(9))
    stage.server.script(
        call("Ask", {"question": "Which?", "options": options}),
        say("Good."),
        call("Bash", {"command": command}, id="c2"),
        say("No then."),
        call("Write", {"path": "a.txt", "content": "a\n"}, id="c3"),
        say("Written."),
    )
    async with stage.open(size=(40, 20), permission_mode="ask") as screen:
        await screen.say("ask me")
        await screen.questioned()
        hint = screen.main.query_one("#question-hint")
        await screen.until(lambda: "let the model decide" in str(hint.render()))
        view = screen.main.transcript
        await screen.until(lambda: any("waits for" in view.render_line(y).text for y in range(view.size.height)))
        await screen.pilot.press("enter")
        await screen.until(lambda: screen.shows("Good.") and screen.state == "idle")
        await screen.until(lambda: any("Which? · SQLite" in view.render_line(y).text for y in range(view.size.height)))

        # Below a command of any length.
        await screen.say("run it")
        await screen.asked()
        keys, body = screen.approval.query_one("#approval-keys"), screen.approval.query_one("#approval-body")
        await screen.until(lambda: "scroll" in str(keys.render()) and body.max_scroll_y > 0)
        assert keys.region.bottom <= screen.approval.region.bottom <= screen.main.prompt.region.y
        assert keys.region.y == body.region.bottom
        await screen.pilot.press("down")
        await screen.until(lambda: body.scroll_y == 1)
        await screen.pilot.press("n", "enter")
        await screen.until(lambda: screen.shows("No then.") and screen.state == "idle")

        # Right below what is asked, where there is room.
        await screen.pilot.resize_terminal(100, 30)
        await screen.say("write it")
        await screen.asked()
        text = screen.approval.query_one("#approval-text")
        await screen.until(lambda: text.region.height == 3)
        assert keys.region.y == text.region.bottom
        await screen.pilot.press("y")
        await screen.until(lambda: screen.shows("Written.") and screen.state == "idle")

        await screen.pilot.resize_terminal(40, 24)
        await screen.say("/checkpoints")
        await screen.until(lambda: screen.app.screen.query("#timeline-hint"))
        hint = screen.app.screen.query_one("#timeline-hint")
        await screen.until(lambda: hint.size.height == 3 and "Esc close" in hint.render_line(2).text)

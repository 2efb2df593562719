"""What changed, and the ways back, on the screen: undo, redo, the timeline, reviews, forks."""

import os
from pathlib import Path

import pytest
from textual.pilot import Pilot

from kimi_code.tui.screens.lines import LinesScreen
from kimi_code.tui.screens.review import ReviewScreen
from kimi_code.tui.screens.rewind import RewindScreen
from kimi_code.tui.screens.sessions import Sessions
from kimi_code.tui.screens.timeline import TimelineScreen
from kimi_code.tui.widgets.lines import LinesView
from tests.server import Reply, call, say
from tests.tui.conftest import Lookout, Stage

LINES = "".join(f"line {number}\n" for number in range(1, 41))

PLAN = {
    "items": [
        {"text": "make a", "status": "done"},
        {"text": "make b", "status": "in_progress"},
        {"text": "look", "status": "pending"},
    ]
}


def write(path: str, content: str, id: str = "c1") -> Reply:
    return call("Write", {"path": path, "content": content}, id=id)


async def turn(stage: Stage, screen: Lookout, prompt: str, *replies: Reply) -> None:
    """A turn that ends with "Done."."""
    stage.server.script(*replies, say("Done."))
    await screen.ready()
    await screen.ask(prompt)


def text_of(screen: Lookout, id: str) -> str:
    """What a widget of the uppermost screen shows."""
    widget = screen.app.screen.query_one(f"#{id}")
    if isinstance(widget, LinesView):
        return "\n".join(line.text for line in widget.lines)
    return str(widget.render())


async def over(screen: Lookout, kind: type) -> None:
    """Until such a screen is above."""
    await screen.until(lambda: isinstance(screen.app.screen, kind))


async def shown(screen: Lookout, id: str, words: str) -> None:
    await screen.until(lambda: words in text_of(screen, id))


async def begin(screen: Lookout, line: str, kind: type) -> Pilot[int]:
    """Give a command that opens a screen."""
    await screen.say(line)
    await over(screen, kind)
    return screen.pilot


async def test_undo_shows_what_it_would_do_then_does_it_and_redo_brings_it_back_as_the_side_bar_knows(
    stage: Stage,
) -> None:
    async with stage.open(yolo=True, size=(120, 40)) as screen:
        await screen.ready()
        # There is nothing yet.
        pilot = await begin(screen, "/undo", RewindScreen)
        await shown(screen, "rewind-preview", "nothing to undo")
        await pilot.press("enter", "escape")
        await screen.say("/undo everything")
        await screen.until(lambda: screen.shows("'everything' is no number"))
        await screen.say("/review")
        await screen.until(lambda: screen.shows("Nothing has changed since this session began"))
        await turn(stage, screen, "make it", write("a", "one\n"), write("b", "two\n", id="c2"), call("Todo", PLAN))
        await screen.pilot.press("ctrl+b")
        await shown(screen, "sidebar", "☑ make a\n● make b\n☐ look")
        await shown(screen, "sidebar", "before Write b")
        await shown(screen, "sidebar", "a  +1 −0")
        pilot = await begin(screen, "/undo", RewindScreen)
        await shown(screen, "rewind-preview", "− a")
        await shown(screen, "rewind-preview", "make it")
        assert (stage.project / "a").exists()
        await pilot.press("enter")
        await screen.until(lambda: screen.shows("Turn 1 was taken back, with 2 files."))
        assert not (stage.project / "a").exists()
        assert not screen.shows("Done.")
        await screen.until(lambda: screen.shows("make it"))
        await shown(screen, "sidebar", "Changed\nnothing")
        pilot = await begin(screen, "/redo", RewindScreen)
        await shown(screen, "rewind-preview", "+ a")
        await pilot.press("enter")
        await screen.until(lambda: screen.shows("Turn 1 was brought back"))
        assert (stage.project / "a").read_text() == "one\n"
        await screen.until(lambda: screen.shows("Done."))
        # The files alone: what was said stays.
        pilot = await begin(screen, "/undo files", RewindScreen)
        await shown(screen, "rewind-preview", "files only")
        await pilot.press("enter")
        await screen.until(lambda: screen.shows("the conversation stays"))
        assert not (stage.project / "a").exists()
        assert screen.shows("Done.")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
async def test_undo_waits_for_the_turn_and_leaves_what_the_user_changed_until_another_way_is_chosen(
    stage: Stage, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    stage.server.script(call("Bash", {"command": f"cat {gate} && echo one > a"}), say("Done."))
    (stage.project / "a").write_text("zero\n")
    async with stage.open(yolo=True) as screen:
        await screen.ready()
        await screen.say("make it")
        await screen.until(lambda: screen.main.activity.words.startswith("Bash"))
        pilot = await begin(screen, "/undo", RewindScreen)
        await shown(screen, "rewind-preview", "A turn is running.")
        await pilot.press("enter", "escape")
        gate.write_text("go\n")
        await screen.until(lambda: screen.shows("Done.") and screen.state == "idle")
        (stage.project / "a").write_text("mine\n")
        pilot = await begin(screen, "/undo", RewindScreen)
        await shown(screen, "rewind-preview", "was changed since")
        await pilot.press("enter")
        assert isinstance(screen.app.screen, RewindScreen)
        await pilot.press("down", "down")
        await shown(screen, "rewind-preview", "conversation only")
        await pilot.press("up", "up", "m", "m")
        await shown(screen, "rewind-preview", "~ a")
        await pilot.press("enter")
        await screen.until(lambda: (stage.project / "a").read_text() == "zero\n")


async def test_the_timeline_shows_each_checkpoint_and_restores_files_or_conversation(stage: Stage) -> None:
    async with stage.open(yolo=True) as screen:
        await turn(stage, screen, "first", write("a", "one\n"))
        await turn(stage, screen, "second", write("b", "two\n", id="c2"))
        pilot = await begin(screen, "/checkpoints", TimelineScreen)
        await shown(screen, "timeline-list", "end of turn 2")
        await shown(screen, "timeline-diff", "The files are as they were then.")
        await pilot.press("down")
        await shown(screen, "timeline-diff", "+ two")
        await pilot.press("d")
        await over(screen, LinesScreen)
        await shown(screen, "lines-body", "+ two")
        await pilot.press("escape")
        await over(screen, TimelineScreen)
        await shown(screen, "timeline-diff", "+ two")
        await pilot.press("enter")
        await over(screen, RewindScreen)
        await shown(screen, "rewind-preview", "− b")
        await pilot.press("up")
        await shown(screen, "rewind-preview", "turn 2")
        await pilot.press("enter")
        await screen.until(lambda: screen.shows("Turn 2 was taken back"))
        assert not (stage.project / "b").exists()
        assert (stage.project / "a").exists()
        await turn(stage, screen, "third")
        assert "second" not in str(stage.server.requests[-1].messages)


async def test_a_review_takes_one_hunk_back_and_sends_the_comments_as_one_message(stage: Stage) -> None:
    changed = LINES.replace("line 2\n", "second\n").replace("line 38\n", "last\n")
    (stage.project / "a").write_text(LINES)
    async with stage.open(yolo=True) as screen:
        await turn(
            stage, screen, "change", call("Read", {"path": "a"}), write("a", changed), write("b", "new\n", id="c2")
        )
        pilot = await begin(screen, "/review", ReviewScreen)
        await shown(screen, "review-title", "0 of 3 decided")
        await pilot.press("r")
        await shown(screen, "review-title", "1 of 3 decided")
        await shown(screen, "review-hunks", "⊘ 1 of 2 · to be taken back")
        await pilot.press("j", "c")
        await screen.until(lambda: not isinstance(screen.app.screen, ReviewScreen))
        await pilot.press(*"why", "enter")
        await shown(screen, "review-hunks", "│ why")
        await pilot.press("tab", "c")
        await screen.until(lambda: not isinstance(screen.app.screen, ReviewScreen))
        await pilot.press(*"no", "enter")
        await shown(screen, "review-hunks", "│ no")
        stage.server.script(say("Because."))
        await pilot.press("enter")
        await screen.until(lambda: screen.shows("Because."))
        assert (stage.project / "a").read_text() == LINES.replace("line 38\n", "last\n")
        assert (stage.project / "b").read_text() == "new\n"
        sent = stage.server.requests[-1].last["content"]
        assert sent.endswith("My comments on the changes:\n\na:38\n> last\nwhy\n\nb:1\n> new\nno")


async def test_a_review_fits_forty_columns_and_two_hundred_and_stays_open_when_a_file_was_changed_meanwhile(
    stage: Stage,
) -> None:
    (stage.project / "a").write_text(LINES)
    async with stage.open(yolo=True, size=(40, 12)) as screen:
        await turn(stage, screen, "change", call("Bash", {"command": "sed -i 's/line 7/a long line/' a"}))
        pilot = await begin(screen, "/review", ReviewScreen)
        await shown(screen, "review-hunks", "7 │ + a long line")
        assert not screen.app.screen.query_one("#review-files").display
        await pilot.resize_terminal(200, 40)
        await screen.until(
            lambda: any(
                "- line 7" in line and "+ a long line" in line for line in text_of(screen, "review-hunks").split("\n")
            )
        )
        (stage.project / "a").write_text("mine\n")
        await pilot.press("R", "enter")
        await shown(screen, "review-hint", "Nothing was taken back: a was changed since")
        assert (stage.project / "a").read_text() == "mine\n"
        await pilot.press("escape")
        await shown(screen, "review-hint", "leaving again throws them away")
        await pilot.press("escape")
        await screen.until(lambda: screen.app.screen is screen.main)


async def test_every_deed_of_the_list_of_sessions_works_and_a_fork_goes_on_in_a_new_session(stage: Stage) -> None:
    async with stage.open() as screen:
        await turn(stage, screen, "the answer is 42")
        first = screen.main.session.id
        store = screen.main.host.store()
        pilot = await begin(screen, "/sessions", Sessions)
        await pilot.press("ctrl+f")
        await screen.until(lambda: len(store.list()) == 2)
        fork = next(meta for meta in store.list() if meta.id != first)
        assert fork.title == "the answer is 42 (fork)"
        await pilot.press(*"fork", "ctrl+e")
        await screen.until(lambda: (stage.project / f"kimi-code-{fork.id}.md").exists())
        await pilot.press("ctrl+n")
        await screen.until(lambda: not isinstance(screen.app.screen, Sessions))
        await pilot.press("!", "enter")
        await screen.until(lambda: store.find(fork.id).title == "the answer is 42 (fork)!")
        await over(screen, Sessions)
        await pilot.press("enter")
        await screen.until(lambda: screen.main.conversation.session and screen.main.session.id == fork.id)
        await screen.ready()
        pilot = await begin(screen, "/sessions", Sessions)
        await pilot.press("down", "ctrl+d")
        assert len(store.list()) == 2
        await pilot.press("ctrl+d")
        await screen.until(lambda: [meta.id for meta in store.list()] == [fork.id])
        await pilot.press("escape")
        await screen.until(lambda: screen.app.screen is screen.main)
        # By a command, too.
        await screen.say("/fork")
        await screen.until(lambda: screen.main.conversation.session and screen.main.session.id != fork.id)
        await screen.until(lambda: screen.shows(f"/resume {fork.id}"))
        await turn(stage, screen, "and now?")
        assert "the answer is 42" in str(stage.server.requests[-1].messages)
        assert {meta.id: meta.turns for meta in store.list()} == {fork.id: 1, screen.main.session.id: 2}

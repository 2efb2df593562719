"""Approvals on the screen: hunks taken and left, commands and files edited, a queue that can be walked."""

import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.widgets import Static

from kimi_code.errors import UsageError
from kimi_code.events import AllowHunks, Approval, Change, Diff, Hunk
from kimi_code.repo.diff import make_diff
from kimi_code.session.proposal import proposed_text
from kimi_code.tui.picks import picks_of
from tests.server import call, calls, say
from tests.tui.conftest import Lookout, Stage

TWENTY = "".join(f"{n}\n" for n in range(1, 21))
# Two hunks, the first of which has two runs of changes.
EDITS = {
    "path": "a.txt",
    "edits": [
        {"old_string": "2\n3", "new_string": "two\n3"},
        {"old_string": "6\n7", "new_string": "six\n7"},
        {"old_string": "20", "new_string": "xx"},
    ],
}


async def asked_to_edit(stage: Stage, screen: Lookout, answer: str) -> None:
    """A turn that wants all of `EDITS` in a file as it was; it ends with `answer`."""
    (stage.project / "a.txt").write_text(TWENTY)
    stage.server.script(call("Read", {"path": "a.txt"}), call("Edit", EDITS), say(answer))
    await screen.say("change it")
    await screen.asked()


async def ended(screen: Lookout, answer: str) -> None:
    await screen.until(lambda: screen.state == "idle" and screen.shows(answer))


def last_result(stage: Stage) -> str:
    """What the model was told last of a call."""
    return next(m["content"] for m in reversed(stage.server.requests[-1].messages) if m["role"] == "tool")


async def test_what_is_asked_about_begins_in_sight_however_tall_it_is(stage: Stage) -> None:
    content = "".join(f"line {n}\n" for n in range(1, 101))
    stage.server.script(call("Write", {"path": "tall.txt", "content": content}), say("Written."))
    async with stage.open(permission_mode="ask") as screen:
        await screen.ready()
        view = screen.main.transcript
        await screen.say("write it")
        await screen.asked()
        await screen.until(lambda: "tall.txt" in view.render_line(0).text)
        assert "line 1" in view.render_line(1).text
        assert view.following
        await screen.pilot.press("y")
        await ended(screen, "Written.")
    # Once the person went elsewhere, the view stays there.
    stage.server.script(call("Write", {"path": "more.txt", "content": content}), say("Written."))
    async with stage.open(permission_mode="ask") as screen:
        await screen.ready()
        view = screen.main.transcript
        await screen.say("write it")
        await screen.asked()
        await screen.until(lambda: "more.txt" in view.render_line(0).text)
        await screen.pilot.press("down")
        await screen.until(lambda: "line 1" in view.render_line(0).text)
        view.follow()
        assert "line 100" in view.render_line(view.size.height - 1).text
        screen.main.conversation.interrupt()
        await screen.until(lambda: screen.state == "idle")


async def test_hunks_are_taken_one_by_one_split_left_all_or_left_to_be_decided_as_one(stage: Stage) -> None:
    file = stage.project / "a.txt"
    async with stage.open(permission_mode="ask") as screen:
        await screen.ready()
        # One of two.
        await asked_to_edit(stage, screen, "Partly.")
        await screen.pilot.press("j", "j", "space")
        assert (screen.approval.picks.taken, len(screen.approval.picks.all)) == (1, 2)
        await screen.pilot.press("enter")
        await ended(screen, "Partly.")
        assert file.read_text() == TWENTY.replace("2\n", "two\n", 1).replace("6\n", "six\n", 1)
        assert "approved only part" in last_result(stage)
        # One is split, and half of it taken.
        await asked_to_edit(stage, screen, "By halves.")
        await screen.pilot.press("j", "x", "space")
        assert [pick.taken for pick in screen.approval.picks.all] == [False, True, True]
        await screen.pilot.press("enter")
        await ended(screen, "By halves.")
        assert file.read_text() == TWENTY.replace("6\n", "six\n", 1).removesuffix("20\n") + "xx\n"
        # Taking nothing asks for words, and denies.
        await asked_to_edit(stage, screen, "As you wish.")
        await screen.pilot.press("space", "j", "space", "enter", *"no", "enter")
        await ended(screen, "As you wish.")
        assert file.read_text() == TWENTY
        assert last_result(stage) == "The user said no: no\nIt was not done. Do as they say."
        # Esc leaves the hunks, and interrupts nothing.
        await asked_to_edit(stage, screen, "All.")
        await screen.pilot.press("j", "escape")
        assert screen.approval.display
        assert not screen.approval.picking
        await screen.pilot.press("y")
        await ended(screen, "All.")
        assert "approved only part" not in last_result(stage)


def _approval(screen: Lookout) -> Approval:
    request = screen.main.requests.shown
    assert isinstance(request, Approval)
    return request


async def test_a_commands_parts_are_told_it_is_denied_or_edited_and_several_requests_are_a_queue(stage: Stage) -> None:
    stage.server.script(call("Bash", {"command": "ls && touch x"}), say("No then."))
    stage.server.script(call("Bash", {"command": "touch x && echo hi"}), say("Ran."))
    async with stage.open(permission_mode="ask", size=(40, 24)) as screen:
        await screen.say("run it")
        await screen.asked()
        text = str(screen.approval.query_one("#approval-text").render())
        assert "✓ ls" in text
        assert "? touch x  asked:" in text
        # A key stands on the line of what it does.
        keys = screen.approval.query_one("#approval-keys", Static)

        def shown() -> list[str]:
            return [keys.render_line(y).text.strip() for y in range(keys.size.height)]

        hints = ["y allow once", "s for this session", "a always", "n deny", "e edit"]
        for width in (40, 60, 100):
            await screen.pilot.resize_terminal(width, 24)
            await screen.until(lambda: "   ".join(shown()).split("   ") == hints)
            assert screen.app.size.width == width
        # Keys that are typed into the words answer nothing.
        await screen.pilot.press("n", *"yesax", "enter")
        await ended(screen, "No then.")
        assert not list(stage.project.iterdir())
        assert "yesax" in last_result(stage)
        await screen.say("run it again")
        await screen.asked()
        await screen.pilot.press("e", *["left"] * len(" && echo hi"), "backspace", "y", "enter")
        await ended(screen, "Ran.")
        assert [path.name for path in stage.project.iterdir()] == ["y"]
        assert "touch y && echo hi" in last_result(stage)
        # Several are a queue to walk.
        outside = [stage.project.parent / name for name in ("a", "b", "c")]
        for path in outside:
            path.write_text(path.name)
        stage.server.script(calls(*(("Read", {"path": str(path)}) for path in outside)), say("Read all."))
        await screen.say("read them")
        await screen.until(lambda: screen.main.requests.count == 3)
        await screen.asked()
        titles = [_approval(screen).title]
        for _ in range(3):
            await screen.pilot.press("right")
            titles.append(_approval(screen).title)
        assert len(set(titles)) == 3
        assert titles[0] == titles[3]
        await screen.pilot.press("left", "y")
        await screen.until(lambda: screen.main.requests.count == 2)
        await screen.pilot.press("y", "y")
        await screen.until(lambda: screen.shows("Read all."))


def proposal(*hunks: Hunk, change: Change = "modified") -> Approval:
    return Approval("c1", "Edit", "a.txt", "asked", (Diff("a.txt", change, 0, 0, hunks, id="d"),))


@given(st.text("ab\n\r", max_size=40), st.text("abc\n\r", max_size=40))
def test_the_file_as_it_would_be_is_what_the_edit_would_make_of_it(old: str, new: str) -> None:
    old, new = (text.replace("\r", "") for text in (old, new))
    with TemporaryDirectory() as folder:
        (Path(folder) / "a.txt").write_text(old)
        diff = make_diff("a.txt", old, new)
        if diff.hunks:
            made = proposed_text(Path(folder), Approval("c", "Edit", "a.txt", "asked", (diff,)), "a.txt")
            assert made.removesuffix("\n") == new.removesuffix("\n")


def test_a_file_that_changed_meanwhile_or_goes_is_not_edited(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("other\n")
    with pytest.raises(UsageError, match="no longer what"):
        proposed_text(tmp_path, proposal(Hunk(1, 1, ("-a", "+b"))), "a.txt")
    with pytest.raises(UsageError, match="removed"):
        proposed_text(tmp_path, proposal(Hunk(1, 1, ("-a",)), change="deleted"), "a.txt")
    with pytest.raises(UsageError, match="no text"):
        proposed_text(tmp_path, proposal(), "b.txt")


def test_what_has_no_hunks_is_taken_or_left_whole() -> None:
    hunk = Hunk(1, 1, ("-a", "+b"), "h1")
    binary = Diff("b.png", "modified", 0, 0, detail="regular, 3 bytes", id="d2")
    picks = picks_of((Diff("a", "modified", 1, 1, (hunk,), id="d1"), binary))
    assert [pick.id for pick in picks.all] == ["h1", "d2"]
    picks.toggle()
    assert picks.reply() == AllowHunks(("d2",))
    assert not picks.split()


async def test_a_turns_changes_are_approved_once_by_hunks(stage: Stage) -> None:
    (stage.project / "a.txt").write_text(TWENTY)
    subprocess.run(["git", "init", "-q"], cwd=stage.project, check=True)
    other = {"path": "b.txt", "content": "new\n"}
    stage.server.script(
        call("Read", {"path": "a.txt"}, id="c1"),
        call("Edit", EDITS, id="c2"),
        call("Write", other, id="c3"),
        say("Done."),
    )
    stage.server.script(say("Done."))
    async with stage.open(review="turn") as screen:
        await screen.say("change both")
        await screen.asked()
        assert (stage.project / "a.txt").read_text() == TWENTY
        await screen.pilot.press("j", "j", "space", "j", "enter")
        await screen.until(lambda: screen.turns == 1 and screen.state == "idle")
        await screen.until(lambda: screen.shows("applied: 2 files"))
    text = (stage.project / "a.txt").read_text()
    assert text == TWENTY.replace("2\n", "two\n", 1).replace("6\n", "six\n", 1)
    assert (stage.project / "b.txt").read_text() == "new\n"

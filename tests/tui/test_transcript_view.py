"""The transcript in an app: what is on the screen, where it stands, what keys and the mouse do to it."""

import asyncio
import time
from collections.abc import Callable

from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.strip import Strip

from kimi_code.events import (
    Effect,
    Event,
    MessageCompleted,
    Outcome,
    Record,
    TextDelta,
    ToolEnded,
    ToolProgressed,
    ToolStarted,
    TurnEnded,
    TurnRedone,
    TurnStarted,
    TurnUndone,
)
from kimi_code.messages import Message
from kimi_code.tui.widgets.transcript import TranscriptView


class Stage(App[None]):
    """Nothing but the transcript, and what it says."""

    def __init__(self, link: Callable[[str, int], str] | None = None) -> None:
        super().__init__()
        self._link = link
        self.heard: list[object] = []

    def compose(self) -> ComposeResult:
        yield TranscriptView(cwd="/project", link=self._link)

    @property
    def view(self) -> TranscriptView:
        return self.query_one(TranscriptView)

    def on_transcript_view_link_clicked(self, message: TranscriptView.LinkClicked) -> None:
        self.heard.append(message.url)

    def on_transcript_view_following_changed(self, message: TranscriptView.FollowingChanged) -> None:
        self.heard.append(message.following)

    def on_transcript_view_broke(self, message: TranscriptView.Broke) -> None:
        self.heard.append(str(message.error))


def record(event: Event) -> Record:
    return Record(1, "main", time.time(), event)


def said(text: str) -> Record:
    return record(MessageCompleted(Message("assistant", text)))


def paragraphs(count: int, first: int = 0) -> str:
    return "\n\n".join(f"paragraph {number}" for number in range(first, first + count))


async def feed(pilot: Pilot[None], view: TranscriptView, *records: Record) -> None:
    """Append, and wait until it is on the screen."""
    for one in records:
        view.append(one)
    async with asyncio.timeout(10):
        while view.has_pending:
            await asyncio.sleep(0.001)
    await pilot.pause()


def screen(view: TranscriptView) -> list[str]:
    return [view.render_line(y).text.rstrip() for y in range(view.size.height)]


READ = (
    record(ToolEnded("c1", "Read", "src/a.py", "done", "2 lines")),
    record(MessageCompleted(Message("tool", "1\tx = 1\n2\ty = 2", call_id="c1"))),
)


async def test_it_keeps_at_the_end_until_the_user_scrolls_up_and_again_when_back() -> None:
    app = Stage()
    async with app.run_test(size=(60, 10)) as pilot:
        view = app.view
        await feed(pilot, view, said(paragraphs(30)))
        assert screen(view)[-1] == "   paragraph 29" and view.following
        view.scroll_relative(y=-4)
        await pilot.pause()
        before = screen(view)
        assert before[-1] == "   paragraph 27" and not view.following
        await feed(pilot, view, said(paragraphs(30, 30)))
        assert screen(view) == before
        view.follow()
        await pilot.pause()
        assert screen(view)[-1] == "   paragraph 59"
        await feed(pilot, view, said("the last"))
        assert screen(view)[-1] == " ● the last"
        assert app.heard == [False, True]


async def test_scrolling_down_to_the_end_follows_again() -> None:
    app = Stage()
    async with app.run_test(size=(60, 10)) as pilot:
        view = app.view
        await feed(pilot, view, said(paragraphs(30)))
        view.scroll_page_up()
        await pilot.pause()
        assert not view.following
        view.scroll_page_down()
        await pilot.pause()
        assert view.following


async def test_a_journal_opens_at_its_end_and_its_beginning_can_be_reached() -> None:
    app = Stage()
    async with app.run_test(size=(60, 10)) as pilot:
        view = app.view
        view.load([said(f"answer {number}\n\n" + "word " * (number % 40)) for number in range(1_000)])
        await pilot.pause()
        assert any("word" in line for line in screen(view))
        view.scroll_home()
        await pilot.pause()
        assert screen(view)[0] == " ● answer 0"
        view.scroll_end()
        await pilot.pause()
        assert view.following and screen(view)[-1].strip().startswith("word")
        view.clear()
        await pilot.pause()
        assert screen(view) == [""] * 10


async def test_another_width_keeps_the_place() -> None:
    app = Stage()
    async with app.run_test(size=(60, 10)) as pilot:
        view = app.view
        await feed(pilot, view, *(said(f"answer {number} " + "word " * 30) for number in range(50)))
        view.scroll_relative(y=-40)
        await pilot.pause()
        top = next(line for line in screen(view) if "answer" in line).split("word")[0]
        await pilot.resize_terminal(40, 12)
        await pilot.pause()
        assert any(top.strip() in line for line in screen(view))
        assert all(len(line) < 40 for line in screen(view))


async def test_an_answer_grows_while_it_comes_and_is_drawn_at_most_fifteen_times_a_second() -> None:
    app = Stage()
    async with app.run_test(size=(60, 10)) as pilot:
        view = app.view
        began, drawn = time.monotonic(), view.flushes
        for number in range(2_000):
            view.append(record(TextDelta(f"word{number} ")))
            if number % 10 == 0:
                await asyncio.sleep(0)
        await feed(pilot, view, record(TextDelta("end")))
        assert view.flushes - drawn <= (time.monotonic() - began) * 15 + 2
        assert screen(view)[-1].endswith("end")


async def test_what_came_while_it_was_hidden_is_there_when_it_is_shown() -> None:
    app = Stage()
    async with app.run_test(size=(60, 10)) as pilot:
        view = app.view
        view.display = False
        await feed(pilot, view, record(TurnStarted(1, "hello")), said("hi"))
        view.display = True
        await pilot.pause()
        assert screen(view)[:3] == [" › hello", "", " ● hi"]


async def test_a_click_on_a_card_unfolds_it_and_a_click_on_a_path_opens_it() -> None:
    app = Stage(lambda path, line: f"editor://{path}:{line}")
    async with app.run_test(size=(60, 10)) as pilot:
        view = app.view
        await feed(pilot, view, *READ)
        await pilot.click(TranscriptView, offset=(4, 0))
        await pilot.pause()
        assert screen(view)[:3][1:] == ["       1  x = 1", "       2  y = 2"]
        await pilot.click(TranscriptView, offset=(14, 0))
        await pilot.pause()
        assert app.heard == ["editor://src/a.py:0"]


async def test_cards_are_chosen_and_unfolded_by_keys_too() -> None:
    app = Stage()
    async with app.run_test(size=(60, 10)) as pilot:
        view = app.view
        second = record(ToolEnded("c2", "Read", "src/b.py", "done", "1 line"))
        await feed(
            pilot, view, said("look"), *READ, second, record(MessageCompleted(Message("tool", "1\tz", call_id="c2")))
        )
        view.move_cursor(-1)
        view.move_cursor(-1)
        view.toggle_chosen()
        await pilot.pause()
        assert "x = 1" in "".join(screen(view))
        assert "z" not in "".join(screen(view))
        assert app.view.toggle_all() and not app.view.toggle_all()
        view.clear_cursor()
        await pilot.pause()
        assert "x = 1" not in "".join(screen(view))


async def test_the_words_of_a_turn_are_one_step_away() -> None:
    app = Stage()
    async with app.run_test(size=(60, 10)) as pilot:
        view = app.view
        for turn in range(1, 4):
            await feed(pilot, view, record(TurnStarted(turn, f"prompt {turn}")), said(paragraphs(20)))
        for turn in (3, 2, 1):
            view.go_to_turn(-1)
            await pilot.pause()
            assert next(line for line in screen(view) if line) == f" › prompt {turn}"
        view.go_to_turn(1)
        await pilot.pause()
        assert next(line for line in screen(view) if line) == " › prompt 2"
        assert view.find("prompt 3") and not view.following
        assert next(line for line in screen(view) if line) == " › prompt 3"


async def test_selected_text_is_what_was_written() -> None:
    app = Stage()
    async with app.run_test(size=(40, 10)) as pilot:
        view = app.view
        await feed(pilot, view, said("A paragraph of words that is wrapped here.\n\nAnother one."))
        await pilot.mouse_down(TranscriptView, offset=(3, 0))
        await pilot.hover(TranscriptView, offset=(10, 3))
        await pilot.mouse_up(TranscriptView, offset=(10, 3))
        await pilot.pause()
        assert app.screen.get_selected_text() == "A paragraph of words that is wrapped here.\n\nAnother"


async def test_a_selection_stays_on_its_words_when_what_is_above_is_measured() -> None:
    app = Stage()
    async with app.run_test(size=(60, 10)) as pilot:
        view = app.view
        view.load([said(f"answer {number}\n\n- a\n- b\n\n```\ncode\n```") for number in range(200)])
        await pilot.pause()
        before = view.virtual_size.height
        await pilot.mouse_down(TranscriptView, offset=(3, 9))
        await pilot.hover(TranscriptView, offset=(9, 9))
        await pilot.mouse_up(TranscriptView, offset=(9, 9))
        chosen = app.screen.get_selected_text()
        for _ in range(8):
            view.scroll_page_up()
            await pilot.pause()
        assert view.virtual_size.height != before
        assert chosen and app.screen.get_selected_text() == chosen


async def test_the_output_of_a_command_is_shown_as_it_comes_without_its_control_sequences() -> None:
    app = Stage()
    async with app.run_test(size=(60, 10)) as pilot:
        view = app.view
        started = record(ToolStarted("c1", "Bash", "make", Effect.EXECUTE, {}))
        await feed(
            pilot, view, started, record(ToolProgressed("c1", "\x1b[31mred\x1b[0m [bold]\x07\n\x1b]0;title\x07"))
        )
        assert screen(view)[1] == "       red [bold]"
        await feed(pilot, view, record(ToolEnded("c1", "Bash", "make", "done")), record(TurnEnded(1, Outcome.DONE)))
        assert screen(view)[0] == "   ✓ Bash    make"


async def test_what_cannot_be_drawn_leaves_the_rest_as_it_is() -> None:
    def refuse(path: str, line: int) -> str:
        raise RuntimeError(f"no link to {path}")

    app = Stage(refuse)
    async with app.run_test(size=(60, 10)) as pilot:
        await feed(pilot, app.view, *READ, said("next"))
        assert screen(app.view)[:3] == ["   (this part cannot be shown: RuntimeError)", "", " ● next"]
        assert app.heard == ["no link to src/a.py"]


async def test_an_open_link_reaches_the_terminal_as_a_link() -> None:
    app = Stage()
    async with app.run_test(size=(60, 10)) as pilot:
        await feed(pilot, app.view, said("see [this](https://x.y/z) and `src/a.py:12`"))
        links = {segment.style.link for segment in app.view.render_line(0) if segment.style and segment.style.link}
        assert links == {"https://x.y/z", "file:///project/src/a.py#L12"}


async def test_the_chosen_card_is_seen_to_be_chosen() -> None:
    app = Stage()
    async with app.run_test(size=(60, 10)) as pilot:
        view = app.view
        await feed(pilot, view, said("look"), *READ)
        row = next(y for y in range(10) if "src/a.py" in view.render_line(y).text)
        before = {segment.style.bgcolor for segment in view.render_line(row) if segment.style}
        view.move_cursor(-1)
        after = {segment.style.bgcolor for segment in view.render_line(row) if segment.style}
        assert len(after) == 1
        assert before.isdisjoint(after)


async def test_a_turn_taken_back_leaves_one_line_and_comes_again_in_the_same_place() -> None:
    app = Stage()
    async with app.run_test(size=(60, 24)) as pilot:
        view = app.view
        ended = record(TurnEnded(2, Outcome.DONE))
        await feed(pilot, view, record(TurnStarted(1, "one")), said("One."), record(TurnEnded(1, Outcome.DONE)))
        await feed(pilot, view, record(TurnStarted(2, "two")), *READ, said("Two."), ended)
        before = [line for line in screen(view) if line]
        await feed(pilot, view, record(TurnUndone(2)))
        shown = [line for line in screen(view) if line]
        assert shown[-2:] == [" › two  (taken back)", "   • Turn 2 was taken back."]
        assert "Two." not in str(shown)
        await feed(pilot, view, record(TurnRedone(2)))
        assert [line for line in screen(view) if line][: len(before)] == before


class Watched(TranscriptView):
    """Notes the rows that are drawn."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[int] = []

    def render_line(self, y: int) -> Strip:
        self.rows.append(y)
        return super().render_line(y)


class Observatory(App[None]):
    """Nothing but a transcript that is watched."""

    def compose(self) -> ComposeResult:
        yield Watched()


async def test_a_streamed_word_draws_its_line_and_no_other() -> None:
    async with Observatory().run_test(size=(40, 10)) as pilot:
        view = pilot.app.query_one(Watched)
        await feed(pilot, view, said("before"), record(TextDelta("one")))
        view.rows.clear()
        await feed(pilot, view, record(TextDelta(" two")))
        assert len(view.rows) == 1
        assert screen(view)[view.rows[0]].strip().endswith("one two")
        view.rows.clear()
        view.follow()
        await pilot.pause()
        assert not view.rows

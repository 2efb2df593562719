"""The main screen with a real session: what is typed, asked, steered, interrupted, and what the model hears of it."""

import os
from pathlib import Path

import pytest
from textual import events

from kimi_code.tui.conversation import Job
from kimi_code.tui.host import Which
from kimi_code.tui.screens.page import Page
from tests.server import call, calls, error, hang, say
from tests.tui.conftest import Lookout, Stage

EDIT = {"path": "a.txt", "old_string": "one", "new_string": "two"}


async def test_what_is_typed_before_the_session_is_open_is_sent_when_it_is_and_keys_act_in_order_however_fast(
    stage: Stage,
) -> None:
    stage.server.script(say("Hello to you."), say("Zero."), say("One."), say("Two."))
    async with stage.open() as screen:
        await screen.say("hello")
        await screen.ready()
        await screen.until(lambda: screen.turns == 1 and screen.state == "idle")
        await screen.until(lambda: screen.shows("Hello to you."))
        screen.main.conversation.submit(Job("prompt", "zero"))
        assert not screen.main.query_one("#queue").display  # nothing is waited for
        await screen.until(lambda: screen.turns == 2 and screen.state == "idle")
        for character in "first\rsecond\r/cost\r":
            name = {"\r": "enter", "/": "slash"}.get(character, character)
            screen.app.post_message(events.Key(name, character))
        await screen.until(lambda: screen.turns == 4 and screen.state == "idle")
        await screen.until(lambda: screen.shows("tokens ·"))
        sent = [request.last["content"].split("\n")[-1] for request in stage.server.requests]
        assert sent == ["hello", "zero", "first", "second"]
        assert not screen.main.requests.children  # nothing was asked: nothing for it was made


async def test_without_a_key_the_screen_stays_and_says_how_to_go_on(stage: Stage) -> None:
    env = {name: value for name, value in stage.env.items() if name not in ("KIMI_API_KEY", "KIMI_BASE_URL")}
    stage.configure('provider = "openai"\nmodel = "openai/x"\n')
    async with stage.open(env=env) as screen:
        await screen.until(lambda: screen.state == "failed")
        await screen.until(lambda: screen.shows("There is no API key for openai"))
        assert screen.main.prompt.has_focus


async def test_keys_pressed_while_an_approval_appears_approve_nothing_and_later_ones_do(stage: Stage) -> None:
    file = stage.project / "a.txt"
    file.write_text("one\n")
    stage.server.script(call("Read", {"path": "a.txt"}), call("Edit", EDIT), say("Changed."))
    async with stage.open(permission_mode="ask") as screen:
        await screen.ready()
        screen.approval.clock = lambda: 100.0
        await screen.say("change it")
        await screen.until(lambda: screen.approval.has_focus)
        screen.approval.clock = lambda: 100.2
        await screen.pilot.press("y", "s", "a")
        assert file.read_text() == "one\n"
        assert screen.approval.display
        # Still typing: the time counts from the last key.
        screen.approval.clock = lambda: 100.4
        await screen.pilot.press("y")
        assert screen.approval.display
        screen.approval.clock = lambda: 100.8
        await screen.pilot.press("y")
        await screen.until(lambda: screen.shows("Changed."))
        assert file.read_text() == "two\n"
        assert screen.main.prompt.has_focus
        assert not screen.approval.display
        # Of several, each counts from when it came into sight.
        outside = [stage.project.parent / name for name in ("a", "b")]
        for path in outside:
            path.write_text(path.name)
        stage.server.script(calls(*(("Read", {"path": str(path)}) for path in outside)), say("Read."))
        await screen.say("read both")
        await screen.until(lambda: screen.main.requests.count == 2 and screen.approval.has_focus)
        screen.approval.clock = lambda: 200.0
        await screen.pilot.press("y")
        await screen.until(lambda: screen.main.requests.count == 1)
        screen.approval.clock = lambda: 200.2
        await screen.pilot.press("y")
        assert screen.main.requests.count == 1
        screen.approval.clock = lambda: 200.6
        await screen.pilot.press("y")
        await screen.until(lambda: screen.shows("Read."))


async def test_the_model_is_told_a_denials_words_and_another_mode_and_a_rule_for_the_session_is_not_asked_for_again(
    stage: Stage,
) -> None:
    file = stage.project / "a.txt"
    file.write_text("one\n")
    back = {"path": "a.txt", "old_string": "two", "new_string": "three"}
    stage.server.script(call("Read", {"path": "a.txt"}), call("Edit", EDIT), say("As you wish."))
    stage.server.script(call("Edit", EDIT, id="c2"), call("Edit", back, id="c3"), say("Done."))
    async with stage.open(permission_mode="ask") as screen:
        await screen.say("change it")
        await screen.asked()
        await screen.pilot.press("n", *"yes", "space", *"but", "enter")
        await screen.until(lambda: screen.shows("As you wish.") and screen.state == "idle")
        assert file.read_text() == "one\n"
        assert "yes but" in stage.server.requests[-1].last["content"]
        await screen.say("change it twice")
        await screen.asked()
        await screen.pilot.press("s")
        await screen.until(lambda: screen.shows("Done.") and screen.state == "idle")
        assert file.read_text() == "three\n"
        await screen.pilot.press("shift+tab")
        await screen.until(lambda: screen.main.session.standing.permission_mode == "edits")
        stage.server.script(say("Two."))
        await screen.ask("two")
        assert "hold from now on: reading files and editing" in stage.server.requests[-1].last["content"]


async def test_a_question_is_answered_by_an_option_by_words_or_by_several_of_both_and_calls_who_looks_away(
    stage: Stage,
) -> None:
    one = {"question": "Which?", "options": ["red", "green"]}
    options = [{"label": "red", "description": "as roses"}, "green", {"label": "blue"}]
    several = {"question": "Which of them?", "options": options, "several": True}
    stage.server.script(
        call("Ask", one, id="c1"), call("Ask", one, id="c2"), call("Ask", several, id="c3"), say("Good.")
    )
    async with stage.open() as screen:
        await screen.ready()
        screen.question.clock = lambda: 100.0
        await screen.say("ask me")
        await screen.until(lambda: screen.question.display)
        # An Enter that was meant for something else answers nothing.
        await screen.pilot.press("enter")
        assert screen.question.display
        screen.question.clock = lambda: 100.5
        await screen.pilot.press("down", "enter")
        await screen.questioned("c2")
        await screen.pilot.press(*"blue", "enter")
        await screen.questioned("c3")
        await screen.pilot.press("space", "down", "space", "space", "down", "space", *"and", "space", *"teal", "enter")
        await screen.until(lambda: screen.shows("Good."))
        answers = [request.last["content"] for request in stage.server.requests[1:]]
        assert answers == ["green", "blue", "red\nblue\nand teal"]
        # Unless they come back first.
        stage.server.script(call("Ask", one, id="c4"), say("Red."))
        screen.app.post_message(events.AppBlur())
        await screen.say("go")
        await screen.questioned("c4")
        await screen.until(lambda: screen.app.calls)
        assert screen.main.activity.rests
        screen.app.post_message(events.AppFocus())
        await screen.until(lambda: not screen.app.calls)
        screen.app.post_message(events.AppBlur())
        await screen.pilot.press("enter")
        await screen.until(lambda: screen.shows("Red.") and screen.app.calls)
        # As if the ten seconds were over: it goes out at once.
        screen.app.clock = lambda: float("inf")
        screen.app.call_for_attention("kimi-code is done")
        await screen.until(lambda: not screen.app.calls)


class Held:
    """A command that runs until it is let go."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "gate"
        os.mkfifo(self.path)
        self.call = call("Bash", {"command": f"cat {self.path}"})

    async def begun(self, screen: Lookout) -> None:
        await screen.until(lambda: screen.main.activity.words.startswith("Bash"))

    def let_go(self) -> None:
        self.path.write_text("go\n")


needs_fifo = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")


@needs_fifo
async def test_typing_while_it_works_queues_ctrl_s_steers_and_esc_gives_back_what_was_queued(
    stage: Stage, tmp_path: Path
) -> None:
    held = Held(tmp_path)
    stage.server.script(held.call, say("First done."), say("Second done."), held.call)
    async with stage.open(yolo=True) as screen:
        await screen.say("first")
        await held.begun(screen)
        await screen.say("second")
        await screen.until(lambda: [job.text for job in screen.main.conversation.queue] == ["second"])
        screen.main.prompt.replace_text("careful")
        await screen.pilot.press("ctrl+s")
        held.let_go()
        await screen.until(lambda: screen.shows("Second done.") and screen.state == "idle")
        assert stage.server.requests[1].last["content"] == "careful"
        assert stage.server.requests[2].last["content"] == "second"
        await screen.say("third")
        await held.begun(screen)
        await screen.say("fourth")
        await screen.until(lambda: screen.main.conversation.queue)
        await screen.pilot.press("escape")
        await screen.until(lambda: screen.state == "idle")
        assert screen.main.prompt.text == "fourth"
        await screen.until(lambda: screen.shows("interrupted"))


async def test_a_failing_provider_is_a_countdown_that_can_be_skipped(stage: Stage) -> None:
    stage.configure('sandbox = "off"\nretry_wait = 500.0\n')
    stage.server.script(error(503, message="overloaded"), say("Back."))
    async with stage.open() as screen:
        await screen.say("hello")
        await screen.until(lambda: screen.main.activity.words == "Try 2")
        await screen.pilot.press("ctrl+t")
        await screen.until(lambda: screen.shows("Back.") and screen.state == "idle")
        # From then on it waits for the answer, and says so.
        stage.server.script(error(503, message="overloaded"), hang())
        await screen.say("and now?")
        await screen.until(lambda: "Try 2" in screen.main.activity.words)
        await screen.pilot.press("ctrl+t")
        await screen.until(lambda: screen.main.activity.words == "Asking the model")
        await screen.pilot.press("escape")
        await screen.until(lambda: screen.state == "idle")


async def test_a_command_of_the_users_own_runs_and_is_told_and_a_note_goes_into_the_instructions(stage: Stage) -> None:
    (stage.project / "AGENTS.md").write_text("- be kind")
    stage.server.script(say("I see."))
    async with stage.open(permission_mode="plan") as screen:
        await screen.ready()
        await screen.say("!echo sesame")
        await screen.until(lambda: screen.shows("sesame") and screen.state == "idle")
        await screen.ask("what did it say?")
        texts = [message["content"] for message in stage.server.requests[0].messages]
        assert any("$ echo sesame\nsesame" in text for text in texts)
        await screen.say("# run the tests with tox")
        await screen.until(lambda: screen.shows("Added to"))
        assert (stage.project / "AGENTS.md").read_text() == "- be kind\n- run the tests with tox\n"
        (stage.project / "AGENTS.md").unlink()
        await screen.say("# use tabs")
        await screen.until((stage.project / "AGENTS.md").exists)
        assert (stage.project / "AGENTS.md").read_text() == "- use tabs\n"


async def test_commands_complete_run_and_say_what_is_wrong_and_a_goal_for_many_comes_with_words_on_how(
    stage: Stage,
) -> None:
    stage.server.script(say("Hi."))
    async with stage.open() as screen:
        await screen.ready()
        await screen.ask("hello")
        await screen.pilot.press(*"/ren")
        await screen.until(lambda: screen.main.completions.is_open)
        await screen.pilot.press("tab")
        assert screen.main.prompt.text == "/rename "
        await screen.pilot.press(*"Mine", "enter")
        await screen.until(lambda: screen.main.session.meta.title == "Mine")
        await screen.say("/thinking high")
        await screen.until(lambda: screen.main.session.standing.thinking == "high")
        await screen.say("/thinking hard")
        await screen.until(lambda: screen.shows("'hard' is none of"))
        await screen.say("/nonsense")
        await screen.until(lambda: screen.shows("There is no command /nonsense"))
        await screen.say("/export talk.md")
        await screen.until(lambda: (stage.project / "talk.md").exists() and screen.shows("Written to"))
        assert "## 1. Prompt\n\nhello" in (stage.project / "talk.md").read_text()
        await screen.say("/context")
        await screen.until(lambda: isinstance(screen.app.screen, Page))
        await screen.pilot.press("escape")
        await screen.say("/model fake-2")
        await screen.until(lambda: screen.main.session.standing.model == "fake-2")
        await screen.say("/swarm off")
        await screen.until(lambda: screen.shows("off, the model has none"))
        stage.server.script(say("Reached."))
        await screen.ask("/swarm port the tests")
    asked = stage.server.requests[-1]
    assert "serial is better" in str(asked.last["content"])
    assert "Cut by files" in str(asked.last["content"])
    assert {"Agent", "Swarm"} <= {tool["function"]["name"] for tool in asked.body["tools"]}


async def test_a_prompt_on_the_command_line_is_sent_at_once_on_any_size_and_compaction_replaces_it(
    stage: Stage,
) -> None:
    stage.server.script(say("A **wide** answer, 你好, " * 20), say("## Goal\nTo greet."), say("Again."))
    async with stage.open(prompt="hello", size=(40, 12)) as screen:
        await screen.until(lambda: screen.turns == 1 and screen.state == "idle")
        await screen.until(lambda: screen.shows("hello"))
        for size in ((300, 60), (80, 24), (40, 10)):
            await screen.pilot.resize_terminal(*size)
            await screen.pilot.pause()
        await screen.until(lambda: screen.shows("wide"))
        await screen.say("/compact")
        await screen.until(lambda: len(stage.server.requests) == 2 and screen.state == "idle")
        await screen.ask("go on")
        assert "To greet." in str(stage.server.requests[2].messages)


async def test_history_drafts_and_what_was_said_are_there_again_and_new_begins_another(stage: Stage) -> None:
    stage.server.script(say("The answer is 42."), say("Still 42."))
    long = "\n".join(f"line {number}" for number in range(10))
    async with stage.open() as screen:
        await screen.ready()
        await screen.until(lambda: screen.main.prompt.remembers)
        await screen.pilot.press(*"see")
        screen.main.prompt.paste(long)
        assert screen.main.prompt.text == "see[pasted #1: 10 lines]"
        await screen.pilot.press("enter")
        await screen.until(lambda: screen.turns == 1 and screen.state == "idle")
        assert stage.server.requests[0].last["content"].endswith("see" + long)
        screen.main.prompt.replace_text("half a tho")
        screen.main.prompt.save_draft()
        first = screen.main.session.id
    async with stage.open(which=Which(newest=True)) as screen:
        await screen.until(lambda: screen.main.prompt.text == "half a tho")
        await screen.until(lambda: screen.main.prompt.remembers)
        await screen.pilot.press("up")
        assert screen.main.prompt.text == "see" + long
        await screen.pilot.press(*["up"] * 9, "down", *["down"] * 9)
        assert screen.main.prompt.text == "half a tho"
        await screen.ready()
        await screen.until(lambda: screen.shows("The answer is 42."))
        await screen.ask("sure?")
        assert len(stage.server.requests[1].messages) > 3
        await screen.say("/new")
        await screen.until(lambda: screen.main.conversation.session and screen.main.session.id != first)
        assert not screen.shows("42")
        await screen.ready()
        await screen.say(f"/resume {first}")
        await screen.until(lambda: screen.shows("Still 42."))


async def test_the_users_keys_replace_ours_paths_complete_and_ctrl_c_clears_and_twice_leaves(stage: Stage) -> None:
    stage.configure('[screen.keys]\n"screen.sidebar" = "f4"\n')
    (stage.project / "src").mkdir()
    (stage.project / "src/pricing.py").write_text("")
    async with stage.open() as screen:
        await screen.pilot.press(*"see @pric")
        await screen.until(lambda: screen.main.completions.is_open)
        await screen.pilot.press("tab")
        assert screen.main.prompt.text == "see @src/pricing.py "
        await screen.ready()
        await screen.pilot.press("ctrl+b")
        assert not screen.main.sidebar.display
        await screen.pilot.press("f4")
        assert screen.main.sidebar.display
        await screen.pilot.press("ctrl+c")
        assert screen.main.prompt.text == ""
        await screen.pilot.press("ctrl+c", "ctrl+c")
        await screen.until(lambda: screen.app.return_value == 0)


async def test_an_empty_no_color_is_no_wish_for_none(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "")
    async with stage.open() as screen:
        assert not screen.app.no_color

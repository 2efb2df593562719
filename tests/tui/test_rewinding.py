"""Esc Esc: back to an earlier prompt, with the files or without; and Vim's keys in the prompt."""

from textual.widgets import Static

from kimi_code.tui.screens.picker import Picker
from tests.server import call, say
from tests.tui.conftest import Lookout, Stage


async def two_turns(stage: Stage, screen: Lookout) -> None:
    for number in (1, 2):
        write = call("Write", {"path": f"{number}.txt", "content": "x\n"}, id=f"c{number}")
        stage.server.script(write, say(f"Written {number}."))
    await screen.ready()
    await screen.ask("write the first")
    await screen.ask("write the second")


def listed(screen: Lookout, title: str) -> bool:
    """Whether the list of that title is on the screen, with its rows."""
    shown = screen.app.screen
    if not (isinstance(shown, Picker) and shown.query("#picker-hint")):
        return False
    return title in str(shown.query_one("#picker-title", Static).render()) and shown.chosen is not None


async def go_back(screen: Lookout, *keys: str) -> None:
    """To a prompt of the list by `keys`, to be pressed in the second list after "|"."""
    at = keys.index("|")
    await screen.pilot.press("escape", "escape")
    await screen.until(lambda: listed(screen, "Go back"))
    await screen.pilot.press(*keys[:at], "enter")
    await screen.until(lambda: listed(screen, "What goes back"))
    await screen.pilot.press(*keys[at + 1 :], "enter")


async def test_esc_esc_takes_back_files_and_conversation_and_gives_the_words_back(stage: Stage) -> None:
    async with stage.open(yolo=True) as screen:
        await two_turns(stage, screen)
        screen.main.prompt.replace_text("half a thought")
        await go_back(screen, "down", "|")
        await screen.until(lambda: screen.main.prompt.text == "write the first")
        assert not list(stage.project.iterdir())
        assert screen.main.session.prompts == {}
        assert screen.main.prompt.past[-1] == "half a thought"
        stage.server.script(say("Again."))
        await screen.ask("something else")
        texts = str(stage.server.requests[-1].messages)
        assert "write the second" not in texts
        assert "something else" in texts


async def test_files_alone_go_back_not_over_later_changes_and_the_conversation_alone_and_nothing_without_a_prompt(
    stage: Stage,
) -> None:
    async with stage.open(yolo=True) as screen:
        await screen.ready()
        await screen.pilot.press("escape", "escape")
        await screen.until(lambda: screen.shows("There is no earlier prompt"))
        await two_turns(stage, screen)
        (stage.project / "2.txt").write_text("mine\n")
        await go_back(screen, "|", "down", "down")
        await screen.until(lambda: screen.shows("Nothing was changed"))
        assert (stage.project / "2.txt").read_text() == "mine\n"
        (stage.project / "2.txt").write_text("x\n")
        await go_back(screen, "|", "down", "down")
        await screen.until(lambda: screen.shows("Back to before turn 2"))
        assert [path.name for path in stage.project.iterdir()] == ["1.txt"]
        assert screen.main.prompt.text == ""
        assert len(screen.main.session.prompts) == 2
        (stage.project / "2.txt").write_text("x\n")
        await go_back(screen, "|", "down")
        await screen.until(lambda: screen.main.prompt.text == "write the second")
        assert sorted(path.name for path in stage.project.iterdir()) == ["1.txt", "2.txt"]
        assert list(screen.main.session.prompts.values()) == ["write the first"]


async def test_vims_keys_work_in_the_prompt_its_mode_is_shown_and_sending_leads_back_to_insert(stage: Stage) -> None:
    stage.configure('sandbox = "off"\n[screen]\nvim = true\n')
    stage.server.script(say("Hi."))
    async with stage.open() as screen:
        await screen.ready()
        assert "INSERT" in str(screen.main.status.render())
        await screen.pilot.press(*"one", "escape")
        assert "NORMAL" in str(screen.main.status.render())
        await screen.pilot.press(*"yypkx")
        assert screen.main.prompt.text == "ne\none"
        await screen.pilot.press("d", "d", *"A!", "space", *"two", "escape", *"bdw", "enter")
        await screen.until(lambda: screen.turns == 1 and screen.state == "idle")
        assert stage.server.requests[0].last["content"].endswith("one!")
        assert "INSERT" in str(screen.main.status.render())
        await screen.pilot.press("escape", "k")
        assert screen.main.prompt.text.strip() == "one!"

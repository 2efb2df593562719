"""Symbols after @, side questions, AGENTS.md and the map, on a real screen with a real session."""

from textual.widgets import Static

from kimi_code.tui.screens.aside import Aside
from kimi_code.tui.screens.page import Page
from kimi_code.tui.screens.picker import Picker
from kimi_code.tui.widgets.completions import Completions
from kimi_code.tui.widgets.lines import LinesView
from tests.server import call, error, hang, say
from tests.tui.conftest import Lookout, Stage

CODE = """\
class Ledger:
    def settle_up(self, who: str) -> int:
        return 0


def use() -> None:
    Ledger().settle_up("a")
"""


def page(screen: Lookout) -> str:
    """What the page above shows; nothing while it is being made."""
    above = screen.app.screen
    lines = (line.text for view in above.query("#lines-body").results(LinesView) for line in view.lines)
    return "\n".join([*lines, *(str(text.render()) for text in above.query("#page-body Static").results(Static))])


async def test_paths_and_symbols_after_an_at_sign_are_completed_and_the_map_and_the_doctor_are_pages(
    stage: Stage,
) -> None:
    (stage.project / "ledger.py").write_text(CODE)
    (stage.project / "unsettled.txt").write_text("")
    async with stage.open() as screen:
        await screen.ready()
        offered = screen.main.query_one(Completions)
        # Paths come without waiting for symbols, and stay before them.
        await screen.pilot.press(*"@ledg")
        await screen.until(lambda: offered.chosen is not None and offered.chosen.text == "@ledger.py ")
        await screen.until(lambda: offered.option_count == 2)
        assert offered.chosen is not None
        assert offered.chosen.text == "@ledger.py "
        await screen.pilot.press("ctrl+c", *"see @settl")
        await screen.until(lambda: offered.chosen is not None and offered.chosen.label == "Ledger.settle_up")
        await screen.pilot.press("tab")
        await screen.until(lambda: screen.main.prompt.text == "see Ledger.settle_up (@ledger.py:2) ")
        await screen.pilot.press("ctrl+c")
        await screen.say("/map settle_up")
        await screen.until(lambda: type(screen.app.screen) is Page and "ledger.py" in page(screen))
        assert "settle_up" in page(screen)
        await screen.pilot.press("escape")
        await screen.until(lambda: screen.app.screen is screen.main)
        await screen.say("/doctor")
        await screen.until(lambda: type(screen.app.screen) is Page and "git" in page(screen))
        assert "unknown encoding" not in page(screen)  # the screen has put its own in place of standard output


async def test_a_side_question_is_answered_at_any_time_leaves_no_trace_but_its_cost_and_says_why_it_failed(
    stage: Stage,
) -> None:
    stage.server.script(say("The key is under the mat."), say("Under the **mat**."), say("Fine."))
    stage.server.script(error(400, message="no such thing"))
    async with stage.open() as screen:
        await screen.ready()
        await screen.ask("where is it?")
        session = screen.main.session
        journal, tokens = session.meta.journal.read_bytes(), session.standing.tokens
        await screen.say("/btw where was that again?")
        await screen.until(lambda: isinstance(screen.app.screen, Aside) and screen.app.screen.done)
        assert "Under the **mat**." in page(screen)
        asked = stage.server.requests[1]
        assert "under the mat" in str(asked.messages)
        assert "where was that again?" in asked.last["content"]
        assert asked.body["tools"] == stage.server.requests[0].body["tools"]
        await screen.pilot.press("escape")
        left = session.meta.journal.read_bytes().removeprefix(journal)
        assert left.count(b"\n") == 1
        assert b'"usage_added"' in left
        assert session.standing.tokens > tokens
        await screen.ask("thanks")
        await screen.say("/btw hello?")
        await screen.until(lambda: isinstance(screen.app.screen, Aside) and "no such thing" in page(screen))
        assert "where was that" not in str(stage.server.requests[2].messages)
        await screen.pilot.press("escape")
        await screen.until(lambda: screen.app.screen is screen.main)
        # While a turn runs, too; closing it ends its request alone.
        stage.server.script(hang(900, say("A long answer. " * 30)), hang(900, say("Another long one. " * 30)))
        await screen.say("write a lot")
        await screen.until(lambda: screen.shows("A long answer."))
        await screen.say("/btw what is that?")
        await screen.until(lambda: isinstance(screen.app.screen, Aside) and "Another long" in page(screen))
        assert screen.state == "working"
        await screen.pilot.press("escape")
        await screen.until(lambda: not isinstance(screen.app.screen, Aside))
        assert screen.state == "working"
        await screen.pilot.press("escape")
        await screen.until(lambda: screen.state == "idle")


async def test_a_command_waits_for_the_session_and_init_asks_for_agents_md_or_for_an_update_where_there_is_one(
    stage: Stage,
) -> None:
    stage.server.script(
        call("Write", {"path": "AGENTS.md", "content": "# How\n"}), say("Written."), say("Still right.")
    )
    async with stage.open() as screen:
        assert screen.state == "opening"
        await screen.say("/permissions edits")
        await screen.until(lambda: screen.state == "idle" and screen.main.session.standing.permission_mode == "edits")
        assert not screen.shows("no open session")
        await screen.say("/init in German")
        await screen.until(lambda: screen.shows("Written.") and screen.state == "idle")
        assert (stage.project / "AGENTS.md").read_text() == "# How\n"
        await screen.say("/init")
        await screen.until(lambda: screen.shows("Still right.") and screen.state == "idle")
    first, _, second = (request.messages[-1]["content"] for request in stage.server.requests)
    assert "Write AGENTS.md at the root" in first
    assert first.endswith("The user adds: in German")
    assert "AGENTS.md exists here already" in second


def shown(screen: Lookout) -> str:
    """The id of the row that a list above has chosen."""
    above = screen.app.screen
    row = above.chosen if isinstance(above, Picker) and above.query("#picker-hint") else None
    return row.value if row else ""


async def test_all_commands_are_a_list_older_prompts_too_and_each_of_the_small_ones_does_what_it_says(
    stage: Stage,
) -> None:
    stage.server.script(call("Write", {"path": "a.txt", "content": "one\n"}), say("The answer."))
    async with stage.open(permission_mode="edits") as screen:
        await screen.ready()
        await screen.until(lambda: screen.main.prompt.remembers)
        await screen.ask("write one")
        # A list of all of them, filtered by what is typed.
        await screen.pilot.press("ctrl+p")
        await screen.until(lambda: shown(screen))
        await screen.pilot.press(*"cost")
        await screen.until(lambda: shown(screen) == "cost")
        await screen.pilot.press("enter")
        await screen.until(lambda: screen.shows("tokens ·"))
        # An older prompt in the place of what is written.
        await screen.pilot.press("ctrl+r")
        await screen.until(lambda: shown(screen))
        await screen.pilot.press(*"one", "enter")
        await screen.until(lambda: screen.main.prompt.text == "write one")
        await screen.pilot.press("ctrl+c")
        await screen.say("/permissions plan")
        await screen.until(lambda: screen.main.session.standing.permission_mode == "plan")
        await screen.say("/permissions ask")
        await screen.until(lambda: screen.main.session.standing.permission_mode == "ask")
        await screen.say("/plan")
        await screen.until(lambda: screen.main.session.standing.permission_mode == "plan")
        await screen.say("/theme contrast")
        await screen.until(lambda: screen.app.theme == "kimi-contrast")
        await screen.pilot.press(*"/theme", "space", *"light")  # ansi-light would fit as well
        await screen.until(lambda: screen.main.completions.fits("/theme light"))
        await screen.pilot.press("enter")
        await screen.until(lambda: screen.app.theme == "kimi-light")
        await screen.say("/copy")
        await screen.until(lambda: screen.app.clipboard == "The answer.")
        for command, words in (("/diff", "+ one"), ("/keys", "Next permission mode"), ("/help", "/rename")):
            await screen.say(command)
            await screen.until(lambda words=words: words in page(screen))
            await screen.pilot.press("escape")
            await screen.until(lambda: screen.app.screen is screen.main)
        await screen.say("/quit")
        await screen.until(lambda: screen.app.return_value == 0)

"""Between the screen and the first session: asks on the main screen what `welcome` has to ask, if anything."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from textual.content import Content

from kimi_code.errors import KimiError
from kimi_code.tui import welcome
from kimi_code.tui.host import Which
from kimi_code.tui.widgets.steps import Steps

if TYPE_CHECKING:
    from kimi_code.tui.screens.main import MainScreen
    from kimi_code.tui.screens.picker import Row


async def come_in(main: "MainScreen") -> bool:
    """Ask what must be known before a session can be opened; False when the screen closes instead."""
    try:
        household = main.host.household()
        if await household.is_new() and await _set_up(main, household) is None:
            return False
        await welcome.ask_for_trust(_Asker(main), household)
    except KimiError as error:
        main.desk.fail(error)  # opening the session says what follows from it
    return True


async def set_up_again(main: "MainScreen") -> None:
    """The set-up at the user's wish, then a new session with what was chosen. Raises KimiError while a turn runs."""
    if main.conversation.state == "working":
        raise KimiError("A turn is running.", hint="Interrupt it with Esc first.")
    if await _set_up(main, main.host.household()):
        await main.desk.open(Which())


async def _set_up(main: "MainScreen", household: "welcome.Household") -> bool | None:
    done = await welcome.set_up(_Asker(main), household)
    if done is None:
        main.app.wants_demo = True
        main.desk.leave()
    elif not done:
        main.desk.say("Nothing was set up. /login asks again.")
    return done


class _Asker:
    """The person at this screen."""

    def __init__(self, main: "MainScreen") -> None:
        self._main = main

    async def _steps(self) -> Steps:
        found = self._main.query(Steps)
        if found:
            return found.first()
        made = Steps(id="steps")
        await self._main.query_one("#column").mount(made, before="#completions")
        return made

    async def choose(
        self, question: str, rows: "Sequence[Row]", seen: Callable[[str], None] = lambda _: None
    ) -> str | None:
        steps = await self._steps()
        self._main.make_room(True)
        answer = await steps.choose(question, rows, seen)
        self._main.make_room(False)
        return answer

    async def enter(self, question: str, *, hint: str = "", hidden: bool = False) -> str | None:
        steps = await self._steps()
        self._main.make_room(True)
        answer = await steps.enter(question, hint=hint, hidden=hidden)
        self._main.make_room(False)
        return answer

    def say(self, text: str) -> None:
        self._main.hearing.say_first(text)

    def fail(self, error: Exception) -> None:
        self._main.desk.fail(error)

    def doing(self, words: str) -> None:
        self._main.activity.show(words)

    def show(self, title: str, text: str) -> None:
        self._main.desk.read(title, Content(text))

    def themes(self) -> Sequence[str]:
        return self._main.desk.themes()

    def use_theme(self, name: str) -> None:
        self._main.desk.use_theme(name)

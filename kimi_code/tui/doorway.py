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
    asker = _Asker(main)
    try:
        household = main.host.household()
        if await household.is_new() and await _set_up(asker, household) is None:
            return False
        await welcome.ask_for_trust(asker, household)
    except KimiError as error:
        main.desk.fail(error)  # opening the session says what follows from it
    finally:
        asker.leave()
    return True


async def set_up_again(main: "MainScreen") -> None:
    """The set-up at the user's wish, then a new session with what was chosen. Raises KimiError while a turn runs."""
    if main.conversation.state == "working":
        raise KimiError("A turn is running.", hint="Interrupt it with Esc first.")
    asker = _Asker(main)
    try:
        done = await _set_up(asker, main.host.household())
    finally:
        asker.leave()
    if done:
        await main.desk.open(Which())


async def _set_up(asker: "_Asker", household: "welcome.Household") -> bool | None:
    main, done = asker.main, await welcome.set_up(asker, household)
    if done is None:
        main.app.wants_demo = True
        main.desk.leave()
    elif not done:
        main.desk.say("Nothing was set up. /login asks again.")
    return done


class _Asker:
    """The person at this screen."""

    def __init__(self, main: "MainScreen") -> None:
        self.main = main
        self._came = False

    def leave(self) -> None:
        """Nothing more is asked: the prompt has its place again."""
        if self._came:
            self.main.make_room(False)

    async def _steps(self) -> Steps:
        # From the first question to the last: meanwhile a server may be asked, and nobody can be answered.
        self._came = True
        self.main.make_room(True)
        found = self.main.query(Steps)
        if found:
            return found.first()
        made = Steps(id="steps")
        await self.main.query_one("#column").mount(made, before="#completions")
        return made

    async def choose(
        self, question: str, rows: "Sequence[Row]", seen: Callable[[str], None] = lambda _: None
    ) -> str | None:
        return await (await self._steps()).choose(question, rows, seen)

    async def enter(self, question: str, *, hint: str = "", hidden: bool = False) -> str | None:
        return await (await self._steps()).enter(question, hint=hint, hidden=hidden)

    def say(self, text: str) -> None:
        self.main.hearing.say_first(text)

    def fail(self, error: Exception) -> None:
        self.main.desk.fail(error)

    def doing(self, words: str) -> None:
        self.main.activity.show(words)

    def show(self, title: str, text: str) -> None:
        self.main.desk.read(title, Content(text))

    def themes(self) -> Sequence[str]:
        return self.main.desk.themes()

    def use_theme(self, name: str) -> None:
        self.main.desk.use_theme(name)

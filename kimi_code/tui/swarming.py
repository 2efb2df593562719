"""The swarms of the conversation on the screen: what is known of them, and what the person does about them."""

import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal

from textual.message import Message

from kimi_code.errors import KimiError
from kimi_code.events import Record, RequestClosed, RequestOpened, SwarmPlanned
from kimi_code.session.swarm_board import Board, Row, SwarmBoards
from kimi_code.session.swarms import Account, SwarmDesk

if TYPE_CHECKING:
    from kimi_code.tui.screens.main import MainScreen
    from kimi_code.tui.screens.swarm import View
    from kimi_code.tui.strips.swarm import Place
    from kimi_code.tui.widgets.swarm import SwarmPanel

Deed = Literal["open", "graph", "timeline", "kill", "retry", "steer", "answer"]
_TWICE = 3.0  # seconds within which a second press kills


class Wanted(Message):
    """The person wants something done about a task."""

    def __init__(self, deed: Deed, place: "Place") -> None:
        super().__init__()
        self.deed: Deed = deed
        self.place = place


class Left(Message):
    """The panel gives the keyboard back."""


class Swarming:
    """Hears every record. The panel is made with the first swarm, so that a session without one pays nothing."""

    def __init__(self, screen: "MainScreen") -> None:
        self._screen = screen
        self._known = SwarmBoards()
        self._killing: tuple[Place, float] | None = None
        self._asked_by: dict[str, str] = {}

    # --- What is known ---

    def load(self, records: Iterable[Record]) -> None:
        """Another session's in place of those."""
        self._known = SwarmBoards(records)
        self._asked_by.clear()
        self._touch()

    def hear(self, record: Record) -> None:
        """One more record, of any agent."""
        changed = self._known.apply(record)
        match record.event:
            case SwarmPlanned():
                self._show_panel()
            case RequestOpened(request_id=id):
                self._asked_by[id] = record.agent
            case RequestClosed(request_id=id):
                self._asked_by.pop(id, None)
            case _:
                pass
        if changed:
            self._touch()

    @property
    def boards(self) -> Sequence[Board]:
        """The user's agent's own swarms that run; those of sub-agents are what these do."""
        return [board for board in self._known.boards.values() if not board.outcome and board.owner == "main"]

    @property
    def newest(self) -> Board | None:
        """The newest swarm, over or not."""
        return next((board for board in reversed(self._known.boards.values()) if board.owner == "main"), None)

    def board(self, swarm: str) -> Board | None:
        """A swarm by its id."""
        return self._known.boards.get(swarm)

    def row(self, place: "Place") -> Row | None:
        """A task."""
        board = self._known.boards.get(place.swarm)
        return board.rows.get(place.task) if board else None

    def account(self, swarm: str) -> Account | None:
        """What a swarm spent."""
        session = self._screen.conversation.session
        return session.swarms.account(swarm) if session is not None and session.swarms is not None else None

    # --- The panel ---

    @property
    def panel(self) -> "SwarmPanel | None":
        """Once there was a swarm."""
        from kimi_code.tui.widgets.swarm import SwarmPanel

        return next(iter(self._screen.query(SwarmPanel)), None)

    def _show_panel(self) -> None:
        from kimi_code.tui.widgets.swarm import SwarmPanel

        if self.panel is None:
            panel = SwarmPanel(lambda: self.boards, self.account, self._screen.host.preferences.keys, id="swarm")
            self._screen.query_one("#column").mount(panel, before="#activity")

    def _touch(self) -> None:
        if self._known.boards and (panel := self.panel) is not None:
            panel.touch()

    def enter(self, *, asked: bool = False) -> bool:
        """Give the panel the keyboard, or open the newest swarm's timeline; False where there never was a swarm.

        Where the person is `asked` something, which has the keyboard, a swarm that runs is shown as its graph.
        """
        panel = self.panel
        if self.boards and asked:
            self.look("graph", self.boards[-1].id)
            return True
        if self.boards and panel is not None and panel.display:
            panel.focus()
            return True
        if (newest := self.newest) is None:
            return False
        self.look("timeline", newest.id)
        return True

    # --- What the person wants ---

    def look(self, view: "View", swarm: str, chosen: "Place | None" = None) -> None:
        """The graph or the timeline, on a screen of its own."""
        from kimi_code.tui.screens.swarm import SwarmScreen

        self._screen.app.push_screen(SwarmScreen(self, view, swarm, chosen, self._screen.host.preferences.keys))

    async def do(self, deed: Deed, place: "Place") -> None:
        """One of the panel's keys; what goes wrong is said."""
        try:
            await self._do(deed, place)
        except KimiError as error:
            self._screen.app.notify(str(error), severity="warning", markup=False)

    async def _do(self, deed: Deed, place: "Place") -> None:
        match deed:
            case "open":
                self._open(place)
            case "graph" | "timeline":
                self.look(deed, place.swarm, place)
            case "kill":
                self._kill(place)
            case "retry":
                self._desk.retry(place.swarm, place.task)
                self._tell(f"{place.task} begins anew.")
            case "steer":
                await self._steer(place)
            case "answer":
                self._answer(place)

    @property
    def _desk(self) -> SwarmDesk:
        desk = self._screen.session.swarms
        if desk is None:
            raise KimiError("This session can have no sub-agents.")
        return desk

    def _row(self, place: "Place") -> Row:
        row = self.row(place)
        if row is None:
            raise KimiError(f"There is no task {place.task} any more.")
        return row

    def _open(self, place: "Place") -> None:
        from kimi_code.tui.screens.agent import AgentScreen
        from kimi_code.tui.strips.swarm import doing

        row = self._row(place)
        if not row.agent:
            raise KimiError(f"{place.task} has no agent yet: {doing(row)[2]}.")
        self._screen.app.push_screen(AgentScreen(self, self._screen.session, place, row.agent, self._screen.host))

    def _kill(self, place: "Place") -> None:
        now = time.monotonic()
        if self._row(place).over:
            raise KimiError(f"{place.task} is over already.")
        if self._killing is not None and self._killing[0] == place and now - self._killing[1] < _TWICE:
            self._killing = None
            self._desk.cancel(place.swarm, place.task)
            self._tell(f"{place.task} is cancelled.")
        else:
            self._killing = place, now
            self._tell(f"Once more kills {place.task}; what it did is not merged.")

    async def _steer(self, place: "Place") -> None:
        if self._row(place).over:
            raise KimiError(f"{place.task} is over: nobody would read it.")
        words = await self._screen.desk.ask_line(f"Say to {place.task}")
        if words and words.strip():
            self._desk.steer(place.swarm, place.task, words.strip())
            self._tell(f"Said to {place.task}; it reads it at its next step.")

    def _answer(self, place: "Place") -> None:
        row = self._row(place)
        if not row.requests:
            raise KimiError(f"{place.task} asks nothing.")
        app = self._screen.app
        while app.screen is not self._screen:
            app.pop_screen()
        self._screen.requests.choose(row.requests[0])

    def _tell(self, words: str) -> None:
        self._screen.app.notify(words, timeout=_TWICE, markup=False)

    def timeline(self, board: Board, width: int) -> Sequence[str]:
        """A swarm's course in lines; what stands in the way is said in them."""
        try:
            return self._desk.timeline(board.owner, board.id, width)
        except KimiError as error:
            return ("Timeline", str(error))


def name_of(agent: str) -> str:
    """An agent as a person knows it: its path without the user's own agent; "" for that one."""
    return agent.partition("/")[2]

"""A swarm on a screen of its own: the graph of its tasks, or its timeline; live while it runs."""

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, cast

from textual import on
from textual.app import ComposeResult
from textual.screen import Screen

from kimi_code.tui.keys import bindings, keys_of
from kimi_code.tui.strips.line import Line
from kimi_code.tui.strips.swarm import Place, graph, graph_lines, head_lines, timeline_lines
from kimi_code.tui.swarming import Deed
from kimi_code.tui.widgets.hint import Hint
from kimi_code.tui.widgets.lines import LinesView
from kimi_code.tui.widgets.swarm import HINTS, LOOKS

if TYPE_CHECKING:
    from kimi_code.session.swarm_board import Board
    from kimi_code.tui.swarming import Swarming

View = Literal["graph", "timeline"]
_EVERY: Mapping[View, float] = {"graph": 0.5, "timeline": 2.0}  # seconds; a timeline is read from the disk


class SwarmScreen(Screen[None]):
    """Keys act on the line that is chosen in the graph; the timeline is only looked at."""

    BINDINGS = bindings("list", "scroll", "agent")

    def __init__(
        self, swarming: "Swarming", view: View, swarm: str, chosen: Place | None, keys: Mapping[str, str]
    ) -> None:
        """`keys` are the user's own, by the ids of bindings."""
        super().__init__()
        self._swarming, self._swarm, self._keys = swarming, swarm, keys
        self._view: View = view
        self._wanted = chosen
        self._made_at = 0.0
        self._ended = False

    def compose(self) -> ComposeResult:
        head = LinesView(self._head, id="swarm-head")
        yield head
        yield LinesView(self._lines, id="swarm-body")
        yield Hint(id="swarm-hint")

    def on_mount(self) -> None:
        # A cursor needs lines, and they a width. A key may have chosen the other view by then.
        self.call_after_refresh(lambda: self._show(self._view))
        self.set_interval(min(_EVERY.values()), self._again)

    @property
    def _board(self) -> "Board":
        board = self._swarming.board(self._swarm)
        assert board is not None  # boards go with their session, and this screen with it
        return board

    @property
    def _body(self) -> LinesView:
        return self.query_one("#swarm-body", LinesView)

    def _head(self, width: int) -> Sequence[Line]:
        return head_lines((self._board,), width, time.time(), self._swarming.account(self._swarm))

    def _lines(self, width: int) -> Sequence[Line]:
        if self._view == "graph":
            return graph_lines((self._board,), width, time.time())
        return timeline_lines(self._swarming.timeline(self._board, width - 1), width)

    def _show(self, view: View) -> None:
        self._view = view
        order = [place for place, _ in graph((self._board,))]
        at = order.index(self._wanted) if self._wanted in order else 0
        self._body.show(self._lines, cursor=at if view == "graph" else -1)
        self._made_at = time.monotonic()
        hints = LOOKS if all(row.over for row in self._board.rows.values()) else HINTS
        deeds = [(deed, words) for deed, words in hints if view == "graph" or deed in ("graph", "timeline")]
        named = "   ".join(f"{keys_of(f'agent.{deed}', self._keys).split(',')[0]} {words}" for deed, words in deeds)
        self.query_one("#swarm-hint", Hint).say(f"{named}   Esc close")

    def _again(self) -> None:
        if self._swarming.board(self._swarm) is None:
            self.dismiss(None)
            return
        if self._ended:
            return
        self._ended = bool(self._board.outcome)  # which is drawn once
        self.query_one("#swarm-head", LinesView).remake()
        if self._ended or time.monotonic() - self._made_at >= _EVERY[self._view]:
            self._made_at = time.monotonic()
            self._body.remake()

    # --- Keys ---

    def _chosen(self) -> Place | None:
        order = graph((self._board,))
        at = self._body.cursor
        return order[at][0] if self._view == "graph" and 0 <= at < len(order) else None

    def action_deed(self, deed: str) -> None:
        if deed in ("graph", "timeline"):
            self._wanted = self._chosen() or self._wanted
            self._show(deed)
        elif (chosen := self._chosen()) is not None:
            self.run_worker(self._swarming.do(cast("Deed", deed), chosen))

    def action_move(self, by: int) -> None:
        if self._view == "graph":
            self._body.move_to(self._body.cursor + by)
        else:
            self._body.scroll_relative(y=by, animate=False)

    @on(LinesView.Clicked)
    def _clicked(self, event: LinesView.Clicked) -> None:
        if self._view == "graph" and event.view is self._body:
            self._body.move_to(event.line)

    def action_page(self, by: int) -> None:
        self._body.page(by)

    def action_take(self) -> None:
        self.action_deed("open")

    def action_close(self) -> None:
        self.dismiss(None)

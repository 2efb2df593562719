"""What one agent of a swarm said and did, live; what was before from its journal."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from textual.app import ComposeResult
from textual.screen import Screen

from kimi_code.session.swarms import records_of
from kimi_code.tui.host import Host
from kimi_code.tui.keys import bindings, keys_of
from kimi_code.tui.strips.line import Line, Span, fit, plain, width_of
from kimi_code.tui.strips.swarm import Place, cell_spans
from kimi_code.tui.swarming import Deed
from kimi_code.tui.widgets.hint import Hint
from kimi_code.tui.widgets.lines import LinesView
from kimi_code.tui.widgets.swarm import HINTS
from kimi_code.tui.widgets.transcript import TranscriptView

if TYPE_CHECKING:
    from kimi_code.session.session import Session
    from kimi_code.tui.swarming import Swarming

_TICK = 0.5


class AgentScreen(Screen[None]):
    """Follows the records of `agent`, which works on the task of `place`."""

    BINDINGS = bindings("list", "scroll", "agent")

    def __init__(self, swarming: "Swarming", session: "Session", place: Place, agent: str, host: Host) -> None:
        super().__init__()
        self._swarming, self._session, self._place, self._agent = swarming, session, place, agent
        self._host = host
        self._stop: Callable[[], None] = lambda: None

    def compose(self) -> ComposeResult:
        yield LinesView(self._head, id="agent-head")
        view = TranscriptView(agent=self._agent, cwd=str(self._host.folder), id="agent-transcript")
        view.can_focus = False
        yield view
        keys = self._host.preferences.keys
        named = [(deed, words) for deed, words in HINTS if deed not in ("open", "timeline", "graph")]
        hint = "   ".join(f"{keys_of(f'agent.{deed}', keys).split(',')[0]} {words}" for deed, words in named)
        yield Hint(f"{hint}   {keys_of('screen.fold', keys)} unfold   Esc close", id="agent-hint")

    def on_mount(self) -> None:
        view = self._view
        # In one go: nothing can be published between what the journal has and what is heard.
        view.load(records_of(self._session.meta.path, self._agent))
        self._stop = self._session.subscribe(view.append)
        self.set_interval(_TICK, self.query_one("#agent-head", LinesView).remake)

    def on_unmount(self) -> None:
        self._stop()

    @property
    def _view(self) -> TranscriptView:
        return self.query_one("#agent-transcript", TranscriptView)

    def _head(self, width: int) -> list[Line]:
        row = self._swarming.row(self._place)
        if row is None:
            return [Line((Span(f" {self._place.task}", "strong"),))]
        name = min(width_of(self._place.task), 40)
        state = Line(tuple(cell_spans(self._place.task, row, width, name, time.time())))
        kind = f"{row.plan.agent} · {row.plan.mode}" + (f" · {' '.join(row.plan.scope)}" if row.plan.scope else "")
        return [state, Line((Span(f" {fit(plain(kind), width - 1)}", "muted"),))]

    # --- Keys ---

    def action_deed(self, deed: str) -> None:
        if deed in ("graph", "timeline"):
            self._swarming.look("graph" if deed == "graph" else "timeline", self._place.swarm, self._place)
        elif deed != "open":
            self.run_worker(self._swarming.do(cast("Deed", deed), self._place))

    def action_toggle_cards(self) -> None:
        self._view.toggle_all()

    def action_move(self, by: int) -> None:
        self._view.scroll_relative(y=by, animate=False)

    def action_page(self, by: int) -> None:
        (self._view.scroll_page_down if by > 0 else self._view.scroll_page_up)(animate=False)

    def action_take(self) -> None:
        self._view.follow()

    def action_close(self) -> None:
        self.dismiss(None)

"""The panel of the swarms that run: a head for the whole, a grid of the agents. Calm until it has the keyboard."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, cast

from textual import events

from kimi_code.session.swarm_board import Board, Row
from kimi_code.session.swarms import Account
from kimi_code.tui.keys import bindings, keys_of
from kimi_code.tui.strips.line import FANCY, Line, Span, width_of
from kimi_code.tui.strips.swarm import Place, columns, grid_lines, head_lines, places, urgent
from kimi_code.tui.swarming import Deed, Left, Wanted
from kimi_code.tui.timing import after
from kimi_code.tui.widgets.lines import LinesView

if TYPE_CHECKING:
    from kimi_code.tui.app import KimiApp

FRAME = 1 / 8  # seconds between repaints, at least
_REST = 5  # times as long as a repaint worked, from one to the next
_TICK = 1.0
_HEAD = 2  # lines

HINTS: tuple[tuple[Deed, str], ...] = (
    ("open", "open"),
    ("graph", "graph"),
    ("timeline", "timeline"),
    ("steer", "steer"),
    ("kill", "kill"),
    ("retry", "retry"),
    ("answer", "answer"),
)


LOOKS = tuple(hint for hint in HINTS if hint[0] in ("open", "graph", "timeline"))  # when all tasks are over


class SwarmPanel(LinesView, can_focus=True):
    """Shows `boards()`, those that run; hidden where there are none. `touch` says that something changed."""

    BINDINGS = bindings("swarm", "agent")

    app: "KimiApp"

    def __init__(
        self,
        boards: Callable[[], Sequence[Board]],
        account: Callable[[str], Account | None],
        keys: Mapping[str, str],
        *,
        id: str | None = None,
    ) -> None:
        """`keys` are the user's own, by the ids of bindings."""
        super().__init__(self._lines_now, id=id)
        self.can_focus = True
        self._boards, self._account, self._keys = boards, account, keys
        self._chosen: Place | None = None
        self._dirty = False
        self._next = 0.0
        self.repaints = 0  # for measuring
        self._shown: list[Place] = []

    def on_mount(self) -> None:
        self._ticking = self.set_interval(_TICK, self.touch, pause=True)
        self.touch()

    @property
    def chosen(self) -> Place | None:
        """The task that keys are about."""
        return self._chosen

    @property
    def shown(self) -> Sequence[Place]:
        """The tasks in the grid, in order."""
        return self._shown

    # --- Repainting ---

    def touch(self) -> None:
        """Something changed; it is seen soon, and not more often than is worth it."""
        if not self._dirty and self.is_attached:
            self._dirty = True
            after(max(self._next - time.monotonic(), 0.001), self, self._repaint)

    def _repaint(self) -> None:
        began, worked = time.monotonic(), time.thread_time()
        self._dirty = False
        boards = self._boards()
        if self.display != bool(boards):
            self.display = bool(boards)
            (self._ticking.resume if boards else self._ticking.pause)()
            if not boards and self.has_focus:
                self.post_message(Left())
        if boards and self.app.screen is self.screen:
            self.repaints += 1
            self.remake()
        self._next = began + max(FRAME, _REST * (time.thread_time() - worked))

    def remake(self) -> None:
        before = len(self.lines)
        super().remake()
        if len(self.lines) != before:
            self.styles.height = len(self.lines) + 1  # the line above

    def _lines_now(self, width: int) -> Sequence[Line]:
        boards = self._boards()
        if not boards:
            return ()
        now, rows = time.time(), places(boards)
        account = self._account(boards[0].id) if len(boards) == 1 else None
        head = head_lines(boards, width, now, account)
        if not self.has_focus:
            return [*head, *self._calm(rows, width, now)]
        over = all(row.over for row in rows.values())
        hint = _fitting(_hint(self._keys, LOOKS if over else HINTS), width - 2)
        return [*head, *self._whole(rows, width, now), Line((Span(f" {hint}", "muted"),))]

    def _calm(self, rows: dict[Place, Row], width: int, now: float) -> list[Line]:
        """Those that deserve a look, in few lines."""
        most = self._room() * columns(width)
        found = urgent(rows)
        self._shown = found if len(found) <= most else found[: most - 1]
        lines = grid_lines(rows, self._shown, width, now)
        more = f"{FANCY.more} {len(found) - len(self._shown)} more · " if len(found) > len(self._shown) else ""
        # Where all tasks are over, and only the user is waited for, nobody is left to be steered.
        purpose = "look" if all(row.over for row in rows.values()) else "steer"
        hint = Span(f" {more}{keys_of('screen.swarm', self._keys).split(',')[0]} to {purpose}", "muted")
        used = len(self._shown) % columns(width)
        if lines and used:
            return [*lines[:-1], Line((*lines[-1].spans, hint))]
        return [*lines, Line((hint,))]

    def _whole(self, rows: dict[Place, Row], width: int, now: float) -> list[Line]:
        """All, by the rows around the chosen one."""
        self._shown = list(rows)
        if self._chosen not in rows:
            self._chosen = next(iter(urgent(rows)), self._shown[0])
        count = columns(width)
        high = max(self.app.size.height * 2 // 5 - _HEAD - 1, 3)
        at = self._shown.index(self._chosen) // count
        total = (len(self._shown) + count - 1) // count
        top = max(min(at - high // 2, total - high), 0)
        part = self._shown[top * count : (top + high) * count]
        return grid_lines(rows, part, width, now, chosen=self._chosen)

    def _room(self) -> int:
        """Lines of the grid while it has not the keyboard."""
        height = self.app.size.height
        return 1 if height < 20 else 2 if height < 30 else 3 if height < 42 else 6

    # --- Keys ---

    def on_focus(self) -> None:
        self._chosen = None
        self.remake()

    def on_blur(self) -> None:
        self.remake()

    def on_click(self, event: events.Click) -> None:
        self.focus()

    def action_walk(self, across: int, down: int) -> None:
        """Another one is chosen."""
        if self._chosen in self._shown:
            at = self._shown.index(self._chosen) + across + down * columns(self.scrollable_content_region.width)
            if 0 <= at < len(self._shown):
                self._chosen = self._shown[at]
                self.remake()

    def action_deed(self, deed: str) -> None:
        if self._chosen is not None:
            self.post_message(Wanted(cast("Deed", deed), self._chosen))

    def action_back(self) -> None:
        self.post_message(Left())


def _hint(keys: Mapping[str, str], hints: Sequence[tuple[Deed, str]]) -> tuple[str, ...]:
    named = (f"{keys_of(f'agent.{deed}', keys).split(',')[0]} {words}" for deed, words in hints)
    return (*named, f"{keys_of('swarm.back', keys)} back", "←↑↓→ choose")


def _fitting(parts: Sequence[str], width: int) -> str:
    """As many of them as there is room for; none is cut."""
    count = len(parts)
    while count > 1 and width_of("  ".join(parts[:count])) > width:
        count -= 1
    return "  ".join(parts[:count])

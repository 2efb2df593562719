"""The status line, and the line that says what is going on."""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.content import Content
from textual.widgets import Static

from kimi_code.tui.doing import ASKING
from kimi_code.tui.host import Place
from kimi_code.tui.strips.figures import money, short
from kimi_code.tui.strips.line import fit, fit_end
from kimi_code.tui.theme import MUTED

if TYPE_CHECKING:
    from kimi_code.session.standing import Standing

_BETWEEN = " · "
_FOLDER_LEAST = 12  # cells
_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


class StatusLine(Static):
    """Folder and branch, model, permission mode, context, tokens and money."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__("", id=id, markup=False)
        self._place = Place("")
        self._standing: Standing | None = None
        self._mode = ""

    def show_mode(self, mode: str) -> None:
        """How the prompt takes keys; "" where there is only one way."""
        self._mode = mode
        self._redraw()

    def show_place(self, place: Place) -> None:
        """Where the folder stands."""
        self._place = place
        self._redraw()

    def show_standing(self, standing: "Standing | None") -> None:
        """Where the session stands; None while it is opened."""
        if standing != self._standing:
            self._standing = standing
            self._redraw()

    def on_resize(self) -> None:
        self._redraw()

    def _redraw(self) -> None:
        mode = [Content.styled(self._mode.upper(), "bold")] if self._mode else []
        rest, room = _parts(self._place, self._standing), self.size.width or 80
        # The end of the folder tells which one it is; the numbers behind it tell more than its beginning.
        taken = sum(part.cell_length + len(_BETWEEN) for part in (*mode, *rest))
        folder = fit_end(self._place.folder, max(room - taken, min(_FOLDER_LEAST, room)))
        parts = [*mode, Content.styled(folder, MUTED), *rest]
        # What may run unasked has to be seen; the folder is known.
        seen = parts[: len(mode) + 1 + bool(self._place.branch) + 2 * bool(self._standing)]
        if self._standing and sum(part.cell_length + len(_BETWEEN) for part in seen) - len(_BETWEEN) > room:
            del parts[len(mode)]
        line = Content("")
        for part in parts:
            # The last ones go first where there is no room.
            longer = Content.assemble(line, (_BETWEEN, MUTED), part) if line.plain else part
            if longer.cell_length > room:
                break
            line = longer
        self.update(line, layout=False)


def _parts(place: Place, standing: "Standing | None") -> list[Content]:
    parts: list[Content] = []
    if place.branch:
        changed = f" ±{place.changed}" if place.changed else ""
        parts.append(Content.assemble((place.branch, MUTED), (changed, "$text-warning")))
    if standing is None:
        return parts
    thinking = f" thinking {standing.thinking}" if standing.thinking not in (None, "off") else ""
    share = 100 * standing.context_used / max(standing.context_limit, 1)
    mode = standing.permission_mode
    style = "$text-error" if mode == "yolo" else "$text-accent" if mode == "plan" else MUTED
    parts += [
        Content.styled(f"{standing.model}{thinking}", MUTED),
        Content.styled(mode, style),
        Content.styled(f"{share:.0f} % of context", "$text-warning" if share > 70 else MUTED),
    ]
    if standing.tokens:
        parts.append(
            Content.styled(" ".join((f"{short(standing.tokens)} tokens", money(standing.cost_usd))).rstrip(), MUTED)
        )
    return parts


@dataclass(slots=True)
class Doing:
    """What is going on: words, since when (monotonic seconds), until when it waits (None: it does not).

    `rests` when it is the person's turn: no mark turns, no clock runs.
    """

    words: str
    since: float
    until: float | None = None
    hint: str = ""
    rests: bool = False


class Activity(Static):
    """One line above the prompt while something is going on; empty else."""

    def __init__(self, *, still: bool = False, id: str | None = None) -> None:
        super().__init__("", id=id, markup=False)
        self._doing: Doing | None = None
        self._still = still
        self._frame = 0
        self._ticking = self.set_interval(0.5 if still else 0.125, self._tick, pause=True)

    @property
    def words(self) -> str:
        """What it says, without the mark and the time; "" when nothing is going on."""
        return self._doing.words if self._doing else ""

    @property
    def rests(self) -> bool:
        """Whether nothing moves: nothing is going on, or it is the person's turn."""
        return self._doing is None or self._doing.rests

    def show(self, words: str, *, hint: str = "", wait: float | None = None, rests: bool = False) -> None:
        """Say what is going on; "" for nothing. `wait` is the seconds until it goes on by itself."""
        now = time.monotonic()
        if not words:
            self._doing = None
            self._ticking.pause()
        else:
            same = self._doing is not None and self._doing.words == words and wait is None
            if same and self._doing and (self._doing.hint, self._doing.until) == (hint, None):
                return  # said with each piece of an answer
            since = self._doing.since if same and self._doing else now
            self._doing = Doing(words, since, None if wait is None else now + wait, hint, rests)
            (self._ticking.pause if rests else self._ticking.resume)()
        self._redraw()

    def hurry(self) -> None:
        """What was waited for is done now."""
        if self._doing is not None and self._doing.until is not None:
            self._doing.until = time.monotonic()
            self._redraw()

    def _tick(self) -> None:
        self._frame += 1
        self._redraw()

    def _redraw(self) -> None:
        doing, now = self._doing, time.monotonic()
        if doing is None:
            self.update("", layout=False)
            return
        if doing.until is not None and doing.until <= now:
            self._doing = doing = Doing(ASKING.words, doing.until, hint=ASKING.hint)
        mark = "●" if self._still or doing.rests else _FRAMES[self._frame % len(_FRAMES)]
        if doing.rests:
            clock = ""
        elif doing.until is None:
            clock = f" · {now - doing.since:.0f} s" if now - doing.since >= 1 else ""
        else:
            clock = f" in {max(doing.until - now, 0):.0f} s"
        after = f"{clock}  {doing.hint}".rstrip()
        # One line high whatever it says: nothing else has to move. What one can do is never cut.
        words = fit(doing.words, max((self.size.width or 80) - len(after) - 2, 8))
        self.update(Content.assemble((f"{mark} ", "$text-accent"), words, (after, MUTED)), layout=False)

    def on_resize(self) -> None:
        self._redraw()

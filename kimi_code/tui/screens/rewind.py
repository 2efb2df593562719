"""What would be put back, before it is: files, conversation or both; what stands in the way. Returns the choice."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from kimi_code.controls import clean
from kimi_code.errors import KimiError
from kimi_code.session.timeline import Action, Resolve, Rewound, RewoundTurn, Scope
from kimi_code.tui.keys import bindings, keys_of
from kimi_code.tui.theme import MUTED
from kimi_code.tui.widgets.hint import Hint
from kimi_code.values import frozen

_SCOPES: dict[Scope, str] = {
    "both": "Files and conversation",
    "code": "Files only",
    "conversation": "Conversation only",
}
_RESOLVES: dict[Resolve, str] = {
    "refuse": "left alone: then nothing is done",
    "merge": "merged, where lines allow it",
    "force": "overwritten",
}
_SIGNS = {"create": "+", "delete": "−", "overwrite": "~", "merge": "~ merged", "chmod": "~ mode"}
_LISTED = 12


@frozen
class Way:
    """How something is to be put back."""

    scope: Scope = "both"
    resolve: Resolve = "refuse"


class RewindScreen(ModalScreen[Way | None]):
    """`preview(way)` says what would happen; nothing is done here."""

    BINDINGS = bindings("list", "rewind")

    def __init__(
        self,
        title: str,
        preview: Callable[[Way], Awaitable[Rewound]],
        *,
        session: str,
        scopes: Sequence[Scope] = ("both", "code", "conversation"),
        way: Way | None = None,
    ) -> None:
        """`session` is the one on the screen: turns of others are named."""
        super().__init__()
        self._title, self._preview, self._session, self._scopes = title, preview, session, scopes
        self._way = way or Way(scopes[0])
        self._ready = False
        self._looking = asyncio.Lock()  # a look that is cancelled takes a moment to end

    def compose(self) -> ComposeResult:
        with Vertical(id="rewind"):
            yield Static(self._title, id="rewind-title", markup=False)
            yield Static("", id="rewind-choices", markup=False)
            yield Static("", id="rewind-preview", markup=False)
            yield Hint(id="rewind-hint")

    def on_mount(self) -> None:
        self._choose(self._way)

    def _choose(self, way: Way) -> None:
        self._way, self._ready = way, False
        lines = [
            Content.assemble(("▸ " if scope == way.scope else "  ", "$accent"), _SCOPES[scope])
            for scope in self._scopes
            if len(self._scopes) > 1
        ]
        if way.scope != "conversation":
            lines.append(Content.assemble(("  files changed since are ", MUTED), _RESOLVES[way.resolve]))
        self.query_one("#rewind-choices", Static).update(Content("\n").join(lines))
        self.run_worker(self._look(way), exclusive=True)

    async def _look(self, way: Way) -> None:
        preview = self.query_one("#rewind-preview", Static)
        preview.update(Content.styled("looking …", MUTED))
        self._hint("")
        try:
            async with self._looking:
                planned = await self._preview(way)
        except KimiError as error:
            preview.update(Content.styled(str(error), "$text-error"))
            return
        self._ready = not planned.report.conflicts
        preview.update(Content("\n").join(describe(planned, self._session)))
        self._hint("Enter do it   " if self._ready else "")

    def _hint(self, first: str) -> None:
        more = "↑ ↓ choose   " if len(self._scopes) > 1 else ""
        resolve = (
            f"{keys_of('rewind.resolve', {})} other ways with files changed since   "
            if self._way.scope != "conversation"
            else ""
        )
        self.query_one("#rewind-hint", Hint).say(f"{first}{more}{resolve}Esc leave")

    def action_move(self, by: int) -> None:
        at = (self._scopes.index(self._way.scope) + by) % len(self._scopes)
        if self._scopes[at] != self._way.scope:
            self._choose(Way(self._scopes[at], self._way.resolve))

    def action_resolve(self) -> None:
        ways = list(_RESOLVES)
        if self._way.scope != "conversation":
            self._choose(Way(self._way.scope, ways[(ways.index(self._way.resolve) + 1) % len(ways)]))

    def action_take(self) -> None:
        if self._ready:
            self.dismiss(self._way)

    def action_close(self) -> None:
        self.dismiss(None)


def describe(rewound: Rewound, session: str) -> Iterator[Content]:
    """What was, or would be, done: turns, files, what stands in the way, what is left out."""
    report = rewound.report
    if report.conflicts:
        yield Content.styled("Nothing is done: it would lose what is in these files now.", "bold $text-error")
        for conflict in report.conflicts[:_LISTED]:
            yield Content.assemble(f"  {clean(conflict.path)}  ", (clean(conflict.reason), MUTED))
        yield from _more(len(report.conflicts))
        return
    for turn in rewound.turns:
        yield _turn(turn, session)
    for action in report.actions[:_LISTED]:
        yield _action(action)
    yield from _more(len(report.actions))
    if not report.actions:
        yield Content.styled("  no file differs", MUTED)
    for note in report.notes:
        yield Content.assemble(("  ! ", "$text-warning"), clean(note))


def _turn(turn: RewoundTurn, session: str) -> Content:
    other = f" of session {turn.session}" if turn.session != session else ""
    what = {
        "rewound": "" if turn.files else "  conversation only",
        "kept": "  files only",
        "gone": "  files only: its conversation is not kept any more",
    }[turn.conversation]
    first = " ".join(clean(line) for line in turn.prompt.split("\n"))
    prompt = first if len(first) <= 60 else f"{first[:59]}…"
    return Content.assemble((f"turn {turn.turn}{other}", "bold"), f"  {prompt}", (what, MUTED))


def _action(action: Action) -> Content:
    style = {"create": "$text-success", "delete": "$text-error"}.get(action.verb, "$text-accent")
    return Content.assemble((f"  {_SIGNS[action.verb]} ", style), clean(action.path))


def _more(count: int) -> Iterator[Content]:
    if count > _LISTED:
        yield Content.styled(f"  and {count - _LISTED} more", MUTED)

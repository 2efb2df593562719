"""The folder's checkpoints: when, why, what changed, and what going back would undo. Returns what is to be done."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Literal, cast

from textual import on
from textual.app import ComposeResult
from textual.containers import Container
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from kimi_code.errors import KimiError
from kimi_code.events import Diff, Hunk
from kimi_code.session.timeline import Checkpoint, Timeline
from kimi_code.tui.keys import bindings, keys_of
from kimi_code.tui.strips.diffs import beginning, diff_lines
from kimi_code.tui.strips.line import BLANK, Line, Span, fit, plain, width_of, wrap
from kimi_code.tui.widgets.hint import Hint
from kimi_code.tui.widgets.lines import LinesView
from kimi_code.values import frozen

Deed = Literal["restore", "diff", "review"]
_FILES_NAMED = 8
_SHOWN_MOST = 3_000  # lines of a preview
_HUNK_MOST = 500  # lines of a hunk in it


@frozen
class Chosen:
    """What is to be done with which checkpoint."""

    deed: Deed
    checkpoint: Checkpoint


class TimelineScreen(Screen[Chosen | None]):
    """`kept` are the checkpoints, newest first; `start` is the id of the one that is chosen at first."""

    BINDINGS = bindings("list", "scroll", "timeline")
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]  # noqa: RUF012  (as Textual declares it)
    DEFAULT_CLASSES = "-wide"  # as most are: nothing has to be styled again once the width is known

    def __init__(self, timeline: Timeline, kept: Sequence[Checkpoint], *, start: str = "") -> None:
        super().__init__()
        self._timeline, self._kept = timeline, kept
        self._at = next((at for at, checkpoint in enumerate(kept) if checkpoint.id == start), 0)

    def compose(self) -> ComposeResult:
        title = Content.assemble(("Timeline", "bold $accent"), f" · {len(self._kept)} checkpoints")
        yield Static(title, id="timeline-title", markup=False)
        with Container(id="timeline-body"):
            yield LinesView(id="timeline-list")
            yield LinesView(id="timeline-diff")
        hint = "   ".join(f"{keys_of(f'timeline.{name}', {})} {name}" for name in ("diff", "review"))
        words = f"Enter restore   {hint}   ↑ ↓ choose   PgUp PgDn scroll   Esc close"
        yield Hint(words, id="timeline-hint")

    def on_mount(self) -> None:
        self.query_one("#timeline-list", LinesView).show(self._list_lines, cursor=self._at)
        self._look()

    @property
    def _chosen(self) -> Checkpoint:
        return self._kept[self._at]

    def _list_lines(self, width: int) -> list[Line]:
        lines: list[Line] = []
        for checkpoint in self._kept:
            when = f" {moment(checkpoint.at)}  "
            count = f"  ±{len(checkpoint.files)}" if checkpoint.files else ""
            room = max(width - width_of(when) - width_of(count) - 1, 1)
            label = fit(plain(checkpoint.label), room)
            own = checkpoint.session == self._timeline.session
            spans = (
                Span(when, "muted"),
                Span(label + " " * max(room - width_of(label), 0), "" if own else "muted"),
                Span(count, "accent"),
            )
            lines.append(Line(spans))
        return lines

    # --- What changed since ---

    def _look(self) -> None:
        self.run_worker(self._show_since(self._chosen), exclusive=True)

    async def _show_since(self, checkpoint: Checkpoint) -> None:
        view = self.query_one("#timeline-diff", LinesView)
        view.show(lambda width: _about(checkpoint, width, self._timeline.session))
        # Whoever walks past it has no need of it.
        await asyncio.sleep(0)
        try:
            since = await self._timeline.since(checkpoint.id)
        except KimiError as error:
            words = str(error)
            view.show(lambda width: [*_about(checkpoint, width, ""), *wrap([Span(words, "error")], width)])
            return
        diffs = await asyncio.to_thread(since.diffs)
        view.show(lambda width: [*_about(checkpoint, width, self._timeline.session), *changed_lines(diffs, width)])

    # --- Keys ---

    def action_move(self, by: int) -> None:
        self._go_to(self._at + by)

    def _go_to(self, at: int) -> None:
        at = max(min(at, len(self._kept) - 1), 0)
        if at != self._at:
            self._at = at
            self.query_one("#timeline-list", LinesView).move_to(at)
            self._look()

    @on(LinesView.Clicked)
    def _clicked(self, event: LinesView.Clicked) -> None:
        if event.view.id == "timeline-list":
            self._go_to(event.line)

    def action_page(self, by: int) -> None:
        self.query_one("#timeline-diff", LinesView).page(by)

    def action_take(self) -> None:
        self.dismiss(Chosen("restore", self._chosen))

    def action_choose(self, deed: str) -> None:
        self.dismiss(Chosen(cast("Deed", deed), self._chosen))

    def action_close(self) -> None:
        self.dismiss(None)


def moment(at: float) -> str:
    """The time of today, or the day."""
    when = datetime.fromtimestamp(at)
    today = datetime.fromtimestamp(time.time()).date()
    return when.strftime("%H:%M") if when.date() == today else when.strftime("%d %b %H:%M")


def _about(checkpoint: Checkpoint, width: int, session: str) -> list[Line]:
    when = datetime.fromtimestamp(checkpoint.at).strftime("%Y-%m-%d %H:%M:%S")
    whose = f" · session {checkpoint.session}" if checkpoint.session and checkpoint.session != session else ""
    lines = wrap([Span(plain(checkpoint.label), "strong")], width)
    lines += wrap([Span(f"{checkpoint.id} · {when}{whose}", "muted")], width)
    lines += [Line((Span(fit(plain(f"! {note}"), width), "warning"),)) for note in checkpoint.notes]
    if checkpoint.files:
        lines += [BLANK, Line((Span("Changed before it", "muted"),))]
        signs = {"created": "+", "deleted": "−"}
        for change in checkpoint.files[:_FILES_NAMED]:
            sign = signs.get(change.change, "~")
            lines.append(Line((Span(fit(f"  {sign} {plain(change.path)}", width)),)))
        if len(checkpoint.files) > _FILES_NAMED:
            lines.append(Line((Span(f"  and {len(checkpoint.files) - _FILES_NAMED} more", "muted"),)))
    return [*lines, BLANK]


def changed_lines(diffs: Sequence[Diff], width: int) -> list[Line]:
    """All diffs, each below its path, the long ones up to a point."""
    if not diffs:
        return [Line((Span("The files are as they were then.", "muted"),))]
    lines = [Line((Span("Changed since", "muted"),))]
    for diff in diffs:
        if len(lines) > _SHOWN_MOST:
            lines.append(Line((Span(f"… and more: {len(diffs)} changes in all", "muted"),)))
            break
        counts = (Span(f"  +{diff.added}", "added-count"), Span(f" −{diff.removed}", "removed-count"))
        detail = diff.detail or ("" if diff.change == "modified" else diff.change)
        lines += [BLANK, Line((Span(plain(diff.path), "strong"), *counts, Span(f"  {detail}", "muted")))]
        lines += _some_of(diff, width, _SHOWN_MOST - len(lines))
    return lines


def _some_of(diff: Diff, width: int, room: int) -> list[Line]:
    """The diff's lines, the first hunks of very many and the beginning of very long ones."""
    kept: list[Hunk] = []
    left = 0
    for hunk in diff.hunks:
        shown, rest = beginning(hunk, _HUNK_MOST) if room > 0 else (None, len(hunk.lines))
        left += rest
        if shown is not None:
            kept.append(shown)
            room -= len(shown.lines)
    more = [Line((Span(f"… {left:,} more lines", "muted"),))] if left else []
    return [*diff_lines(replace(diff, hunks=tuple(kept)), width), *more]

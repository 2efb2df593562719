"""The side bar: the agent's plan, the files changed in the session, and its newest checkpoints."""

from collections.abc import Iterable
from datetime import datetime

from textual.content import Content
from textual.widgets import Static

from kimi_code.controls import clean
from kimi_code.events import (
    CheckpointCreated,
    Diff,
    FileChange,
    PlanUpdated,
    Record,
    TodoItem,
    ToolEnded,
    TurnEnded,
)
from kimi_code.tui.hanging import hanging
from kimi_code.tui.strips.line import FANCY, fit, fit_end
from kimi_code.tui.theme import MUTED

_CHECKPOINTS = 5  # the newest ones
_MARKS = {"pending": FANCY.unchecked, "in_progress": FANCY.agent, "done": FANCY.checked}
_USUAL = 34  # cells, before it has a width


class Sidebar(Static):
    """Follows Records; shows the plan, the changes, the checkpoints."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__("", id=id, markup=False)
        self._plan: tuple[TodoItem, ...] = ()
        self._settled: dict[str, tuple[int, int]] = {}
        self._unsettled: dict[str, tuple[int, int]] = {}
        self._checkpoints: list[Record] = []

    def load(self, records: Iterable[Record]) -> None:
        """Another session's records in place of what is shown."""
        self._plan, self._settled, self._unsettled = (), {}, {}
        self._checkpoints.clear()
        for record in records:
            self._take(record)
        self._redraw()

    def append(self, record: Record) -> None:
        """One more record."""
        if self._take(record):
            self._redraw()

    def show_changes(self, changes: Iterable[FileChange]) -> None:
        """What differs in truth, after turns or files were put back."""
        self._settled, self._unsettled = {}, {}
        for change in changes:
            _add(self._settled, change)
        self._redraw()

    def _take(self, record: Record) -> bool:
        match record.event:
            case PlanUpdated(items=items):
                self._plan = items
            case ToolEnded(status="done", blocks=blocks):
                diffs = [block for block in blocks if isinstance(block, Diff)]
                for diff in diffs:
                    _add(self._unsettled, diff)
                return bool(diffs)
            case TurnEnded(files_changed=files):
                # What a turn compared at its end is the truth, commands' changes included.
                self._unsettled.clear()
                for change in files:
                    _add(self._settled, change)
            case CheckpointCreated():
                self._checkpoints = [*self._checkpoints[1 - _CHECKPOINTS :], record]
            case _:
                return False
        return True

    def toggle(self) -> None:
        """Show it, or hide it."""
        self.display = not self.display
        self._redraw()

    def _redraw(self) -> None:
        if not self.display:
            return
        room = max(self.size.width or _USUAL, 1)
        lines: list[Content] = [Content.styled("Plan", "bold")]
        lines += [line for item in self._plan for line in _todo(item, room)] or [Content.styled("no plan yet", MUTED)]
        lines += [Content(""), Content.styled("Changed", "bold")]
        changed = dict(self._settled)
        for path, (added, removed) in self._unsettled.items():
            before = changed.get(path, (0, 0))
            changed[path] = (before[0] + added, before[1] + removed)
        changes = [_change(path, *counts, room) for path, counts in changed.items()]
        lines += changes or [Content.styled("nothing", MUTED)]
        lines += [Content(""), Content.styled("Checkpoints", "bold")]
        newest = [_checkpoint(record, room) for record in reversed(self._checkpoints)]
        lines += newest or [Content.styled("none yet", MUTED)]
        self.update(Content("\n").join(lines))

    def on_resize(self) -> None:
        self._redraw()


def _add(into: dict[str, tuple[int, int]], change: Diff | FileChange) -> None:
    added, removed = into.get(change.path, (0, 0))
    into[change.path] = (added + change.added, removed + change.removed)


def _todo(item: TodoItem, room: int) -> list[Content]:
    style = {"pending": "", "in_progress": "bold", "done": MUTED}[item.status]
    mark = Content.styled(f"{_MARKS[item.status]} ", "$text-accent")
    return hanging(mark, Content.styled(clean(item.text), style), room)


def _change(path: str, added: int, removed: int, room: int) -> Content:
    counts = Content.assemble((f"  +{added}", "$text-success"), (f" {FANCY.minus}{removed}", "$text-error"))
    return Content.assemble(fit_end(clean(path), max(room - counts.cell_length, 1)), counts)


def _checkpoint(record: Record, room: int) -> Content:
    assert isinstance(record.event, CheckpointCreated)
    at = datetime.fromtimestamp(record.at).strftime("%H:%M  ")
    count = f"  ±{len(record.event.files)}" if record.event.files else ""
    label = fit(clean(record.event.label), max(room - len(at) - len(count), 1))
    return Content.assemble((at, MUTED), label, (count, "$accent"))

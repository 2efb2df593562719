"""A swarm's course as a picture: a bar per task, merges as ticks, waiting hatched, the critical path marked. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import Literal

from kimi_code.events import SwarmMetrics, TaskState
from kimi_code.swarm.digest import clip
from kimi_code.swarm.metrics import Course, Span, course, of_course
from kimi_code.swarm.states import ACTIVE, BAD, Entry
from kimi_code.values import frozen

_GAP = 0.05  # seconds after which a ready task is said to have waited for a place

Kind = Literal["work", "check", "merge", "queue", "wait"]
_KINDS: dict[TaskState, Kind] = {
    TaskState.READY: "queue",
    TaskState.RUNNING: "work",
    TaskState.CHECKING: "check",
    TaskState.MERGING: "merge",
}


@frozen
class Bar:
    """A stretch of a row, in seconds since the swarm began; "queue" is ready without a place."""

    start: float
    end: float
    kind: Kind
    cause: str = ""


@frozen
class Row:
    """A task's life. `critical` says that the end of the whole hung on it, `merged` when its changes were in."""

    task: str
    state: TaskState
    bars: tuple[Bar, ...]
    critical: bool
    merged: float | None = None


@frozen
class Timeline:
    """The whole picture; `rows` in the order of their starts. `title` and the names of tasks are plain text."""

    title: str
    seconds: float
    rows: tuple[Row, ...]
    caption: tuple[str, ...]


def timeline(entries: Iterable[Entry]) -> Timeline:
    """The picture of a journal. Raises ValueError as `states.replay` does."""
    read = course(entries)
    critical = set(critical_path(read))
    waits: dict[str, list[Bar]] = {}
    for task, cause, start, end in sorted(read.waits, key=lambda wait: wait[2]):
        waits.setdefault(task, []).append(Bar(start, end, "wait", cause))
    rows = [_row(read, task, waits.get(task, []), task in critical) for task in read.swarm.tasks]
    rows.sort(key=lambda row: row.bars[0].start if row.bars else read.wall)
    title = f"{read.swarm.swarm_id} · {clip(read.swarm.plan.goal, 80)}"
    return Timeline(title, read.wall, tuple(rows), tuple(_caption(of_course(read))))


def critical_path(read: Course) -> list[str]:
    """The tasks that the end of the whole hung on, first to last.

    Back from the task that was over last: the one before is the need that was over last, or, for a task that was ready
    and had to wait for a place, the task whose end made one.
    """
    ends: dict[str, float] = {}
    starts: dict[str, float] = {}
    for span in read.work:
        starts.setdefault(span.task, span.start)
        ends[span.task] = max(span.end, ends.get(span.task, 0.0))
    if not ends:
        return []
    path = [max(ends, key=lambda task: ends[task])]
    while True:
        before = _before(read, path[-1], starts, ends)
        if before is None or before in path:
            return path[::-1]
        path.append(before)


def _before(read: Course, task: str, starts: dict[str, float], ends: dict[str, float]) -> str | None:
    start = starts[task]
    queued = sum(s.seconds for s in read.spans if s.task == task and s.state is TaskState.READY and s.end <= start)
    candidates = [other for other in ends if ends[other] <= start and other != task]
    if queued < _GAP:
        candidates = [other for other in candidates if other in read.swarm.plan[task].needs]
    return max(candidates, key=lambda other: ends[other], default=None)


def _row(read: Course, task: str, waits: Sequence[Bar], critical: bool) -> Row:
    spans = [span for span in read.spans if span.task == task and span.state in _KINDS]
    state = read.swarm.tasks[task].state
    bars = [bar for span in spans for bar in _bars(span, waits)]
    ends = [span.end for span in spans if span.state in ACTIVE]
    return Row(task, state, tuple(bars), critical, max(ends, default=None) if state is TaskState.MERGED else None)


def _bars(span: Span, waits: Sequence[Bar]) -> Iterator[Bar]:
    """The span, cut by what was waited for inside it; `waits` in the order of their starts.

    Before a task is at work, that can only be a lock.
    """
    kind, at = _KINDS[span.state], span.start
    for wait in waits:
        if (kind == "queue") != (wait.cause == "lock"):
            continue
        start, end = max(wait.start, at), min(wait.end, span.end)
        if end > start:
            if start > at:
                yield Bar(at, start, kind)
            yield Bar(start, end, "wait", wait.cause)
            at = end
    if span.end > at:
        yield Bar(at, span.end, kind)


def _caption(told: SwarmMetrics) -> Iterator[str]:
    cost = "" if told.cost_usd is None else f" · ${told.cost_usd:.2f}"
    yield (
        f"{_time(told.wall_s)} · speed-up {told.speed_up:.1f}x (estimated) · parallelism {told.parallelism:.1f} · "
        f"{told.critical_steps} critical of {told.total_steps} steps · "
        f"{told.finished} of {told.started} finished, {told.useful} useful{cost}"
    )
    yield from told.verdicts


def _time(seconds: float) -> str:
    whole = round(seconds)
    return (
        f"{seconds:.1f} s" if seconds < 10 else f"{whole} s" if whole < 120 else f"{whole // 60} min {whole % 60:02} s"
    )


# --- As text --------------------------------------------------------------------------------------------------------

# On the critical path work has the full block: what matters is seen without colour.
_NAMES = ("critical", "work", "check", "merge", "queue", "wait", "tick")
_MARKS: dict[str, str] = dict(zip(_NAMES, "█▒▒▏·░│", strict=True))
_ASCII: dict[str, str] = dict(zip(_NAMES, "#==|.~|", strict=True))


def lines(made: Timeline, width: int = 100, *, ascii_only: bool = False) -> list[str]:
    """The picture for a terminal of `width` columns: a line per task, then the legend and the caption.

    Every mark says its kind by its shape, so that a front end may colour the marks, and need not.
    """
    marks = _ASCII if ascii_only else _MARKS
    name = min(max((len(row.task) for row in made.rows), default=4), max(width // 4, 8))
    room = max(width - name - 3, 10)
    # A row's last word stands behind its bars: they are as much shorter as the longest one would go past the edge.
    longest = max((len(_drawn(row, made.seconds, room, marks)) for row in made.rows), default=0)
    room = max(room - max(longest - room - 1, 0), 10)
    said = [made.title, *(f"{row.task[:name]:<{name}} {_drawn(row, made.seconds, room, marks)}" for row in made.rows)]
    legend = (
        f"{marks['critical']} critical path  {marks['work']} work  {marks['wait']} waiting  {marks['queue']} no place"
    )
    said += [f"{'':<{name}} 0{_time(made.seconds):>{room - 1}}", legend, *made.caption]
    return [line.replace("·", "-").encode("ascii", "replace").decode() for line in said] if ascii_only else said


def _drawn(row: Row, seconds: float, room: int, marks: dict[str, str]) -> str:
    cells = [" "] * room
    scale = room / seconds if seconds else 0.0
    for bar in row.bars:
        mark = marks["critical"] if row.critical and bar.kind in ("work", "check") else marks[bar.kind]
        first = min(int(bar.start * scale), room - 1)
        for cell in range(first, max(first + 1, min(round(bar.end * scale), room))):
            cells[cell] = mark
    if row.merged is not None:
        cells[min(int(row.merged * scale), room - 1)] = marks["tick"]
    return "".join(cells).rstrip() + (f" {row.state.value}" if row.state in BAD else "")


# --- As SVG and HTML ------------------------------------------------------------------------------------------------

_HEIGHT, _LEFT, _TOP, _WIDTH = 18, 190, 44, 960
_STYLE = """
text{font:12px system-ui,sans-serif;fill:#333}.title{font-weight:600;font-size:14px}.small{fill:#777;font-size:11px}
.work{fill:#8fa3b8}.check{fill:#6f8499}.merge{fill:#c9b458}.queue{fill:#e6e6e6}.wait{fill:url(#hatch)}
.critical .work,.critical .check{fill:#d9480f}.critical text{font-weight:600}.tick{stroke:#2b8a3e;stroke-width:2}
.grid{stroke:#eee}.bad{fill:#c92a2a}
@media(prefers-color-scheme:dark){text{fill:#ddd}.small{fill:#999}.queue{fill:#3a3a3a}.grid{stroke:#333}}
"""
_HATCH = (
    '<defs><pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect width="6" height="6" fill="#dfe4ea"/><rect width="2" height="6" fill="#adb5bd"/></pattern></defs>'
)


def svg(made: Timeline) -> str:
    """The picture as one SVG element that needs nothing from elsewhere; every text is escaped."""
    height = _TOP + len(made.rows) * _HEIGHT + 30 + 16 * len(made.caption)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LEFT + _WIDTH + 20} {height}" role="img">',
        f"<style>{_STYLE}</style>{_HATCH}",
        f'<text class="title" x="8" y="20">{_plain(made.title)}</text>',
        *_grid(made),
        *(_svg_row(row, place, made.seconds) for place, row in enumerate(made.rows)),
        *(
            f'<text x="8" y="{_TOP + len(made.rows) * _HEIGHT + 26 + 16 * place}">{_plain(text)}</text>'
            for place, text in enumerate(made.caption)
        ),
        "</svg>",
    ]
    return "\n".join(parts)


def html(made: Timeline) -> str:
    """The picture as a page of its own, without scripts."""
    return (
        '<!doctype html>\n<html lang="en"><meta charset="utf-8">'
        f"<title>{_plain(made.title)}</title>\n"
        "<style>:root{color-scheme:light dark}body{margin:2em auto;max-width:1200px}svg{width:100%}</style>\n"
        f"{svg(made)}\n</html>\n"
    )


def _grid(made: Timeline) -> Iterator[str]:
    bottom = _TOP + len(made.rows) * _HEIGHT
    for place in range(6):
        x = _LEFT + _WIDTH * place / 5
        yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP - 6}" y2="{bottom}"/>'
        yield f'<text class="small" x="{x:.1f}" y="{_TOP - 10}">{_time(made.seconds * place / 5)}</text>'


def _svg_row(row: Row, place: int, seconds: float) -> str:
    scale, y = _WIDTH / seconds if seconds else 0.0, _TOP + place * _HEIGHT
    bars = "".join(
        f'<rect class="{bar.kind}" x="{_LEFT + bar.start * scale:.1f}" y="{y + 3}" '
        f'width="{max((bar.end - bar.start) * scale, 1):.1f}" height="{_HEIGHT - 6}">'
        f"<title>{_plain(row.task)}: {bar.cause or bar.kind}, {_time(bar.end - bar.start)}</title></rect>"
        for bar in row.bars
    )
    tick = ""
    if row.merged is not None:
        x = _LEFT + row.merged * scale
        tick = f'<line class="tick" x1="{x:.1f}" x2="{x:.1f}" y1="{y + 1}" y2="{y + _HEIGHT - 1}"/>'
    name = row.task if len(row.task) <= 24 else row.task[:23] + "…"
    label = f"{name} · {row.state.value}" if row.state in BAD else name
    bad = ' class="bad"' if row.state in BAD else ""
    return (
        f'<g class="{"critical" if row.critical else "row"}"><text{bad} x="8" y="{y + 13}">{_plain(label)}</text>'
        f"{bars}{tick}</g>"
    )


def _plain(text: str) -> str:
    return escape(clip(text, 2_000))

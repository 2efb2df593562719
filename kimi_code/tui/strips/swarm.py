"""Swarms as lines: the head with its bar, cells of a grid, the graph, a timeline's marks in colour. Pure."""

import re
from collections.abc import Iterable, Sequence

from kimi_code.events import TaskState
from kimi_code.session.swarm_board import Board, Row
from kimi_code.session.swarms import Account
from kimi_code.tui.strips.cards import lasting
from kimi_code.tui.strips.figures import money, short
from kimi_code.tui.strips.line import FANCY, Line, Span, fit, indent, plain, restyle, width_of, wrap
from kimi_code.values import frozen

CELL = 40  # cells of the screen that a cell of the grid takes at least
_COUNTED = 72  # cells, from which on there is room for the tokens of an agent
_GOOD = (TaskState.MERGED, TaskState.DONE)
_BUSY = (TaskState.RUNNING, TaskState.CHECKING, TaskState.MERGING)
_QUEUED = (TaskState.WAITING, TaskState.READY)
_MARKS = re.compile("█+|▒+|░+|[·]{2,}|│")


@frozen
class Place:
    """A task of one of the swarms."""

    swarm: str
    task: str


def places(boards: Iterable[Board]) -> dict[Place, Row]:
    """All tasks, as they were planned."""
    return {Place(board.id, task): row for board in boards for task, row in board.rows.items()}


def urgent(rows: dict[Place, Row]) -> list[Place]:
    """What deserves a look, the most urgent first: who asks, what failed, what works, what could begin."""

    def rank(place: Place) -> tuple[int, float]:
        row = rows[place]
        order = 0 if row.requests else 1 if row.state is TaskState.FAILED else 2 if row.state in _BUSY else 3
        return order, row.started or row.since

    seen = (TaskState.FAILED, TaskState.READY, *_BUSY)
    return sorted((place for place, row in rows.items() if row.state in seen), key=rank)


# --- The head -------------------------------------------------------------------------------------------------------


def head_lines(boards: Sequence[Board], width: int, now: float, account: Account | None) -> list[Line]:
    """Two lines that say it all; `account` is the swarm's, where it is one."""
    rows = [row for board in boards for row in board.rows.values()]
    one = boards[0] if len(boards) == 1 else None
    counts = _counts(rows)
    if sum(width_of(span.text) for span in counts) > width - 12:
        counts = [span for span in counts if span.style != "muted"]
    room = max(width - sum(width_of(span.text) for span in counts) - 4, 0)
    title = f"Swarm · {plain(one.goal)}" if one else f"{len(boards)} swarms"
    name = fit(title, room)
    pad = " " * max(room - width_of(name) + 2, 1)
    first = Line((Span(f" {name}", "strong"), Span(pad), *counts, Span(" ")))
    bar = _bar(rows, min(max(width // 4, 8), 50))
    left = width - sum(width_of(span.text) for span in bar) - 4
    return [first, Line((Span(" "), *bar, Span("  "), *_fitting(_facts(boards, rows, now, account), left)))]


def _counts(rows: Sequence[Row]) -> list[Span]:
    done, busy, queued = (sum(row.state in states for row in rows) for states in (_GOOD, _BUSY, _QUEUED))
    asking = sum(bool(row.requests) for row in rows)
    lost = len(rows) - done - busy - queued
    spans = [Span(f"{done}/{len(rows)} done", "done" if done == len(rows) else "")]
    spans += [Span(f" · {busy} running", "muted")] if busy else []
    spans += [Span(f" · {queued} queued", "muted")] if queued else []
    spans += [Span(f" · {lost} lost", "error")] if lost else []
    return spans + ([Span(f" · {asking} {'ask' if asking > 1 else 'asks'} you", "warning")] if asking else [])


def _bar(rows: Sequence[Row], width: int) -> list[Span]:
    """█ done, ▒ under way, x lost, ░ still to come; each as wide as its share, the shares rounded together."""
    count = max(len(rows), 1)
    done = sum(row.state in _GOOD for row in rows)
    lost = sum(row.over and row.state not in _GOOD for row in rows)
    busy = sum(row.state in _BUSY for row in rows)
    edges = [round(width * share / count) for share in (done, done + lost, done + lost + busy, count)]
    kinds = (("█", "accent"), ("×", "error"), ("▒", "accent"), ("░", "muted"))
    widths = [edge - before for before, edge in zip((0, *edges), edges, strict=False)]
    return [Span(mark * cells, style) for (mark, style), cells in zip(kinds, widths, strict=True) if cells]


def _facts(boards: Sequence[Board], rows: Sequence[Row], now: float, account: Account | None) -> list[str]:
    """What is worth the room, the first ones most."""
    facts = [_time(boards, now)]
    told = boards[0].metrics if len(boards) == 1 else None
    if told is not None:
        facts.append(f"{told.speed_up:.1f}x")
        tokens, calls, cost = told.usage.total, told.tool_calls, told.cost_usd
    else:
        tokens, calls = sum(row.tokens for row in rows), sum(row.tool_calls for row in rows)
        costs = [row.cost_usd for row in rows if row.cost_usd is not None]
        cost = sum(costs) if costs else None
    if account is not None and told is None:
        tokens, calls = max(account.tokens, tokens), max(account.tool_calls, calls)
        cost = account.cost_usd
    limits = account or Account(0, 0)
    of_tokens = "" if limits.most_tokens is None else f" of {short(limits.most_tokens)}"
    of_money = "" if limits.most_usd is None else f" of {money(limits.most_usd)}"
    of_calls = "" if limits.most_tool_calls is None else f" of {limits.most_tool_calls:,}"
    paid = [f"{money(cost)}{of_money}"] if cost is not None else []
    return [*facts, f"{short(tokens)}{of_tokens} tokens", *paid, f"{calls:,}{of_calls} calls"]


def _time(boards: Sequence[Board], now: float) -> str:
    """How long it took, or takes and will take."""
    began = min(board.began for board in boards)
    if all(board.outcome for board in boards):
        ended = max(board.ended or board.began for board in boards)
        words = boards[0].outcome if len(boards) == 1 else "over"
        return f"{words} after {lasting(ended - began)}"
    passed = lasting(now - began)
    lefts = [board.left(now) for board in boards if not board.outcome]
    known = [left for left in lefts if left is not None]
    left = max(known) if len(known) == len(lefts) else 0.0
    return f"{passed}, about {lasting(left)} left" if left >= 1 else passed


def _fitting(facts: Sequence[str], room: int) -> list[Span]:
    kept: list[str] = []
    for fact in facts:
        if width_of(" · ".join((*kept, fact))) > room:
            break
        kept.append(fact)
    return [Span(" · ".join(kept), "muted")]


# --- The grid -------------------------------------------------------------------------------------------------------


def columns(width: int) -> int:
    """How many cells stand side by side."""
    return max(width // CELL, 1)


def grid_lines(
    rows: dict[Place, Row],
    shown: Sequence[Place],
    width: int,
    now: float,
    *,
    chosen: Place | None = None,
) -> list[Line]:
    """The shown ones in cells, a few side by side."""
    count = columns(width)
    each = width // count
    name = min(max((width_of(place.task) for place in shown), default=4), 14 if each < 60 else 24)
    lines: list[Line] = []
    for at in range(0, len(shown), count):
        spans: list[Span] = []
        for place in shown[at : at + count]:
            cell = cell_spans(place.task, rows[place], each, name, now)
            spans += restyle(cell, 0, 10_000, "chosen") if place == chosen else cell
        lines.append(Line(tuple(spans)))
    return lines


def cell_spans(name: str, row: Row, width: int, name_width: int, now: float) -> list[Span]:
    """One task, exactly `width` cells wide: ` auth  ● Bash pytest -q   22 s 4k `."""
    mark, style, words = doing(row)
    tail = _tail(row, now, counts=width >= _COUNTED)
    room = max(width - name_width - len(tail) - 6, 0)
    said = fit(plain(words), room)
    shown = fit(plain(name), name_width)
    return [
        Span(f" {shown}{' ' * (name_width - width_of(shown))} "),
        Span(f"{mark} ", style),
        Span(f"{said}{' ' * (room - width_of(said))}", "" if row.state in _BUSY else "muted"),
        Span(f" {tail} ", "muted"),
    ]


def doing(row: Row) -> tuple[str, str, str]:
    """A sign, its style, and what the task does or waits for, in a few words."""
    again = f"try {row.attempt}: " if row.attempt > 1 and not row.over else ""
    if row.requests:
        return FANCY.asked, "warning", f"asks you: {row.asks}" if row.asks else "asks you"
    match row.state:
        case TaskState.WAITING:
            return FANCY.thought, "muted", f"needs {', '.join(row.plan.needs)}" if row.plan.needs else "waits"
        case TaskState.READY:
            return FANCY.thought, "muted", f"{again}waits: place or lock"
        case TaskState.RUNNING:
            if row.held:
                return FANCY.again, "warning", f"{again}waits: {row.held}"
            return FANCY.agent, "accent", f"{again}{row.doing or 'starts'}"
        case TaskState.CHECKING:
            return FANCY.agent, "accent", "its check runs"
        case TaskState.MERGING:
            return FANCY.agent, "accent", "waits: merge"
        case TaskState.MERGED | TaskState.DONE:
            return FANCY.done, "done", row.state.value
        case TaskState.FAILED:
            return FANCY.failed, "error", f"failed: {row.reason}" if row.reason else "failed"
        case TaskState.BLOCKED | TaskState.CANCELLED | TaskState.STOPPED:
            return FANCY.denied, "warning", f"{row.state.value}: {row.reason}" if row.reason else row.state.value


def _tail(row: Row, now: float, *, counts: bool = True) -> str:
    if row.started is None:
        return ""
    took = lasting(max((row.ended or now) - row.started, 0.0))
    return f"{took} · {short(row.tokens)} tokens" if counts and row.tokens else took


# --- The graph ------------------------------------------------------------------------------------------------------


def graph(boards: Sequence[Board]) -> list[tuple[Place, int]]:
    """Every task below the need that is furthest from the start, and how deep it stands."""
    order: list[tuple[Place, int]] = []
    for board in boards:
        depths: dict[str, int] = {}

        def depth(task: str, depths: dict[str, int] = depths, board: Board = board) -> int:
            if task not in depths:
                needs = [need for need in board.rows[task].plan.needs if need in board.rows]
                depths[task] = 1 + max((depth(need) for need in needs), default=-1)
            return depths[task]

        below: dict[str, list[str]] = {}
        for task, row in board.rows.items():
            needs = [need for need in row.plan.needs if need in board.rows]
            depth(task)
            below.setdefault(max(needs, key=depth) if needs else "", []).append(task)
        waiting = below.get("", [])[::-1]
        while waiting:
            task = waiting.pop()
            order.append((Place(board.id, task), depths[task]))
            waiting += below.get(task, [])[::-1]
    return order


def graph_lines(boards: Sequence[Board], width: int, now: float) -> list[Line]:
    """A line for each task of `graph`: its state, what it does, what else it needs."""
    rows = places(boards)
    order = graph(boards)
    name = min(max((2 * min(deep, 6) + width_of(place.task) for place, deep in order), default=8), max(width // 3, 12))
    lines: list[Line] = []
    for place, deep in order:
        row = rows[place]
        mark, style, words = doing(row)
        indent = "  " * min(deep, 6)
        label = fit(plain(place.task), max(name - len(indent), 4))
        tail = _tail(row, now)
        after = f"  ← {', '.join(row.plan.needs)}" if row.plan.needs else ""
        room = max(width - name - width_of(tail) - 8, 0)
        needs = fit(plain(after), room // 2) if after and row.state is not TaskState.WAITING else ""
        said = fit(plain(words), room - width_of(needs) - 1)
        spans = (
            Span(f"   {indent}"),
            Span(f"{mark} ", style),
            Span(f"{label}{' ' * max(name - len(indent) - width_of(label), 0)} "),
            Span(said, "" if row.state in _BUSY else "muted"),
            Span(f"  {needs}" if needs else "", "muted"),
        )
        used = sum(width_of(span.text) for span in spans)
        lines.append(Line((*spans, Span(" " * max(width - used - width_of(tail) - 1, 1)), Span(tail, "muted"))))
    return lines


# --- The timeline ---------------------------------------------------------------------------------------------------


def timeline_lines(texts: Iterable[str], width: int) -> list[Line]:
    """What `SwarmDesk.timeline` gave, with colours; shapes say the same."""
    lines: list[Line] = []
    margin = (Span(" "),)
    for text in list(texts)[1:]:  # the first one is the title, which the head above says
        shown = plain(text)
        spans: list[Span] = []
        at = 0
        for match in _MARKS.finditer(shown):
            spans += [Span(shown[at : match.start()]), Span(match[0], _mark_style(match[0][0]))]
            at = match.end()
        lines += indent(wrap([*spans, Span(shown[at:])], max(width - 1, 1)), margin, margin)
    return lines


def _mark_style(mark: str) -> str:
    return {"█": "accent", "▒": "muted", "░": "warning", "│": "done"}.get(mark, "muted")

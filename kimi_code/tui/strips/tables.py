"""A table of a Markdown text as lines: columns as wide as they need and the screen allows, cells wrapped."""

from collections.abc import Sequence

from kimi_code.tui.strips.line import BLANK, FANCY, Line, Span, width_of, wrap

_GAP = 2
_COLUMN_LEAST = 6

Cell = Sequence[Span]


def table_lines(rows: Sequence[Sequence[Cell]], alignments: Sequence[str], width: int) -> list[Line]:
    """The first row is the heading. Where columns would become too narrow, each row becomes a small list."""
    if not rows:
        return []
    columns = len(rows[0])
    natural = [max(_natural(row[column]) for row in rows if column < len(row)) for column in range(columns)]
    room = width - _GAP * (columns - 1)
    if room < sum(min(cells, _COLUMN_LEAST) for cells in natural):
        return _as_list(rows, width)
    widths = _shared(natural, room)
    lines = _row(rows[0], widths, alignments)
    lines.append(Line((Span((" " * _GAP).join(FANCY.rule * cells for cells in widths), "muted"),)))
    for row in rows[1:]:
        lines += _row(row, widths, alignments)
    return lines


def _natural(cell: Cell) -> int:
    return max(1, width_of("".join(span.text for span in cell)))


def _shared(natural: Sequence[int], room: int) -> list[int]:
    """The widths of columns: narrow ones keep theirs, wide ones share what is left."""
    widths = list(natural)
    while sum(widths) > room:
        limit = max(widths)
        widest = [index for index, cells in enumerate(widths) if cells == limit]
        second = max((cells for cells in widths if cells < limit), default=1)
        surplus = sum(widths) - room
        cut = max(1, min(limit - second, surplus // len(widest)))
        for index in widest[: max(1, surplus // cut)]:
            widths[index] -= cut
    return widths


def _row(row: Sequence[Cell], widths: Sequence[int], alignments: Sequence[str]) -> list[Line]:
    cells = [wrap(list(cell), cells) for cell, cells in zip(row, widths, strict=False)]
    lines: list[Line] = []
    for level in range(max((len(cell) for cell in cells), default=0)):
        spans: list[Span] = []
        for column, cell in enumerate(cells):
            part = cell[level].spans if level < len(cell) else ()
            alignment = alignments[column] if column < len(alignments) else ""
            spans += _aligned(part, widths[column], alignment)
            spans.append(Span(" " * _GAP))
        lines.append(Line(tuple(spans[:-1])))
    return lines


def _aligned(spans: Sequence[Span], width: int, alignment: str) -> list[Span]:
    spare = width - sum(width_of(span.text) for span in spans)
    left = {"right": spare, "center": spare // 2}.get(alignment, 0)
    padded = [Span(" " * left), *spans, Span(" " * (spare - left))]
    return [span for span in padded if span.text]


def _as_list(rows: Sequence[Sequence[Cell]], width: int) -> list[Line]:
    lines: list[Line] = []
    for row in rows[1:]:
        if lines:
            lines.append(BLANK)
        for title, cell in zip(rows[0], row, strict=False):
            lines += wrap([*title, Span(": ", "muted"), *cell], width)
    return lines or wrap([span for title in rows[0] for span in (*title, Span(" "))], width)

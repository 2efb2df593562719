"""Words below each other behind what leads to them; keys beside each other, as many as fit."""

from collections.abc import Iterable

from textual.content import Content

_BESIDE_LEAST = 24  # cells beside a lead for words
_LEAD_LEAST = 4


def hanging(lead: Content, words: Content, width: int) -> list[Content]:
    """The words behind `lead`, and below each other; on lines of their own where little room is left beside it."""
    if lead.cell_length > _LEAD_LEAST and width - lead.cell_length < _BESIDE_LEAST:
        return [lead, *hanging(Content(" " * _LEAD_LEAST), words, width)]
    pieces = [piece for line in words.split("\n") for piece in line.wrap(max(width - lead.cell_length, 1))]
    leads = [lead, *[Content(" " * lead.cell_length)] * (len(pieces) - 1)]
    return [Content.assemble(before, piece) for before, piece in zip(leads, pieces, strict=False)]


def in_lines(parts: Iterable[Content], width: int, *, margin: str = "  ") -> Content:
    """Next to each other, a key never on another line than what it does."""
    lines: list[Content] = []
    for part in parts:
        if lines and lines[-1].cell_length + 3 + part.cell_length <= width:
            lines[-1] = Content.assemble(lines[-1], "   ", part)
        else:
            lines.append(Content.assemble(margin, part))
    return Content("\n").join(lines)

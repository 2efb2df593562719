"""The pages that list commands, keys, checks, and what fills the context, at any width."""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from textual.content import Content

from kimi_code.tui.hanging import hanging
from kimi_code.tui.keys import KEYS, TITLES, keys_of
from kimi_code.tui.strips.figures import short
from kimi_code.tui.theme import MUTED

if TYPE_CHECKING:
    from kimi_code.tui.commands import Command

_KEYS_WIDTH = 36  # cells for the names of keys
_BAR_MOST = 40
_COUNT_WIDTH = 18  # cells for tokens and their share
_CHECK = re.compile(r"\S \S+ +\S+ +")  # its sign, its name, its state


def commands_page(commands: Sequence["Command"], width: int) -> Content:
    """How to begin, and all commands."""
    head = Content(
        "Write what you want and press Enter. While it works, Enter queues, Ctrl+S is read at its next step, "
        "Esc interrupts.\n\n@path names a file   !command runs it for you   #note goes into AGENTS.md\n"
    )
    names = [f"/{c.name} {c.argument}".rstrip() for c in commands]
    longest = max(map(len, names)) + 2
    rows = [
        hanging(Content.styled(name.ljust(longest), "$text-accent"), Content(c.what), width)
        for name, c in zip(names, commands, strict=True)
    ]
    return Content("\n").join([head, *(line for row in rows for line in row)])


def keys_page(own: Mapping[str, str], width: int) -> Content:
    """All keys as a table, the user's own ones included; their ids in a column where there is room."""
    longest = max(len(key.what) for key in KEYS) + 2
    column = longest if _KEYS_WIDTH + longest + max(len(key.id) for key in KEYS) <= width else 0
    lines: list[Content] = []
    for where, title in TITLES.items():
        lines += [Content.styled(title, "bold")]
        for key in (key for key in KEYS if key.where == where):
            lead = Content.styled(f"  {keys_of(key.id, own)}".ljust(_KEYS_WIDTH), "$text-accent")
            what = f"{key.what}  ".ljust(column)
            lines += hanging(lead, Content.assemble(what, (key.id, MUTED)), width)
        lines.append(Content(""))
    return Content("\n").join(lines)


def context_page(head: str, shares: Sequence[tuple[str, int]], free: int, width: int) -> Content:
    """Tokens by what they are for, each with its share of the window as a bar where there is room."""
    whole = max(sum(tokens for _, tokens in shares) + free, 1)
    longest = max((len(name) for name, _ in shares), default=4) + 2
    lines = [Content(head), Content("")]
    for name, tokens in (*shares, ("free", free)):
        count = f"{short(tokens):>7}"
        if width >= longest + _COUNT_WIDTH:
            count += f"  {100 * tokens / whole:5.1f} %  "
        room = min(width - longest - len(count), _BAR_MOST)
        mark, style = ("░", MUTED) if name == "free" else ("█", "$text-accent")
        bar = mark * round(room * tokens / whole) if room >= 10 else ""
        lines.append(Content.assemble(name.ljust(longest), (count, MUTED), (bar, style)))
    return Content("\n").join(lines)


def checks_page(found: str, width: int) -> Content:
    """What was checked, in columns; what is said of a check below each other."""
    lines: list[Content] = []
    margin = Content("")
    for text in found.split("\n"):
        check = _CHECK.match(text)
        lead = Content(check[0]) if check else margin
        margin = Content(" " * lead.cell_length)
        lines += hanging(lead, Content(text[len(check[0]) if check else 0 :]), width)
    return Content("\n").join(lines)

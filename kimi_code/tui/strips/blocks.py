"""Markdown that comes in pieces, cut into blocks that no later piece can change; in time linear in its length.

The cuts follow CommonMark where it matters (fences, lists, lazy lines). Where they differ, a block looks a little
different, and nothing breaks: each is parsed on its own.
"""

import re
from dataclasses import dataclass, field
from typing import Literal

from kimi_code.values import frozen

_FENCE = re.compile(r"( *)(`{3,}|~{3,})(.*)")
_ITEM = re.compile(r"( {0,3})(?:([-*+])|(\d{1,9})([.)]))( +|$)")
_RULE = re.compile(r" {0,3}([-*_])[ \t]*(?:\1[ \t]*){2,}$")
_HEADING = re.compile(r" {0,3}#{1,6}(?:[ \t]|$)")

BlockKind = Literal["text", "item", "fence"]


@frozen
class MarkdownBlock:
    """Source lines of one block.

    `blank` says that an empty line stands before it; `number` is that of an item of an ordered list, counted on from
    the items before it. A `fence` at the top level has its `language`, and `text` is its contents only.
    """

    kind: BlockKind
    text: str
    blank: bool = False
    number: int | None = None
    language: str = ""


@dataclass(slots=True)
class BlockSplitter:
    """Takes text as it comes; `take` gives the blocks that are over, `open` the one that is not."""

    _lines: list[str] = field(default_factory=list[str])
    _partial: list[str] = field(default_factory=list[str])
    _over: list[MarkdownBlock] = field(default_factory=list[MarkdownBlock])
    _kind: BlockKind = "text"
    _blank: bool = False  # an empty line stands before the open block
    _gap: bool = False  # the open block has an empty line at its end
    _fence: str = ""  # what closes the fence we are in
    _fence_indent: int = 0
    _language: str = ""
    _content: int = 0  # the column where the content of the open item begins
    _number: int | None = None
    _marker: str = ""  # of the list the last item was in

    def feed(self, text: str) -> None:
        """More of the text."""
        whole, newline, rest = text.rpartition("\n")
        if newline:
            lines = ("".join(self._partial) + whole).split("\n")
            self._partial.clear()
            for line in lines:
                self._line(line)
        if rest:
            self._partial.append(rest)

    def finish(self) -> None:
        """There is no more text."""
        if self._partial:
            line = "".join(self._partial)
            self._partial.clear()
            self._line(line)
        self._close()

    def take(self) -> list[MarkdownBlock]:
        """The blocks that ended since the last call."""
        over, self._over = self._over, []
        return over

    @property
    def open(self) -> MarkdownBlock | None:
        """The block that is still being written, as far as it has come."""
        partial = "".join(self._partial)
        if self._is_top_fence:
            # Its last line may become the closing mark.
            shown = partial if not self._closes(partial) and not self._fence.startswith(partial.strip() or "\0") else ""
            return self._block([*self._lines, *([shown] if shown else [])])
        if not self._lines and not partial:
            return None
        if not partial:
            return self._block(self._lines)
        trial = BlockSplitter(list(self._lines), [], [], self._kind, self._blank, self._gap, self._fence)
        trial._content, trial._number, trial._marker = self._content, self._number, self._marker
        trial._fence_indent, trial._language = self._fence_indent, self._language
        trial._line(partial)
        if not trial._over:
            return trial._block(trial._lines)
        # The last line may begin a block of its own: shown below what it would follow.
        return self._block([*self._lines, *([""] if self._gap else []), partial])

    @property
    def _is_top_fence(self) -> bool:
        return self._kind == "fence"

    def _line(self, line: str) -> None:
        if self._fence:
            self._fenced(line)
        elif not line.strip():
            self._gap = True
        else:
            self._content_line(line.replace("\t", "    ") if "\t" in line else line)

    def _fenced(self, line: str) -> None:
        if self._closes(line):
            self._fence = ""
            if self._is_top_fence:
                self._close()
            else:
                self._lines.append(line)
            return
        if not self._is_top_fence and line.strip() and _indent(line) < self._content:
            # The item ended, and its fence with it.
            self._fence = ""
            self._content_line(line)
            return
        self._lines.append(line)

    def _closes(self, line: str) -> bool:
        bare = line.strip()
        return (
            bool(bare)
            and len(bare) >= len(self._fence)
            and not bare.strip(self._fence[0])
            and _indent(line) < 4 + (self._content if not self._is_top_fence else 0)
        )

    def _content_line(self, line: str) -> None:
        indent = _indent(line)
        inside = self._kind == "item" and bool(self._lines) and indent >= self._content
        if not inside:
            item = None if _RULE.match(line) else _ITEM.match(line)
            if item and self._begins_item(item):
                self._begin_item(item)
            elif self._begins_block(line):
                self._begin("text")
                if not _ITEM.match(line):
                    self._marker = ""
        if self._gap and self._lines:
            self._lines.append("")
        self._gap = False
        self._look_for_fence(line, inside)

    def _look_for_fence(self, line: str, inside: bool) -> None:
        fence = _FENCE.match(line)
        if fence and not (fence[2][0] == "`" and "`" in fence[3]) and (inside or _indent(line) < 4):
            if not inside:
                self._begin("fence")
                words = fence[3].split()
                self._language, self._marker = (words[0] if words else ""), ""
            self._fence, self._fence_indent = fence[2], len(fence[1])
            if not inside:
                return
        self._lines.append(line)
        if not inside and _HEADING.match(line):
            self._close()

    def _begins_item(self, item: "re.Match[str]") -> bool:
        if not self._lines or self._gap or self._kind == "item":
            return True
        # In a paragraph, only a bullet or a 1 that has text begins a list.
        return bool(item[5]) and (item[3] is None or int(item[3]) == 1)

    def _begin_item(self, item: "re.Match[str]") -> None:
        marker = item[2] or item[4]
        went_on, number = self._marker == marker, self._number
        self._begin("item")
        first = None if item[3] is None else int(item[3])
        self._number = number + 1 if went_on and number is not None and first is not None else first
        self._marker = marker
        spaces = len(item[5])
        self._content = item.end() - (spaces - 1 if spaces > 4 else 0) + (0 if spaces else 1)

    def _begins_block(self, line: str) -> bool:
        if not self._lines:
            return True
        if self._gap:
            return not (self._kind == "item" and _indent(line) >= self._content)
        return bool(_HEADING.match(line)) or (bool(_RULE.match(line)) and not _underlines(line, self._kind))

    def _begin(self, kind: BlockKind) -> None:
        gap = self._gap
        self._close()
        self._kind, self._blank, self._gap = kind, gap or self._blank, False
        if kind != "item":
            self._number = None

    def _close(self) -> None:
        if self._lines or self._is_top_fence:
            self._over.append(self._block(self._lines))
            self._blank = self._gap
        else:
            self._blank = self._blank or self._gap
        self._lines, self._kind, self._fence, self._gap, self._content = [], "text", "", False, 0
        self._language = ""

    def _block(self, lines: list[str]) -> MarkdownBlock:
        if self._is_top_fence:
            drop = self._fence_indent
            lines = [line[min(drop, _indent(line)) :] for line in lines] if drop else lines
            return MarkdownBlock("fence", "\n".join(lines), self._blank, None, self._language)
        return MarkdownBlock(self._kind, "\n".join(lines), self._blank, self._number if self._kind == "item" else None)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _underlines(line: str, kind: BlockKind) -> bool:
    """Whether a line of dashes makes a heading of the paragraph above."""
    return kind == "text" and not line.strip().strip("-")


def split(text: str) -> list[MarkdownBlock]:
    """All blocks of a whole text."""
    splitter = BlockSplitter()
    splitter.feed(text)
    splitter.finish()
    return splitter.take()

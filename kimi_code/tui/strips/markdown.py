"""Markdown to styled lines, whole or as it comes: blocks that are over are never rendered again.

Only importer of markdown-it. HTML is shown as it is written; nothing in the text is markup of ours.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING

from kimi_code.tui.strips.blocks import BlockSplitter, MarkdownBlock
from kimi_code.tui.strips.code import highlight
from kimi_code.tui.strips.line import BLANK, FANCY, Line, Span, indent, plain, wrap
from kimi_code.tui.strips.links import MakeLink, link_of, no_link, with_links
from kimi_code.tui.strips.tables import table_lines

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

PROSE_MOST = 110  # cells of a line of prose; longer ones are hard to read
_URL = re.compile(r"https?://[^\s<>\"'`]+[^\s<>\"'`.,:;!?)\]}]")
NO_MARGIN = (Span(""), Span(""))
_TASK = re.compile(r"\[([ xX])\] +")
_ADDRESS = re.compile(r"(?:https?://|mailto:)[!-~]+")
_CODE_INDENT = 2
_HEADINGS = {"h1": "heading1", "h2": "heading2"}
_INLINE = {"strong": "strong", "em": "emphasis", "s": "strike"}
_NARROWEST = 8


class MarkdownFlow:
    """The lines of a text that comes in pieces, at one width.

    `margin` is put before the first line and before the others, besides the width. `link` makes a URL of a file
    and a line that the text names.
    """

    def __init__(self, width: int, margin: tuple[Span, Span] = NO_MARGIN, *, link: MakeLink = no_link) -> None:
        self._width = width
        self._margin = margin
        self._link = link
        self._splitter = BlockSplitter()
        self._settled: list[Line] = []
        self._fence = _OpenFence(width)

    def feed(self, text: str) -> None:
        """More of the text."""
        self._splitter.feed(text)

    def finish(self) -> None:
        """There is no more text."""
        self._splitter.finish()

    def lines(self) -> list[Line]:
        """All lines so far; those of blocks that are over are made once, and stay the same objects."""
        for block in self._splitter.take():
            self._settled += self._placed(block, self._rendered(block))
        block = self._splitter.open
        if block is None:
            return list(self._settled)
        rendered = self._fence.lines(block) if block.kind == "fence" else self._rendered(block)
        return [*self._settled, *self._placed(block, rendered)]

    def _placed(self, block: MarkdownBlock, lines: list[Line]) -> list[Line]:
        """The lines below those before them, in their margin."""
        first, rest = self._margin
        if not self._settled:
            return indent(lines, (first,), (rest,))
        tight = block.kind == "item" and not block.blank
        return indent([BLANK, *lines] if lines and not tight else lines, (rest,), (rest,))

    def _rendered(self, block: MarkdownBlock) -> list[Line]:
        if block.kind == "fence":
            return code_lines(block.text, block.language, self._width)
        parsed = _parser().parse(plain(block.text))
        return _Renderer(self._link, block.number).render(parsed, self._width)


def render(text: str, width: int, *, link: MakeLink = no_link) -> list[Line]:
    """The lines of a whole text, the same as a flow gives at its end."""
    flow = MarkdownFlow(width, link=link)
    flow.feed(text)
    flow.finish()
    return flow.lines()


def code_lines(text: str, language: str, width: int) -> list[Line]:
    """Lines of code, coloured, wrapped with a sign where they are too long, a little to the right."""
    return [line for spans in highlight(plain(text), language) for line in _code_line(spans, width)]


def _code_line(spans: tuple[Span, ...], width: int) -> list[Line]:
    margin, again = Span(" " * _CODE_INDENT), Span(f"{FANCY.wrapped:<{_CODE_INDENT}}", "muted")
    return indent(wrap(spans, max(width - _CODE_INDENT, 1), hard=True), (margin,), (again,))


class _OpenFence:
    """The lines of a fence that is being written; each is coloured once, on its own, until the fence is closed."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._lines: list[Line] = []
        self._source: list[str] = []
        self._language = ""

    def lines(self, block: MarkdownBlock) -> list[Line]:
        *whole, last = block.text.split("\n")
        known = len(self._source)
        if block.language != self._language or whole[:known] != self._source:
            self._lines, self._source, self._language, known = [], [], block.language, 0
        fresh = whole[known:]
        if fresh:
            self._lines += code_lines("\n".join(fresh), block.language, self._width)
            self._source += fresh
        return [*self._lines, *(code_lines(last, block.language, self._width) if last else [])]


def prepare() -> None:
    """Import the parser, which the first answer would wait for else; in a thread."""
    _parser()


@cache
def _parser() -> "MarkdownIt":
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])


class _Renderer:
    """Tokens of one block to lines."""

    def __init__(self, link: MakeLink, number: int | None = None) -> None:
        self._link = link
        self._number = number  # of the block's first item, where the items before it were other blocks

    def render(self, tokens: "Sequence[Token]", width: int, style: str = "") -> list[Line]:
        lines: list[Line] = []
        for token, inner in _nodes(tokens):
            rendered = self._node(token, inner, max(width, _NARROWEST), style)
            if lines and rendered and not token.hidden and not (token.type.endswith("list_open") and token.level > 0):
                lines.append(BLANK)
            lines += rendered
        return lines

    def _node(self, token: "Token", inner: "Sequence[Token]", width: int, style: str) -> list[Line]:
        match token.type:
            case "paragraph_open":
                return wrap(self._inline(inner, style), min(width, PROSE_MOST))
            case "heading_open":
                return self._heading(token, inner, min(width, PROSE_MOST))
            case "bullet_list_open" | "ordered_list_open":
                return self._list(token, inner, width, style)
            case "blockquote_open":
                bar = (Span(f"{FANCY.quote} ", "muted"),)
                return indent(self.render(inner, width - 2, f"{style} quote".strip()), bar, bar)
            case "fence" | "code_block":
                words = token.info.split()
                return code_lines(token.content.removesuffix("\n"), words[0] if words else "", width)
            case "table_open":
                return table_lines(self._rows(inner, style), self._alignments(inner), width)
            case "hr":
                return [Line((Span(FANCY.rule * min(width, PROSE_MOST), "muted"),))]
            case _:
                return wrap([Span(token.content, style)], width) if token.content.strip() else []

    def _heading(self, token: "Token", inner: "Sequence[Token]", width: int) -> list[Line]:
        return wrap(self._inline(inner, _HEADINGS.get(token.tag, "heading3")), width)

    def _list(self, token: "Token", inner: "Sequence[Token]", width: int, style: str) -> list[Line]:
        items = list(_nodes(inner))
        number = int(token.attrs.get("start", 1)) if token.type == "ordered_list_open" else None
        if number is not None and self._number is not None and token.level == 0:
            number = self._number
        pad = 0 if number is None else len(str(number + len(items) - 1))
        lines: list[Line] = []
        for index, (_, content) in enumerate(items):
            mark = f"{FANCY.bullet} " if number is None else f"{number + index:>{pad}}. "
            loose = any(token.type == "paragraph_open" and not token.hidden for token in content[:1])
            if lines and loose:
                lines.append(BLANK)
            lines += self._item(mark, content, width, style)
        return lines

    def _item(self, mark: str, content: "Sequence[Token]", width: int, style: str) -> list[Line]:
        first, blank = Span(mark, "muted"), " " * len(mark)
        text = content[1] if len(content) > 1 and content[1].type == "inline" else None
        if text is not None and text.children and (task := _TASK.match(text.children[0].content)):
            done = task[1] != " "
            box = FANCY.checked if done else FANCY.unchecked
            # The box stands in the bullet's place, or after the number.
            first = Span(f"{'' if mark[0] == FANCY.bullet else mark}{box} ", "done" if done else "muted")
            blank = " " * len(first.text)
            text.children[0].content = text.children[0].content[task.end() :]
        lines = self.render(content, width - len(blank), style) or [BLANK]
        # The mark belongs to what is copied; only the room below it is decoration.
        marked = Line((first, *lines[0].spans), 0, lines[0].glue, lines[0].fill)
        return [marked, *indent(lines[1:], (Span(blank),), (Span(blank),))]

    # --- Tables ---

    def _rows(self, tokens: "Sequence[Token]", style: str) -> list[list[list[Span]]]:
        rows: list[list[list[Span]]] = []
        for token in tokens:
            if token.type == "tr_open":
                rows.append([])
            elif token.type == "inline":
                head = "strong" if len(rows) == 1 else ""
                rows[-1].append(self._inline([token], f"{style} {head}".strip()))
        return rows

    def _alignments(self, tokens: "Sequence[Token]") -> list[str]:
        heads = [token for token in tokens if token.type == "th_open"]
        return [str(token.attrs.get("style", "")).removeprefix("text-align:") for token in heads]

    # --- Inline ---

    def _inline(self, tokens: "Sequence[Token]", style: str) -> list[Span]:
        return [span for token in tokens for span in self._runs(token.children or (), style)]

    def _runs(self, tokens: "Sequence[Token]", base: str) -> Iterator[Span]:
        styles: list[str] = [base] if base else []
        links: list[str] = []
        for token in tokens:
            style, link = " ".join(styles), links[-1] if links else ""
            match token.type:
                case "text":
                    yield from _autolinked(token.content, style, link, self._link)
                case "code_inline":
                    yield Span(token.content, f"{style} code".strip(), link or link_of(token.content, self._link))
                case "softbreak":
                    yield Span(" ", style, link)
                case "hardbreak":
                    yield Span("\n", style, link)
                case "strong_open" | "em_open" | "s_open":
                    styles.append(_INLINE[token.tag if token.tag != "del" else "s"])
                case "strong_close" | "em_close" | "s_close":
                    styles.pop()
                case "link_open":
                    links.append(_url(token.attrs.get("href", "")))
                    styles.append("link")
                case "link_close":
                    links.pop()
                    styles.pop()
                case "image":
                    yield Span(token.content or "image", f"{style} link".strip(), _url(token.attrs.get("src", "")))
                case _:
                    if token.content:
                        yield Span(token.content, style, link)


def _nodes(tokens: "Sequence[Token]") -> "Iterator[tuple[Token, Sequence[Token]]]":
    """The outermost tokens, each with those inside it."""
    index = 0
    while index < len(tokens):
        token = tokens[index]
        end = index + 1
        if token.nesting == 1:
            while not (tokens[end].nesting == -1 and tokens[end].level == token.level):
                end += 1
            yield token, tokens[index + 1 : end]
            end += 1
        else:
            yield token, (token,) if token.type == "inline" else ()
        index = end


def _autolinked(text: str, style: str, link: str, file: MakeLink) -> Iterator[Span]:
    """Addresses and files' paths among words lead where they say; words of a link lead where it does."""
    if link:
        yield Span(text, style, link)
        return
    at = 0
    if "://" in text:
        for match in _URL.finditer(text):
            yield from with_links(text[at : match.start()], style, file)
            yield Span(match.group(), f"{style} link".strip(), match.group())
            at = match.end()
    yield from with_links(text[at:], style, file)


def _url(address: object) -> str:
    """A web address; "" for all others: what a model writes must open no program but a browser."""
    text = str(address)
    return text if _ADDRESS.fullmatch(text) else ""

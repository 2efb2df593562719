"""The headings of texts: Markdown, reStructuredText, AsciiDoc, Org and plain text, by the rules of each."""

import re
from collections.abc import Iterator, Sequence

from kimi_code.repo.symbols import Kind

Entry = tuple[int, int, str, Kind]  # the line (from 0), the depth (from 1), the name and kind of what starts there

_PARAGRAPH_MOST = 4  # lines of an underlined heading
_PROSE_MOST = 80  # characters of a heading that is told by its shape alone
_DEEP = 50  # below every heading

_ATX = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))??(?:[ \t]+#+)?$")
_SETEXT = re.compile(r" {0,3}(=+|-+)$")
_BREAK = re.compile(r" {0,3}([-*_])[ \t]*(?:\1[ \t]*){2,}$")
_CONTAINER = re.compile(r" {0,3}(?:[-*+](?:\s|$)|\d{1,9}[.)](?:\s|$)|[>|]|</?[a-zA-Z])")
_CODE = re.compile(r" {4}|\t")
_COMMENT = re.compile(r" {0,3}<!--")
_FENCE = re.compile(r"[ \t>]*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)?(`{3,}|~{3,})([^`]*)$")
_ANCHOR = re.compile(r"\s*\{[#.:][^{}]*\}$")

_ADORNMENT = re.compile(r"([!-/:-@\[-`{-~])\1*$")
_DIRECTIVE = re.compile(
    r"( *)\.\. (?:\w+:)?(class|exception|interface|enum|function|method|classmethod|staticmethod|attribute|property"
    r"|data|module|macro|struct|type|setting|option|envvar|django-admin|confval)::\s+(\S.*)"
)
_DIRECTIVE_KINDS: dict[str, Kind] = {
    "class": "class", "exception": "class", "interface": "interface", "enum": "enum", "function": "function",
    "method": "method", "classmethod": "method", "staticmethod": "method", "module": "module", "macro": "macro",
    "struct": "struct", "type": "type",
}  # fmt: skip
_SIGNED = re.compile(r"(?:(?:async|abstract|static)\s+)?([\w.:-]+)")

_ADOC = re.compile(r"(={1,6}|#{1,6})\s+(\S.*)$")
_ADOC_LITERAL = re.compile(r"(-{4,}|\.{4,}|/{4,}|\+{4,}|`{3,})\w*$")
_ADOC_UNDERLINE = re.compile(r"([=\-~^+])\1{3,}$")

_ORG = re.compile(r"(\*+)\s+(?:(?:TODO|DONE|NEXT|WAITING|CANCELLED)\s+)?(?:\[#\w\]\s+)?(.*?)(?:\s+:[\w@#%:]+:)?$")

_UNDERLINE = re.compile(r"([=\-~^\"'`*+#_])\1{2,}$")
_MARKED = re.compile(r"(?:(#{2,6})|(={1,6}))\s+(\S.*?)(?:\s+[#=]+)?$")
_NUMBERED = re.compile(
    r"(?:(\d+(?:\.\d+)*)[.)]?|(?:Chapter|Part|Section|Appendix)\s+(?:\d+|[A-Z]|[IVXLC]+)\b[.:]?)(?:\s+\S|$)", re.I
)
_CAPITALS = re.compile(r"[A-Z][A-Z0-9 ,:&'/()-]{2,}$")


def markdown(lines: Sequence[str]) -> Iterator[Entry]:
    """Headings as CommonMark has them, none of fences, comments, front matter, lists and quotations."""
    paragraph: list[int] = []
    inside = False  # a list or quotation, whose text goes on until an empty line
    until = _front_matter_end(lines)
    for number, line in enumerate(lines):
        if number < until:
            continue
        underline = _SETEXT.match(line) if paragraph else None
        if underline:
            if len(paragraph) <= _PARAGRAPH_MOST:
                name = " ".join(lines[each].strip() for each in paragraph)
                yield paragraph[0], 1 if underline[1][0] == "=" else 2, _ANCHOR.sub("", name), "heading"
            paragraph = []
        elif (end := _passage_end(lines, number)) is not None:
            until, paragraph, inside = end, [], False
        elif found := _ATX.match(line):
            paragraph, inside = [], False
            if name := _ANCHOR.sub("", found[2] or ""):
                yield number, len(found[1]), name, "heading"
        elif not line or _BREAK.match(line):
            paragraph, inside = [], False
        elif _CONTAINER.match(line):
            paragraph, inside = [], True
        elif not inside and (paragraph or not _CODE.match(line)):
            paragraph.append(number)


def _front_matter_end(lines: Sequence[str]) -> int:
    """The line after a page's front matter, 0 without one."""
    mark = lines[0].lstrip("\ufeff") if lines else ""
    if mark not in ("---", "+++"):
        return 0
    ends = (mark, "...") if mark == "---" else (mark,)
    return next((number + 1 for number, line in enumerate(lines) if number and line in ends), 0)


def _passage_end(lines: Sequence[str], number: int) -> int | None:
    """The line after the fence or comment that starts here; None when none does."""
    line = lines[number]
    if _COMMENT.match(line):
        return next((at + 1 for at in range(number, len(lines)) if "-->" in lines[at]), len(lines))
    found = _FENCE.match(line)
    if found is None:
        return None
    mark, quoted = found[1], line.lstrip().startswith(">")
    for at in range(number + 1, len(lines)):
        if quoted and not lines[at].lstrip().startswith(">"):
            return at
        text = lines[at].lstrip(" \t>")
        if text.startswith(mark) and not text.strip(mark[0]):
            return at + 1
    return len(lines)


def restructured(lines: Sequence[str]) -> Iterator[Entry]:
    """Section titles, whose depths follow the order in which their adornments come first, and what is documented."""
    styles: list[str] = []
    for number, line in enumerate(lines):
        if found := _DIRECTIVE.match(line):
            signed = _SIGNED.match(found[3])
            name = signed[1] if signed else found[3]
            yield number, _DEEP + len(found[1]), name, _DIRECTIVE_KINDS.get(found[2], "property")
        elif style := _title_style(lines, number):
            if style not in styles:
                styles.append(style)
            yield number, styles.index(style) + 1, line.strip(), "heading"


def _title_style(lines: Sequence[str], number: int) -> str:
    """How the title on this line is adorned, "" when it is none."""
    line = lines[number]
    below = _ADORNMENT.match(lines[number + 1]) if number + 1 < len(lines) else None
    if not line or below is None or _ADORNMENT.match(line):
        return ""
    above = lines[number - 1] if number else ""
    length, title = len(below[0]), line.strip()
    if length < min(4, len(title)) or not any(map(str.isalnum, title)):
        return ""
    if above == below[0] and length >= len(title):
        return above[0] * 2
    is_first = not line[0].isspace() and (not above or above.startswith(".. "))
    return below[1] if is_first and length + 2 >= len(title) else ""


def asciidoc(lines: Sequence[str]) -> Iterator[Entry]:
    """Section titles, none of what stands in listings, literal blocks and comments."""
    closing = ""
    for number, line in enumerate(lines):
        below = lines[number + 1] if number + 1 < len(lines) else ""
        if closing:
            closing = "" if line == closing else closing
        elif found := _ADOC.match(line):
            yield number, len(found[1]), found[2].rstrip(" ="), "heading"
        elif _is_underlined(line, below, 1) and (found := _ADOC_UNDERLINE.match(below)) and line[0] not in ".[/":
            yield number, "=-~^+".index(found[1]) + 1, line, "heading"
        elif (found := _ADOC_LITERAL.match(line)) and not _underlines(lines, number):
            closing = found[1]


def _underlines(lines: Sequence[str], number: int) -> bool:
    above = lines[number - 1] if number else ""
    return _is_underlined(above, lines[number], 1) and above[0] not in ".[/"


def _is_underlined(line: str, below: str, slack: int) -> bool:
    is_title = line != "" and not line[0].isspace() and any(map(str.isalnum, line))
    return is_title and abs(len(below) - len(line)) <= slack


def org(lines: Sequence[str]) -> Iterator[Entry]:
    """Headlines, without their states, priorities and tags."""
    for number, line in enumerate(lines):
        if (found := _ORG.match(line)) and found[2]:
            yield number, len(found[1]), found[2], "heading"


def plain(lines: Sequence[str]) -> Iterator[Entry]:
    """What looks like a heading in text without rules: underlined, marked, numbered or capital lines on their own."""
    for number, line in enumerate(lines):
        if line and (found := plain_heading(lines, number)):
            yield number, *found


def plain_heading(lines: Sequence[str], number: int) -> tuple[int, str, Kind] | None:
    """The depth, name and kind of a line of plain text that looks like a heading."""
    line = lines[number]
    above = lines[number - 1] if number else ""
    below = lines[number + 1] if number + 1 < len(lines) else ""
    if found := _MARKED.match(line):  # where "#" may begin a comment, one of them is no heading
        return len(found[1] or found[2]), found[3], "heading"
    underlined = _UNDERLINE.match(below)
    if underlined and any(map(str.isalnum, line)):
        is_framed = above == below and len(below) >= len(line.strip())
        if is_framed or (not line[0].isspace() and len(below) + 3 >= len(line)):
            return 1 + "=-~^\"'`*+#_".index(underlined[1]), line.strip(), "heading"
    if above or below or len(line) > _PROSE_MOST or line[-1] in ".;,":
        return None
    if found := _NUMBERED.match(line):
        return (10 + found[1].count(".") if found[1] else 9), line, "heading"
    return (10, line.rstrip(":"), "heading") if _CAPITALS.match(line) else None

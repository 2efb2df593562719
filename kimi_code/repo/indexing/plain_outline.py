"""An outline without a grammar: headings, template blocks, and what stands at the left margin above indented lines."""

import re
from collections.abc import Callable

from kimi_code.repo.indexing.visibility import Declaration, is_exported
from kimi_code.repo.symbols import Kind, Symbol

_MOST = 400  # symbols of a file
_NAME_MOST = 100  # characters
_LINE_MOST = 300  # characters of a line that is looked at

_FENCE = re.compile(r"\s{0,3}(?:```|~~~(?!~))")
_HEADING = re.compile(r"(#{1,6})\s+(.*?)\s*#*$")
_WIKI_HEADING = re.compile(r"(={1,6})\s+(\S.*?)(?:\s+=+)?$")
_UNDERLINE = re.compile(r"([=\-~^\"'`*+#])\1{2,}$")
_PAGE_HEADING = re.compile(r"<h([1-6])\b[^>]*>(.*?)</h\1\s*>", re.I)
_TEMPLATE_BLOCK = re.compile(r"""\{%-?\s*(block|macro|define)\s+["']?([\w.-]+)""")
_PAGE_TAG = re.compile(r"</?[a-zA-Z][^>]*>|\{[{%].*?[}%]\}")
_COMMENT = re.compile(r"(?:#|//|/\*|\*|--|;|%|<!--|\"|\.\. )")
_SECTION = re.compile(r"\[{1,2}([^\[\]]+)\]{1,2}$")
_SHAPE = re.compile(r"[\w$@\"'(<.-]")
_WORD = re.compile(r"[\w.$-]+")
# "function name", "define name", and so on, in languages whose grammar is not at hand.
_DEFINED = re.compile(
    r"(?:(?:export|default|public|private|protected|static|pub|async|abstract|final|local|inline|extern|virtual)\s+)*"
    r"(?P<word>function|func|fun|fn|def|defn|defp|sub|proc|procedure|method|subroutine|class|interface|struct|enum|trait"
    r"|protocol|type|module|package|namespace|macro|create\s+(?:or\s+replace\s+)?(?:table|view|function|procedure|index"
    r"|trigger|type)|message|service|rpc|task|contract|record|union|object)\s+(?:if\s+not\s+exists\s+)?"
    r"[\"'`(\[]?(?P<name>[\w.$-]+(?::+\w+)*)",
    re.I,
)
_KINDS: dict[str, Kind] = {
    "class": "class", "object": "class", "contract": "class", "interface": "interface", "protocol": "interface",
    "service": "interface", "struct": "struct", "record": "struct", "message": "struct", "union": "struct",
    "enum": "enum", "trait": "trait", "type": "type", "module": "module", "package": "module", "namespace": "module",
    "macro": "macro", "table": "struct", "view": "struct", "index": "property",
}  # fmt: skip

# A line and the one after it -> the depth, name and kind of what starts there.
Reader = Callable[[str, str], tuple[int, str, Kind] | None]


def outline(language: str, content: bytes) -> list[Symbol]:
    """What stands out in a text (UTF-8) of a language without a grammar; at most 400 symbols.

    Headings of Markdown, reStructuredText, AsciiDoc and pages; blocks of templates; else definitions by their usual
    words, sections in brackets, and lines at the margin whose next line is indented.
    """
    return _outline(_reader_for(language), content)


def salvage(language: str, content: bytes, start: int, end: int) -> list[Symbol]:
    """The definitions, by their usual words, in a part of a file that its grammar could not read; at most 400."""
    begin = content.rfind(b"\n", 0, start) + 1
    above = content.count(b"\n", 0, begin)
    return [
        Symbol(
            it.name,
            "method" if it.kind == "function" and it.container else it.kind,
            it.container,
            it.signature.rstrip(" {:"),
            "",
            it.line + above,
            it.end_line + above,
            it.start_byte + begin,
            it.end_byte + begin,
            is_exported(language, Declaration(it.name, it.kind, it.signature, "", "", "export " in it.signature)),
        )
        for it in _outline(_defined, content[begin:end])
    ]


def _outline(reader: Reader, content: bytes) -> list[Symbol]:
    lines = content.decode("utf-8", "replace").split("\n")
    offsets = [0]
    for raw in content.split(b"\n"):
        offsets.append(offsets[-1] + len(raw) + 1)
    found: list[tuple[int, int, str, Kind]] = []
    fenced = False
    for number, raw in enumerate(lines):
        line = raw[:_LINE_MOST].rstrip()
        if _FENCE.match(line):
            fenced = not fenced
        elif not fenced and line and (entry := reader(line, _next_line(lines, number))):
            found.append((number, *entry))
        if len(found) == _MOST:
            break
    return _nested(found, lines, offsets)


def _next_line(lines: list[str], number: int) -> str:
    return lines[number + 1][:_LINE_MOST].rstrip() if number + 1 < len(lines) else ""


def _reader_for(language: str) -> Reader:
    match language:
        case "markdown":
            return _heading
        case "html" | "vue" | "svelte" | "jinja":
            return _page_part
        case "":
            return lambda line, below: _heading(line, below, wiki=True) or _defined(line, below) or _margin(line, below)
        case _:
            return lambda line, below: _defined(line, below) or _margin(line, below)


def _heading(line: str, below: str, wiki: bool = False) -> tuple[int, str, Kind] | None:
    if (found := _HEADING.match(line)) or (wiki and (found := _WIKI_HEADING.match(line))):
        if not found[2] or (wiki and len(found[1]) == 1 and line.startswith("#")):
            return None  # where "#" may begin a comment, one of them is no heading
        return len(found[1]), found[2], "heading"
    underlined = _UNDERLINE.match(below)
    if underlined and not line[0].isspace() and len(below) + 3 >= len(line) and any(map(str.isalnum, line)):
        return 1 + "=-~^\"'`*+#".index(underlined[1]), line, "heading"
    return None


def _page_part(line: str, below: str) -> tuple[int, str, Kind] | None:
    if found := _TEMPLATE_BLOCK.search(line):
        return 8, found[2], "block" if found[1] == "block" else "macro"
    if found := _PAGE_HEADING.search(line):
        name = " ".join(_PAGE_TAG.sub(" ", found[2]).split())
        return (int(found[1]), name, "heading") if name else None
    return None


def _defined(line: str, below: str) -> tuple[int, str, Kind] | None:
    text = line.lstrip()
    found = _DEFINED.match(text)
    if found is None or (len(line) - len(text) > 8):
        return None
    word = found["word"].lower().split()[-1]
    return 2 + len(line) - len(text), found["name"], _KINDS.get(word, "function")


def _margin(line: str, below: str) -> tuple[int, str, Kind] | None:
    if found := _SECTION.match(line):
        return 1, found[1].strip(), "block"
    is_above_indented = below[:1].isspace() and below.strip() != ""
    if line[0].isspace() or not is_above_indented or not _SHAPE.match(line) or _COMMENT.match(line):
        return None
    word = _WORD.search(line)
    return (2, line.rstrip(" {:=("), "block") if word else None


def _nested(found: list[tuple[int, int, str, Kind]], lines: list[str], offsets: list[int]) -> list[Symbol]:
    """Each reaches to the next of its depth or less, and stands in those that are open."""
    symbols: list[Symbol] = []
    open_above: list[tuple[int, str]] = []
    for at, (number, depth, name, kind) in enumerate(found):
        while open_above and open_above[-1][0] >= depth:
            open_above.pop()
        last = next((later for later, other, *_ in found[at + 1 : at + 60] if other <= depth), len(lines)) - 1
        while last > number and not lines[last].strip():
            last -= 1
        container = ".".join(above for _, above in open_above)[:_NAME_MOST]
        signature = " ".join(lines[number][:_LINE_MOST].split())[:200]
        end = min(offsets[last + 1], offsets[-1] - 1)
        symbols.append(
            Symbol(name[:_NAME_MOST], kind, container, signature, "", number + 1, last + 1, offsets[number], end, True)
        )
        open_above.append((depth, name[:_NAME_MOST]))
    return symbols

"""What stands out in configuration, build files, SQL and unknown languages, line by line and without a grammar."""

import re
from collections.abc import Iterator, Sequence

from kimi_code.repo.indexing.headings import Entry, plain_heading
from kimi_code.repo.symbols import Kind

_INDENT_MOST = 8  # characters before a definition of an unknown language

_COMMENT = re.compile(r"(?:#|//|/\*|\*|--|;|%|<!--|\"|\.\. )")
_SECTION = re.compile(r"\[{1,2}([^\[\]]+)\]{1,2}$")
_KEY = re.compile(r"([^\s#;=:\[{][^=:]*?)\s*[=:]")
_SHAPE = re.compile(r"[\w$@\"'(<.-]")
_WORD = re.compile(r"[\w.$-]+")
# "function name", "define name", and so on, in languages whose grammar is not at hand.
_DEFINED = re.compile(
    r"\(?(?:(?:export|default|public|private|protected|static|pub|async|abstract|final|local|inline|extern|virtual)\s+)*"
    r"(?P<word>function!?|func|fun|fn|def|defn|defn-|defp|defun|defmacro|defvar|defcustom|sub|proc|procedure|method"
    r"|subroutine|modifier|class|interface|struct|enum|trait|protocol|type|input|scalar|fragment|module|package|namespace"
    r"|ns|macro|message|service|rpc|task|contract|record|union|object)\s+[\"'`(\[]?(?P<name>[\w.$-]+(?::+\w+)*)",
    re.I,
)
_ASSIGNED = re.compile(r"([\w.]+)\s*(?:<-|=)\s*function\b")
_KINDS: dict[str, Kind] = {
    "class": "class", "object": "class", "contract": "class", "interface": "interface", "protocol": "interface",
    "service": "interface", "struct": "struct", "record": "struct", "message": "struct", "union": "struct",
    "input": "struct", "enum": "enum", "trait": "trait", "type": "type", "scalar": "type", "module": "module",
    "package": "module", "namespace": "module", "ns": "module", "macro": "macro", "defmacro": "macro",
    "defvar": "variable", "defcustom": "variable",
}  # fmt: skip

_RULE = re.compile(r"([^\s#:=][^#:=]*?)\s*&?::?(?![:=])")
_MAKE_VARIABLE = re.compile(r" *(?:(?:export|override|private)\s+)*([\w.-]+)\s*(?:[:?+!]|::+)?=")
_MAKE_DEFINE = re.compile(r" *(?:override\s+)?define\s+([\w.-]+)")
_MAKE_END = re.compile(r" *endef\b")
_SPECIAL_TARGET = re.compile(r"\.[A-Z_]+$")

_STAGE = re.compile(r"FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?", re.I)
_STARTED = re.compile(r"(ENTRYPOINT|CMD|EXPOSE)\s", re.I)

_CMAKE = re.compile(
    r"\s*(function|macro|project|option|set|add_(?:executable|library|custom_target|test|subdirectory))"
    r"\s*\(\s*(?:NAME\s+)?\"?([^\s()\"]+)",
    re.I,
)
_CMAKE_KINDS: dict[str, Kind] = {
    "function": "function", "macro": "macro", "project": "module", "option": "variable", "set": "variable",
}  # fmt: skip

_QUOTED = r"(?:\"[^\"]+\"|`[^`]+`|\[[^\]]+\]|[\w$#@]+)"
_CREATE = re.compile(
    r"\s{0,8}create\s+(?:or\s+(?:replace|alter)\s+)?"
    r"(?:(?:global|local|temp|temporary|unlogged|external|unique|clustered|nonclustered|materialized|virtual|recursive"
    r"|fulltext|spatial|constraint|event|force|editionable|definer\s*=\s*\S+)\s+)*"
    r"(table|view|index|function|procedure|proc|trigger|type|domain|schema|database|sequence|package(?:\s+body)?|role|user"
    r"|extension|policy|event)\s+(?:concurrently\s+)?(?:if\s+not\s+exists\s+)?"
    rf"(?P<name>{_QUOTED}(?:\s*\.\s*{_QUOTED})*)",
    re.I,
)
_SQL_KINDS: dict[str, Kind] = {
    "table": "struct", "view": "struct", "index": "property", "function": "function", "procedure": "function",
    "proc": "function", "trigger": "function", "type": "type", "domain": "type", "schema": "module",
    "database": "module", "package": "module", "package body": "module",
}  # fmt: skip


def unknown(lines: Sequence[str]) -> Iterator[Entry]:
    """Definitions by their usual words, headings, sections in brackets, and lines at the margin above indented ones."""
    fence = ""
    for number, line in enumerate(lines):
        if line[:3] in ("```", "~~~") and fence in ("", line[:3]):
            fence = "" if fence else line[:3]
        elif line and not fence and (found := defined(line) or plain_heading(lines, number) or _margin(lines, number)):
            yield number, *found


def grammarless(lines: Sequence[str]) -> Iterator[Entry]:
    """The same without headings, for a programming language whose grammar is not installed."""
    for number, line in enumerate(lines):
        if line and (found := defined(line) or _margin(lines, number)):
            yield number, *found


def definitions(lines: Sequence[str]) -> Iterator[Entry]:
    """Definitions by their usual words alone."""
    for number, line in enumerate(lines):
        if found := defined(line):
            yield number, *found


def defined(line: str) -> tuple[int, str, Kind] | None:
    """The depth, name and kind of what a line defines by one of the usual words."""
    text = line.lstrip()
    indent = len(line) - len(text)
    if indent > _INDENT_MOST:
        return None
    if found := _DEFINED.match(text):
        return 2 + indent, found["name"], _KINDS.get(found["word"].lower(), "function")
    found = _ASSIGNED.match(text)
    return (2 + indent, found[1], "function") if found else None


def _margin(lines: Sequence[str], number: int) -> tuple[int, str, Kind] | None:
    line = lines[number]
    if found := _SECTION.match(line):
        return 1, found[1].strip(), "block"
    below = lines[number + 1] if number + 1 < len(lines) else ""
    if line[0].isspace() or not below[:1].isspace() or not _SHAPE.match(line) or _COMMENT.match(line):
        return None
    return (2, line.rstrip(" {:=("), "block") if _WORD.search(line) else None


def settings(lines: Sequence[str]) -> Iterator[Entry]:
    """Sections in brackets, and the keys in them and above; what is indented further goes on with a value."""
    deepest, above = _INDENT_MOST, ""
    for number, line in enumerate(lines):
        text = line.strip()
        if not text or _COMMENT.match(text):
            continue
        if found := _SECTION.match(text):
            deepest = _INDENT_MOST
            yield number, 1, found[1].strip(), "block"
        elif _indent(line) <= deepest and not above.endswith("\\") and (found := _KEY.match(text)):
            deepest = _indent(line)
            yield number, 2, found[1].strip("\"'"), "property"
        above = line


def blocks(lines: Sequence[str]) -> Iterator[Entry]:
    """Sections in brackets, and every line above lines that are indented further."""
    for number, line in enumerate(lines):
        text = line.strip()
        if found := _SECTION.match(text):
            yield number, 1, found[1].strip(), "block"
        elif text and _SHAPE.match(text) and not _COMMENT.match(text):
            below = next((each for each in lines[number + 1 : number + 4] if each), "")
            if _indent(below) > _indent(line) and not text.endswith("\\") and not text.startswith("</"):
                yield number, 2 + _indent(line), text.strip("<>").rstrip(" {:=("), "block"


def _indent(line: str) -> int:
    text = line.expandtabs()
    return len(text) - len(text.lstrip())


def makefile(lines: Sequence[str]) -> Iterator[Entry]:
    """Targets, variables and what `define` defines."""
    inside = False
    for number, line in enumerate(lines):
        is_continued = number > 0 and lines[number - 1].endswith("\\")
        if inside:
            inside = not _MAKE_END.match(line)
        elif line.startswith("\t") or is_continued:
            continue
        elif found := _MAKE_DEFINE.match(line):
            inside = True
            yield number, 1, found[1], "macro"
        elif found := _MAKE_VARIABLE.match(line):
            yield number, 1, found[1], "variable"
        elif (found := _RULE.match(line)) and not _SPECIAL_TARGET.match(found[1]):
            yield number, 1, found[1], "function"


def dockerfile(lines: Sequence[str]) -> Iterator[Entry]:
    """Stages, and how the container is started."""
    for number, line in enumerate(lines):
        if found := _STAGE.match(line):
            yield number, 1, found[2] or found[1], "block"
        elif found := _STARTED.match(line):
            yield number, 2, found[1].upper(), "property"


def cmake(lines: Sequence[str]) -> Iterator[Entry]:
    """Functions, macros, the project, its targets, and variables that are set at the margin."""
    for number, line in enumerate(lines):
        if found := _CMAKE.match(line):
            kind = _CMAKE_KINDS.get(found[1].lower(), "block")
            if kind != "variable" or not line[0].isspace():
                yield number, 1, found[2], kind


def sql(lines: Sequence[str]) -> Iterator[Entry]:
    """What is created."""
    for number, line in enumerate(lines):
        if found := _CREATE.match(line):
            word = " ".join(found[1].lower().split())
            name = ".".join(part.strip(' \t"`[]') for part in found["name"].split("."))
            yield number, 1, name, _SQL_KINDS.get(word, "block")

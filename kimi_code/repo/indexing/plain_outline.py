"""An outline without a grammar: of texts by their headings, of pages and templates, of what else has lines."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

from kimi_code.repo.indexing import headings, plain_lines
from kimi_code.repo.indexing.headings import Entry
from kimi_code.repo.indexing.visibility import is_exported
from kimi_code.repo.symbols import Symbol

_MOST = 400  # symbols of a file
_NAME_MOST = 100  # characters
_LINE_MOST = 300  # characters of a line that is looked at

_PAGE_HEADING = re.compile(r"<h([1-6])\b[^>]*>(.*?)</h\1\s*>", re.I)
_TEMPLATE_BLOCK = re.compile(r"""\{%-?\s*(block|macro|define)\s+["']?([\w.-]+)""")
_PAGE_TAG = re.compile(r"</?[a-zA-Z][^>]*>|\{[{%].*?[}%]\}")

Reader = Callable[[Sequence[str]], Iterable[Entry]]  # of lines without their ends


def outline(language: str, content: bytes) -> list[Symbol]:
    """What stands out in a text (UTF-8) of a language without a grammar; at most 400 symbols."""
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
            is_exported(language, it.name, it.signature, "", "", exports="export " in it.signature),
        )
        for it in _outline(plain_lines.definitions, content[begin:end])
    ]


def _outline(reader: Reader, content: bytes) -> list[Symbol]:
    lines = [line[:_LINE_MOST].rstrip() for line in content.decode("utf-8", "replace").split("\n")]
    named = (entry for entry in reader(lines) if entry[2].strip())
    return _nested(list(islice(named, _MOST)), lines, content)


def _reader_for(language: str) -> Reader:
    match language:
        case "markdown":
            return headings.markdown
        case "rst":
            return headings.restructured
        case "asciidoc":
            return headings.asciidoc
        case "org":
            return headings.org
        case "text":
            return headings.plain
        case "html" | "vue" | "svelte" | "jinja":
            return _page
        case "ini":
            return plain_lines.settings
        case "conf":
            return plain_lines.blocks
        case "make":
            return plain_lines.makefile
        case "docker":
            return plain_lines.dockerfile
        case "cmake":
            return plain_lines.cmake
        case "sql":
            return plain_lines.sql
        case "":
            return plain_lines.unknown
        case _:
            return plain_lines.grammarless


def _page(lines: Sequence[str]) -> Iterator[Entry]:
    """The headings of a page, and the blocks of a template."""
    for number, line in enumerate(lines):
        if found := _TEMPLATE_BLOCK.search(line):
            yield number, 8, found[2], "block" if found[1] == "block" else "macro"
        elif (found := _PAGE_HEADING.search(line)) and (name := " ".join(_PAGE_TAG.sub(" ", found[2]).split())):
            yield number, int(found[1]), name, "heading"


def _nested(found: Sequence[Entry], lines: Sequence[str], content: bytes) -> list[Symbol]:
    """Each reaches to the next of its depth or less, and stands in those that are open."""
    offsets = [0]
    for raw in content.split(b"\n"):
        offsets.append(offsets[-1] + len(raw) + 1)
    symbols: list[Symbol] = []
    open_above: list[tuple[int, str]] = []
    for (number, depth, name, kind), after in zip(found, _ends(found, len(lines)), strict=True):
        while open_above and open_above[-1][0] >= depth:
            open_above.pop()
        last = after - 1
        while last > number and not lines[last].strip():
            last -= 1
        container = ".".join(above for _, above in open_above)[:_NAME_MOST]
        signature = " ".join(lines[number].split())[:200]
        end = min(offsets[last + 1], offsets[-1] - 1)
        symbols.append(
            Symbol(name[:_NAME_MOST], kind, container, signature, "", number + 1, last + 1, offsets[number], end, True)
        )
        open_above.append((depth, name[:_NAME_MOST]))
    return symbols


def _ends(found: Sequence[Entry], count: int) -> list[int]:
    """The lines after each, where the next of its depth or less starts."""
    ends = [count] * len(found)
    unfinished: list[int] = []
    for at, (number, depth, *_) in enumerate(found):
        while unfinished and found[unfinished[-1]][1] >= depth:
            ends[unfinished.pop()] = number
        unfinished.append(at)
    return ends

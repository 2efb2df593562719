"""What is said of a definition: the first line of its docstring, or of the comment above it."""

import re

_DOC_MOST = 160  # characters
_LINES_MOST = 80  # that are looked at above a definition

_DOCSTRINGS = {
    "python": re.compile(rb"""[rRuUbB]{0,2}("{3}|'{3}|"|')"""),
    "elixir": re.compile(rb"""do\s+@moduledoc\s+(?:~S)?("{3}|")"""),
}
_ELIXIR_DOC = re.compile(rb"""@doc\s+(?:~S)?"{1,3}\s*([^"\n]+)""")
_MARKS = {
    "ruby": (b"#",), "bash": (b"#",), "python": (b"#",), "yaml": (b"#",), "toml": (b"#",), "elixir": (b"#",),
    "lua": (b"--",), "haskell": (b"--",), "hcl": (b"#", b"//"), "php": (b"//", b"#"), "css": (), "html": (),
}  # fmt: skip
_ATTRIBUTES = (b"@", b"#[", b"[")
_DIRECTIVE = re.compile(
    r"!|\s*(?:noqa|type:|pylint|pragma|eslint|prettier|ts-|nolint|fmt:|go:|region|-\*-|=+$|-+$|\*+$)"
)
_DECORATION = re.compile(r"^(?:/\*+!?|//[/!]?|\*+/?|#+:?|--+\[*=*\[?|-- \||<!--|\{-)?\s?\|?\s*")
_TAGS = re.compile(r"</?[a-zA-Z][^<>]*>|\*+/$|-->$|\]\]$|-\}$")


def docstring(language: str, content: bytes, body: int) -> str:
    """The first line of the string that a block starting at `body` begins with, "" when it begins otherwise."""
    opening = _DOCSTRINGS.get(language)
    found = opening.match(content, body) if opening else None
    if found is None:
        return ""
    end = content.find(found[1], found.end())
    text = content[found.end() : end if end >= 0 else found.end() + 1_000].decode("utf-8", "replace")
    return _capped(next((line.strip() for line in text.splitlines() if line.strip()), ""))


def doc_above(language: str, content: bytes, start: int) -> str:
    """The first line of the comment that ends on the line before `start`, over attributes; without its marks."""
    marks = _MARKS.get(language, (b"//",))
    lines: list[bytes] = []
    end = content.rfind(b"\n", 0, start)
    for _ in range(_LINES_MOST):
        if end < 0:
            break
        begin = content.rfind(b"\n", 0, end) + 1
        line = content[begin:end].strip()
        if not line:
            break
        if line.endswith((b"*/", b"-->", b"-}", b"]]")) and not line.startswith(marks or b"\0"):
            opening = max(content.rfind(mark, 0, end - 2) for mark in (b"/*", b"<!--", b"{-", b"--[["))
            alone = opening >= 0 and not content[content.rfind(b"\n", 0, opening) + 1 : opening].strip()
            return _first(content[opening:end].splitlines()) if alone and not lines else _first(lines)
        if language == "elixir" and (found := _ELIXIR_DOC.match(line)):
            return _first([found[1]])
        if marks and line.startswith(marks) and not line.startswith(b"#["):
            lines.insert(0, line)
        elif lines or not line.startswith(_ATTRIBUTES):
            break
        end = begin - 1
    return _first(lines) if lines else ""


def _first(lines: list[bytes]) -> str:
    for raw in lines:
        line = _DECORATION.sub("", raw.decode("utf-8", "replace").strip(), count=1)
        line = _TAGS.sub("", line).strip()
        if line and not line.startswith("@") and not _DIRECTIVE.match(line):
            return _capped(line)
    return ""


def _capped(text: str) -> str:
    return text if len(text) <= _DOC_MOST else text[: _DOC_MOST - 1].rstrip() + "…"

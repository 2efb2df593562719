"""From blocks to symbols (signatures, comments, what is exported), and from captured nodes to references."""

import re
from collections.abc import Collection, Container, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, cast

from kimi_code.repo.indexing.blocks import VALUES, Block, find_name
from kimi_code.repo.indexing.comments import doc_above, docstring
from kimi_code.repo.indexing.visibility import is_exported
from kimi_code.repo.symbols import Kind, Symbol
from kimi_code.repo.syntax import Captures

if TYPE_CHECKING:
    from kimi_code.repo.syntax import Node

_SIGNATURE_MOST = 200  # characters
_NAME_MOST = 200  # of a name and of a container's: nesting a thousand deep must not make names of a thousand parts
_SYMBOLS_MOST = 10_000  # of a file

_TYPES = frozenset({"class", "interface", "struct", "enum", "trait", "scope"})
_FUNCTIONS = frozenset({"function", "method", "macro"})
_FIRST_LINES = VALUES | {"heading", "block"}  # whose signature is their first line
_COMPOUND = frozenset({"cpp", "lua", "ruby", "csharp", "elixir"})  # where a name may name its containers
_ENDED = frozenset({"ruby", "lua"})  # by a word, when the body is empty
_LISTED = frozenset({"python", "javascript", "typescript", "tsx", "haskell"})
_LISTED_ONLY = frozenset({"python", "haskell"})  # what is not in the list is not exported
# It begins with a word and not with `^`: a search for that is ten times as fast.
_ALL = re.compile(rb"__all__(?<![^\n]__all__)[ \t]*(?::[^=\n]*)?\+?=[ \t]*[\[(]([^\])]*)[\])]")
_LISTED_NAME = re.compile(rb"""#[^\n]*|["'](\w+)["']""")
_SEPARATOR = re.compile(r"::|[.:]")
_CONSTANT = re.compile(r"_*[A-Z][A-Z0-9_]+")
_ENDING = re.compile(r"[;\s]+end$")
_ANNOTATIONS = re.compile(
    r"\A(?:(?:@(?!interface\b)[\w.:]+(?:\([^()]*(?:\([^()]*\)[^()]*)*\))?|#?\[[^\[\]]*(?:\[[^\]]*\][^\[\]]*)*\])\s*)+(?=[\w<#])"
)
_TRAILING = " \t\r\n{:=;,|"
_ARGUMENTS = re.compile(r"<.*>", re.S)
_CONVERSION = re.compile(r"(.*?)(\boperator\s+[^(]+)\(.*", re.S)  # a name with its parameters: operator bool() const
_LOOSE = re.compile(r" (?:(?<=[(\[] )|(?=[)\]]))|, (?=[)\]])")


def read_definitions(
    language: str, content: bytes, blocks: Iterable[Block], listed: "Sequence[Node]" = ()
) -> tuple[list[Symbol], dict[int, int]]:
    """The symbols of blocks, outer ones first, and where each name stands (from, to); `listed` are exported names."""
    public = {content[node.start_byte : node.end_byte] for node in listed}
    if language == "python" and b"__all__" in content:  # a pattern for it costs a seventh of the query
        public.update(name for listed in _ALL.finditer(content) for name in _LISTED_NAME.findall(listed[1]))
    symbols: list[Symbol] = []
    names: dict[int, int] = {}
    equations: set[tuple[str, bytes]] = set()
    for block in blocks:
        parent = block.parent
        is_local = False
        if parent is not None:
            block.dotted, block.exported = parent.dotted, parent.exported
            is_local = block.tag in VALUES and parent.tag in _FUNCTIONS
        if not block.names and not is_local:
            find_name(block)
        for name in block.names:
            names[name.start_byte] = name.end_byte
        if language == "haskell" and block.tag == "function":
            block.names = [name for name in block.names if _is_first(name, block.dotted, content, equations)]
        if block.names and not is_local:
            symbols += _symbols_of(block, language, content, public)
        else:  # what stands in it stands in its parent
            block.tag = parent.tag if parent else ""
        if len(symbols) > _SYMBOLS_MOST:
            break
    return symbols, names


def read_references(
    content: bytes, captures: Captures, names: Container[int], known: Iterable[str] | None
) -> dict[str, tuple[int, ...]]:
    """The lines of every use, not at `names` (offsets); of bare names, those `known` (None: all) or capitalised."""
    spans = [(node.start_byte, node.end_byte) for node in captures.get("reference", ())]
    uses = [(start, content[start:end]) for start, end in spans if start < end]
    spans = [(node.start_byte, node.end_byte) for node in captures.get("bare", ())]
    bare = [(start, content[start:end]) for start, end in spans if start < end]
    if known is not None:
        kept = {name.encode() for name in known}
        bare = [use for use in bare if use[1] in kept or 65 <= use[1][0] <= 90]  # A to Z
    uses += bare
    uses.sort()
    found: dict[bytes, list[int]] = {}
    line, line_end, last = 1, content.find(b"\n"), -1
    for start, text in uses:
        if start == last or start in names:
            continue
        last = start
        if 0 <= line_end < start:
            line += content.count(b"\n", line_end, start)
            line_end = content.find(b"\n", start)
        lines = found.get(text)
        if lines is None:
            found[text] = [line]
        elif lines[-1] != line:
            lines.append(line)
    return {text.decode("utf-8", "replace"): tuple(lines) for text, lines in found.items()}


def _symbols_of(block: Block, language: str, content: bytes, public: Collection[bytes]) -> Iterator[Symbol]:
    """One symbol for each name of a block; sets what the blocks in it need to know."""
    parent, tag, first, end = block.parent, block.tag, block.first, block.end
    outer, outer_exported, within = block.dotted, block.exported, parent.tag if parent else ""
    signature = _signature(block, language, content)
    doc = docstring(language, content, block.body) if block.body else ""
    if not doc and (parent is None or content.find(b"\n", parent.first, first) >= 0):
        doc = doc_above(language, content, first)
    for node in block.names:
        start = node.start_byte
        name = content[start : node.end_byte].decode("utf-8", "replace")
        owners = ()
        if not name.isidentifier() or language == "csharp":
            name, owners = _read_name(name, block, language)
            if not name:
                continue
        container = outer
        if owners or block.container:
            parts = (outer, _folded(block.container), *(_ARGUMENTS.sub("", owner) for owner in owners))
            container = ".".join(part for part in parts if part)
        container = container[:_NAME_MOST]
        exported = outer_exported and (
            tag == "scope" or is_exported(language, name, signature, within, block.visible, exports=block.exports)
        )
        if public and parent is None and language in _LISTED:
            exported = name.encode() in public or (exported and language not in _LISTED_ONLY)
        if node is block.names[0]:
            block.dotted, block.exported = f"{container}.{name}" if container else name, exported
        if tag == "scope":
            continue
        is_owned = bool(owners or block.container or (language == "ruby" and parent))
        kind = _kind(tag, name, within, is_owned=is_owned)
        line, (last, column) = node.start_point[0] + 1, (block.tail or block.node).end_point
        end_line = last + 1 if column or last < line else last
        yield Symbol(name, kind, container, signature, doc, line, end_line, first, end, exported)


def _read_name(name: str, block: Block, language: str) -> tuple[str, Sequence[str]]:
    """A name that is more than a word, and those of its containers that it tells."""
    if language == "csharp" and block.node.type == "conversion_operator_declaration":
        return f"operator {_folded(name)}", ()
    if name.isidentifier():
        return name, ()
    name = name.strip("\"'` \t\r\n")[:_NAME_MOST]
    if language == "cpp" and (conversion := _CONVERSION.fullmatch(name)):
        *owners, _ = _SEPARATOR.split(conversion[1])
        return _folded(conversion[2]).rstrip(), [each for each in owners if each]
    if language in _COMPOUND:
        *owners, name = _SEPARATOR.split(name.lstrip(":"))
        return name, owners
    if block.tag == "heading":
        return name.rstrip(" #"), ()
    return _ARGUMENTS.sub("", name) if block.tag == "scope" else name, ()


def _kind(tag: str, name: str, within: str, *, is_owned: bool) -> Kind:
    if tag == "function" and (is_owned or within in _TYPES):
        return "method"
    if tag == "variable":
        if within in _TYPES:
            return "property"
        if _CONSTANT.fullmatch(name):
            return "constant"
    return cast(Kind, tag)


def _signature(block: Block, language: str, content: bytes) -> str:
    """The text of a definition up to its body, on one line; of a value, its first line."""
    start, first = block.start, block.first
    if start != first and content[first] not in b"@#[":
        start = first
    if not block.body and block.tag not in VALUES and (body := block.node.child_by_field_name("body")):
        block.body = body.start_byte
    name_end = block.names[0].end_byte
    end = block.body if block.body >= name_end else block.end
    text = content[start : min(end, start + 4_000)].decode("utf-8", "replace")
    if end == block.end and (block.tag in _FIRST_LINES or "{" in text):
        cut = content.find(b"\n", name_end, end)
        text = text if cut < 0 else content[start:cut].decode("utf-8", "replace")
    if text[:1] in "@#[":
        text = _ANNOTATIONS.sub("", text, count=1)
    folded = _folded(text)
    if "\n" in text and (" )" in folded or "( " in folded or " ]" in folded or "[ " in folded):
        folded = _LOOSE.sub("", folded)
    text = folded.rstrip(_TRAILING)
    if language in _ENDED:
        text = _ENDING.sub("", text)
    return text if len(text) <= _SIGNATURE_MOST else text[: _SIGNATURE_MOST - 1].rstrip() + "…"


def _is_first(name: "Node", container: str, content: bytes, seen: set[tuple[str, bytes]]) -> bool:
    key = container, content[name.start_byte : name.end_byte]
    is_new = key not in seen
    seen.add(key)
    return is_new


def _folded(text: str) -> str:
    return " ".join(text.split())

"""From the nodes a query captures to symbols and references: nesting, signatures, comments, what is exported.

What the captures of `queries/*.scm` mean:
- `@class`, `@function` and every other kind of symbol: the whole of a definition; `@name` within it: its name, if that
  is not its field `name` (to compile a pattern of one node costs nothing, one with a field up to 0.2 s), or in C its
  innermost declarators
- `@promoted`: a parameter of a constructor that is a property of its class
- `@scope`: a block with a `@name` that is a container and no symbol (Rust's impl)
- `@container`: the name of a definition's container, where that is no block around it
- `@wrapper`: belongs to the one definition in it (decorators, `const`); `@exported`: a wrapper that exports
- `@body`: where the signature ends, for grammars without a field of that name
- `@tail`: the body of the definition before it, for grammars where it is no part of that
- `@access`: how visible what follows in the same block is (`private:` in C++, `private` in Ruby)
- `@public`: a name that the file says it exports (`export {a}`)
- `@import`: an import statement; `@reference`: a use of a name; `@bare`: one that may be of a local variable
- `@opaque`: text that holds no uses, in languages whose uses are read from the tokens; `@format`: unless with braces
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, cast

from kimi_code.repo.indexing.comments import doc_above, docstring
from kimi_code.repo.indexing.declarators import DECLARATIONS, declared_names
from kimi_code.repo.indexing.visibility import Declaration, is_exported
from kimi_code.repo.symbols import Kind, Symbol
from kimi_code.repo.syntax import Captures

if TYPE_CHECKING:
    from kimi_code.repo.syntax import Node

_SIGNATURE_MOST = 200  # characters
_NAME_MOST = 200  # of a name and of a container's: nesting a thousand deep must not make names of a thousand parts
_SYMBOLS_MOST = 10_000  # of a file

_TYPES = frozenset({"class", "interface", "struct", "enum", "trait", "scope"})
_MADE_IN_PLACE = frozenset({"struct", "enum", "class"})
_VALUES = frozenset({"constant", "variable", "property"})
_FUNCTIONS = frozenset({"function", "method", "macro"})
_WRAPPERS = frozenset({"wrapper", "exported"})
_PARTS = frozenset({"name", "body", "container", "access"})
_APART = frozenset({"reference", "bare", "import", "public", "error", "opaque", "format"})
_FIRST_LINES = _VALUES | {"heading", "block"}  # whose signature is their first line
_COMPOUND = frozenset({"cpp", "lua", "ruby", "csharp", "elixir"})  # where a name may name its containers
_ENDED = frozenset({"ruby", "lua"})  # by a word, when the body is empty
_LISTED = frozenset({"python", "javascript", "typescript", "tsx", "haskell"})
_LISTED_ONLY = frozenset({"python", "haskell"})  # what is not in the list is not exported
_SWIFT_KINDS = {"struct": "struct", "enum": "enum", "extension": "scope"}  # whose node is that of a class
_ALL = re.compile(rb"^__all__[ \t]*(?::[^=\n]*)?\+?=[ \t]*[\[(]([^\])]*)[\])]", re.M)
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


@dataclass(slots=True)
class _Frame:
    """A captured block: where it stands, and what was found in it."""

    tag: str
    node: "Node"
    start: int
    end: int
    parent: "_Frame | None"
    first: int  # where it starts with its wrappers
    exports: bool  # that a wrapper exports it
    visible: str  # the access that its parent gave at this place
    names: "list[Node]"
    container: str = ""
    body: int = 0
    access: str = ""
    dotted: str = ""
    exported: bool = True
    last: "Node | None" = None  # a body that follows the node


def read_definitions(language: str, content: bytes, captures: Captures) -> tuple[list[Symbol], set[int]]:
    """The symbols, in the order of the text, and the offsets of their names."""
    public = {content[node.start_byte : node.end_byte] for node in captures.get("public", ())}
    if language == "python" and b"__all__" in content:  # a pattern for it costs a seventh of the query
        public.update(name for listed in _ALL.finditer(content) for name in _LISTED_NAME.findall(listed[1]))
    symbols: list[Symbol] = []
    starts: set[int] = set()
    equations: set[tuple[str, bytes]] = set()
    for frame in _nest(language, content, captures):
        parent = frame.parent
        frame.dotted = parent.dotted if parent else ""
        frame.exported = parent.exported if parent else True
        is_local = frame.tag in _VALUES and parent is not None and parent.tag in _FUNCTIONS
        if not frame.names and not is_local:
            _name(frame)
        for name in frame.names:
            starts.add(name.start_byte)
        if language == "haskell" and frame.tag == "function":
            frame.names = [name for name in frame.names if _is_first(name, frame.dotted, content, equations)]
        if frame.names and not is_local:
            symbols += _symbols_of(frame, language, content, public)
        else:  # what stands in it stands in its parent
            frame.tag = parent.tag if parent else ""
        if len(symbols) > _SYMBOLS_MOST:
            break
    return symbols, starts


def read_references(
    content: bytes, captures: Captures, names: set[int], known: Iterable[str] | None
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


def _nest(language: str, content: bytes, captures: Captures) -> list[_Frame]:
    """The captured blocks, outer ones first, in one walk over all captures in the order of the text."""
    entries = [
        (node.start_byte, -node.end_byte, rank, tag, node)
        for tag, nodes in captures.items()
        if tag not in _APART and tag[0] != "_"
        for rank in (_rank(tag),)
        for node in nodes
    ]
    entries.sort(key=itemgetter(0, 1, 2))
    imports = {(node.start_byte, node.end_byte) for node in captures.get("import", ())}
    frames: list[_Frame] = []
    stack: list[_Frame] = []
    for start, negative_end, _, tag, node in entries:
        while stack and stack[-1].end <= start:
            stack.pop()
        top = stack[-1] if stack else None
        if tag in _PARTS:
            if top is not None:
                _add_part(top, tag, node, content)
        elif tag == "tail":
            _extend(frames, stack, node)
        elif tag in _VALUES and (start, -negative_end) in imports:
            continue
        elif top is None or (top.start, top.end) != (start, -negative_end) or top.tag in _WRAPPERS:
            frame = _framed(tag, node, top)
            if tag == "class" and language == "cpp":
                frame.access = "private"
            elif tag == "class" and language == "swift":
                frame.tag = _SWIFT_KINDS.get(_word_of(node, "declaration_kind", content), tag)
            stack.append(frame)
            if tag not in _WRAPPERS:
                frames.append(frame)
    return frames


def _rank(tag: str) -> int:
    """What comes first of the captures of one node; the first of two kinds is what the node is."""
    if tag in _WRAPPERS:
        return 0
    return 3 if tag in _PARTS else 2 if tag in _VALUES else 1


def _add_part(frame: _Frame, tag: str, node: "Node", content: bytes) -> None:
    match tag:
        case "name" if frame.tag not in _WRAPPERS:
            is_there = node.start_byte < node.end_byte  # not one that the parser made up
            if is_there and (not frame.names or all(node.start_byte != name.start_byte for name in frame.names)):
                frame.names.append(node)
        case "container":
            frame.container = _text(content, node.start_byte, node.end_byte)
        case "body":
            frame.body = frame.body or node.start_byte
        case "access":
            frame.access = _text(content, node.start_byte, node.end_byte)
        case _:
            pass


def _name(frame: _Frame) -> None:
    """Give a definition the names that its own fields tell."""
    name = frame.node.child_by_field_name("name")
    if name is not None:
        _add_part(frame, "name", name, b"")
    elif frame.node.type in DECLARATIONS:
        frame.names, declares_function = declared_names(frame.node)
        if declares_function and frame.tag in _VALUES:
            frame.tag = "method" if frame.tag == "property" else "function"


def _extend(frames: list[_Frame], stack: list[_Frame], node: "Node") -> None:
    """Adds a body that stands after its definition, not in it."""
    if frames and frames[-1].end <= node.start_byte:
        frame = frames[-1]
        frame.end, frame.last = node.end_byte, node
        frame.body = node.start_byte
        stack.append(frame)


def _framed(tag: str, node: "Node", top: _Frame | None) -> _Frame:
    """A frame below `top`; wrappers hand on where they start and what they export, and are nobody's parent."""
    first, exports = node.start_byte, tag == "exported"
    if top is not None and top.tag in _WRAPPERS:
        exports = exports or top.exports
        if tag in _VALUES or node.end_byte >= top.end - 1:  # it is all that the wrapper holds, but for a semicolon
            first = top.first
        parent = top.parent
    else:
        parent = top
    if tag == "promoted":
        tag, parent = "property", parent.parent if parent else None
    elif tag in _MADE_IN_PLACE and parent is not None and parent.tag in ("type", "variable"):
        parent = parent.parent  # typedef struct node {...} node_t: the struct is no part of its other name
    return _Frame(
        tag, node, node.start_byte, node.end_byte, parent, first, exports, parent.access if parent else "", []
    )


def _symbols_of(frame: _Frame, language: str, content: bytes, public: set[bytes]) -> list[Symbol]:
    """One symbol for each name of a block; sets what the blocks in it need to know."""
    outer, outer_exported = frame.dotted, frame.exported
    signature = _signature(frame, language, content)
    doc = docstring(language, content, frame.body) if frame.body else ""
    if not doc and (frame.parent is None or content.find(b"\n", frame.parent.first, frame.first) >= 0):
        doc = doc_above(language, content, frame.first)
    symbols: list[Symbol] = []
    for node in frame.names:
        name = _text(content, node.start_byte, node.end_byte)
        owners: list[str] = []
        if language == "csharp" and frame.node.type == "conversion_operator_declaration":
            name = f"operator {_folded(name)}"
        elif not name.isidentifier():
            name = name.strip("\"'` \t\r\n")[:_NAME_MOST]
            if language == "cpp" and (conversion := _CONVERSION.fullmatch(name)):
                *owners, _ = _SEPARATOR.split(conversion[1])
                owners, name = [each for each in owners if each], _folded(conversion[2]).rstrip()
            elif language in _COMPOUND:
                *owners, name = _SEPARATOR.split(name.lstrip(":"))
            elif frame.tag == "heading":
                name = name.rstrip(" #")
            elif frame.tag == "scope":
                name = _ARGUMENTS.sub("", name)
        if not name:
            continue
        container = outer
        if owners or frame.container:
            parts = (outer, _folded(frame.container), *(_ARGUMENTS.sub("", owner) for owner in owners))
            container = ".".join(part for part in parts if part)
        container = container[:_NAME_MOST]
        kind = _kind(frame, name, bool(owners or frame.container), language)
        declaration = Declaration(
            name, kind, signature, frame.parent.tag if frame.parent else "", frame.visible, frame.exports
        )
        exported = outer_exported and (frame.tag == "scope" or is_exported(language, declaration))
        if public and frame.parent is None and language in _LISTED:
            exported = name.encode() in public or (exported and language not in _LISTED_ONLY)
        if node is frame.names[0]:
            frame.dotted, frame.exported = f"{container}.{name}" if container else name, exported
        if frame.tag == "scope":
            continue
        line, last = node.start_point[0] + 1, (frame.last or frame.node).end_point
        end_line = last[0] + 1 if last[1] or last[0] < line else last[0]
        symbols.append(Symbol(name, kind, container, signature, doc, line, end_line, frame.first, frame.end, exported))
    return symbols


def _kind(frame: _Frame, name: str, is_owned: bool, language: str) -> Kind:
    in_type = frame.parent is not None and frame.parent.tag in _TYPES
    if frame.tag == "function" and (in_type or is_owned or (language == "ruby" and frame.parent)):
        return "method"
    if frame.tag == "variable":
        if in_type:
            return "property"
        if _CONSTANT.fullmatch(name):
            return "constant"
    return cast(Kind, frame.tag)


def _signature(frame: _Frame, language: str, content: bytes) -> str:
    """The text of a definition up to its body, on one line; of a value, its first line."""
    start = frame.start if frame.start != frame.first and content[frame.first] in b"@#[" else frame.first
    if not frame.body and frame.tag not in _VALUES and (body := frame.node.child_by_field_name("body")):
        frame.body = body.start_byte
    name_end = frame.names[0].end_byte
    end = frame.body if frame.body >= name_end else frame.end
    text = _text(content, start, min(end, start + 4_000))
    if end == frame.end and (frame.tag in _FIRST_LINES or "{" in text):
        cut = content.find(b"\n", name_end, end)
        text = text if cut < 0 else _text(content, start, cut)
    if text[:1] in "@#[":
        text = _ANNOTATIONS.sub("", text, count=1)
    text = (_LOOSE.sub("", _folded(text)) if "\n" in text else _folded(text)).rstrip(_TRAILING)
    if language in _ENDED:
        text = _ENDING.sub("", text)
    return text if len(text) <= _SIGNATURE_MOST else text[: _SIGNATURE_MOST - 1].rstrip() + "…"


def _word_of(node: "Node", field: str, content: bytes) -> str:
    word = node.child_by_field_name(field)
    return _text(content, word.start_byte, word.end_byte) if word is not None else ""


def _is_first(name: "Node", container: str, content: bytes, seen: set[tuple[str, bytes]]) -> bool:
    key = container, content[name.start_byte : name.end_byte]
    is_new = key not in seen
    seen.add(key)
    return is_new


def _folded(text: str) -> str:
    return " ".join(text.split())


def _text(content: bytes, start: int, end: int) -> str:
    return content[start:end].decode("utf-8", "replace")

"""The blocks of a text that are definitions, nested: made of the nodes that a query captures.

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

from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING

from kimi_code.repo.indexing.declarators import DECLARATIONS, declared_names
from kimi_code.repo.syntax import Captures

if TYPE_CHECKING:
    from kimi_code.repo.syntax import Node

VALUES = frozenset({"constant", "variable", "property"})

_MADE_IN_PLACE = frozenset({"struct", "enum", "class"})
_WRAPPERS = frozenset({"wrapper", "exported"})
_PARTS = frozenset({"name", "body", "container", "access"})
_APART = frozenset({"reference", "bare", "import", "public", "error", "opaque", "format"})
_SWIFT_KINDS = {"struct": "struct", "enum": "enum", "extension": "scope"}  # whose node is that of a class


@dataclass(slots=True)
class Block:
    """A definition: where it stands, and what was found in it. Offsets are in bytes."""

    tag: str
    node: "Node"
    start: int
    end: int
    parent: "Block | None"
    first: int  # where it starts with its wrappers
    exports: bool  # that a wrapper exports it
    visible: str  # the access that its parent gave at this place
    names: "list[Node]"
    container: str = ""
    body: int = 0
    access: str = ""
    dotted: str = ""
    exported: bool = True
    tail: "Node | None" = None  # its body, when that follows the node


def nest(language: str, content: bytes, captures: Captures) -> list[Block]:
    """The captured definitions, outer ones first, in one walk over all captures in the order of the text."""
    entries = [
        (node.start_byte, -node.end_byte, rank, tag, node)
        for tag, nodes in captures.items()
        if tag not in _APART and tag[0] != "_"
        for rank in (_rank(tag),)
        for node in nodes
    ]
    entries.sort(key=itemgetter(0, 1, 2))
    imports = {(node.start_byte, node.end_byte) for node in captures.get("import", ())}
    blocks: list[Block] = []
    stack: list[Block] = []
    for start, negative_end, _, tag, node in entries:
        while stack and stack[-1].end <= start:
            stack.pop()
        top = stack[-1] if stack else None
        if tag in _PARTS:
            if top is not None:
                _add_part(top, tag, node, content)
        elif tag == "tail":
            _extend(blocks, stack, node)
        elif tag in VALUES and (start, -negative_end) in imports:
            continue
        elif top is None or (top.start, top.end) != (start, -negative_end) or top.tag in _WRAPPERS:
            block = _framed(tag, node, top)
            if tag == "class" and language == "cpp":
                block.access = "private"
            elif tag == "class" and language == "swift":
                block.tag = _SWIFT_KINDS.get(_word_of(node, "declaration_kind", content), tag)
            stack.append(block)
            if tag not in _WRAPPERS:
                blocks.append(block)
    return blocks


def _rank(tag: str) -> int:
    """What comes first of the captures of one node; the first of two kinds is what the node is."""
    if tag in _WRAPPERS:
        return 0
    return 3 if tag in _PARTS else 2 if tag in VALUES else 1


def _add_part(block: Block, tag: str, node: "Node", content: bytes) -> None:
    match tag:
        case "name" if block.tag not in _WRAPPERS:
            is_there = node.start_byte < node.end_byte  # not one that the parser made up
            if is_there and (not block.names or all(node.start_byte != name.start_byte for name in block.names)):
                block.names.append(node)
        case "container":
            block.container = _text(content, node)
        case "body":
            block.body = block.body or node.start_byte
        case "access":
            block.access = _text(content, node)
        case _:
            pass


def find_name(block: Block) -> None:
    """Give a definition the names that its own fields tell."""
    name = block.node.child_by_field_name("name")
    if name is not None:
        _add_part(block, "name", name, b"")
    elif block.node.type in DECLARATIONS:
        block.names, declares_function = declared_names(block.node)
        if declares_function and block.tag in VALUES:
            block.tag = "method" if block.tag == "property" else "function"


def _extend(blocks: list[Block], stack: list[Block], node: "Node") -> None:
    """Adds a body that stands after its definition, not in it."""
    if blocks and blocks[-1].end <= node.start_byte:
        block = blocks[-1]
        block.end, block.body, block.tail = node.end_byte, node.start_byte, node
        stack.append(block)


def _framed(tag: str, node: "Node", top: Block | None) -> Block:
    """A block below `top`; wrappers hand on where they start and what they export, and are nobody's parent."""
    first, exports = node.start_byte, tag == "exported"
    if top is not None and top.tag in _WRAPPERS:
        exports = exports or top.exports
        if tag in VALUES or node.end_byte >= top.end - 1:  # it is all that the wrapper holds, but for a semicolon
            first = top.first
        parent = top.parent
    else:
        parent = top
    if tag == "promoted":
        tag, parent = "property", parent.parent if parent else None
    elif tag in _MADE_IN_PLACE and parent is not None and parent.tag in ("type", "variable"):
        parent = parent.parent  # typedef struct node {...} node_t: the struct is no part of its other name
    return Block(tag, node, node.start_byte, node.end_byte, parent, first, exports, parent.access if parent else "", [])


def _word_of(node: "Node", field: str, content: bytes) -> str:
    word = node.child_by_field_name(field)
    return _text(content, word) if word is not None else ""


def _text(content: bytes, node: "Node") -> str:
    return content[node.start_byte : node.end_byte].decode("utf-8", "replace")

"""Python's definitions and imports, found by the statements of a tree without errors.

They stand in blocks: four fifths of the nodes are parts of expressions, which need no visit.
"""

from functools import cache
from operator import attrgetter
from typing import TYPE_CHECKING

from kimi_code.repo.indexing.blocks import Block
from kimi_code.repo.syntax import Span, kind_numbers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kimi_code.repo.syntax import Node

_HOLDING = (
    *("block", "if_statement", "elif_clause", "else_clause", "for_statement", "while_statement", "try_statement"),
    *("except_clause", "finally_clause", "with_statement", "match_statement", "case_clause"),
)
_KINDS = (
    *("expression_statement", "function_definition", "class_definition", "decorated_definition", "import_statement"),
    *("import_from_statement", "type_alias_statement", *_HOLDING),
)
_SOFT = frozenset({"match_statement", "case_clause", "type_alias_statement"})  # they begin with what may be a name
_NO_CODE = frozenset({"string_start", "string_content", "string_end", "type_conversion", "comment"})
_BY_START = attrgetter("start")

# Where values are definitions: at the top, in a class, in a block right in the top's `if`, `else` or `try`.
_NOWHERE, _BLOCK, _BRANCH, _IF, _TOP = range(5)
_INSIDE = {
    (_TOP, "if_statement"): _IF,
    (_TOP, "try_statement"): _BRANCH,
    (_IF, "else_clause"): _BRANCH,
    (_IF, "block"): _BLOCK,
    (_BRANCH, "block"): _BLOCK,
}


def find_statements(root: "Node") -> "tuple[list[Block], dict[str, list[Node]]]":
    """The definitions in their order, and in none what `queries/python.scm` captures as import and as opaque.

    Strings and comments are not among these.
    """
    kinds, without_values = _kinds()
    blocks: list[Block] = []
    imports: list[Node] = []
    opaque: list[Node] = []
    left: list[tuple[Sequence[Node], Block | None, int]] = [(root.named_children, None, _TOP)]
    while left:
        nodes, parent, place = left.pop()
        wanted = kinds if place in (_BLOCK, _TOP) else without_values
        for node in nodes:
            if (number := node.kind_id) not in wanted:
                continue
            match kinds[number]:
                case "expression_statement":
                    _add_value(node, parent, blocks, listed=place == _TOP)
                case "function_definition" | "class_definition":
                    left.append(_added(node, node, parent, blocks))
                case "decorated_definition":
                    if (definition := node.child_by_field_name("definition")) is not None:
                        left.append(_added(definition, node, parent, blocks))
                case "import_from_statement" | "import_statement":
                    imports.append(node)
                case kind:
                    if kind in _SOFT:
                        opaque.append(node.children[0])
                    if kind == "type_alias_statement":
                        _add_alias(node, parent, blocks)
                    else:
                        inside = _INSIDE.get((place, kind), _NOWHERE) if place else _NOWHERE
                        left.append((node.named_children, parent, inside))
    blocks.sort(key=_BY_START)
    return blocks, {"import": imports, "opaque": opaque}


@cache
def _kinds() -> tuple[dict[int, str], frozenset[int]]:
    """The kinds of statements by their numbers, which need no text for each node, and the numbers of all but values."""
    kinds = kind_numbers("python", _KINDS)
    return kinds, frozenset(number for number, kind in kinds.items() if kind != "expression_statement")


def _added(
    node: "Node", outer: "Node", parent: Block | None, blocks: list[Block]
) -> "tuple[Sequence[Node], Block | None, int]":
    """Add a class or function, which `outer` decorates; returns what is left to look at."""
    name, body = node.child_by_field_name("name"), node.child_by_field_name("body")
    if name is None or body is None:
        return (), None, _NOWHERE
    tag, inside = ("class", _BLOCK) if node.type == "class_definition" else ("function", _NOWHERE)
    block = _block(tag, node, parent, [name])
    block.first, block.body = outer.start_byte, body.start_byte
    blocks.append(block)
    return body.named_children, block, inside


def _add_value(statement: "Node", parent: Block | None, blocks: list[Block], *, listed: bool) -> None:
    """Add what is assigned: a name, at the top also those of a list."""
    assignment = statement.named_children[0]
    name = assignment.child_by_field_name("left") if assignment.type == "assignment" else None
    if name is None:
        return
    if name.type == "identifier":
        names = [name]
    elif listed and name.type == "pattern_list":
        names = [node for node in name.named_children if node.type == "identifier"]
    else:
        return
    if names:
        blocks.append(_block("variable", assignment, parent, names))


def _add_alias(statement: "Node", parent: Block | None, blocks: list[Block]) -> None:
    aliased = statement.child_by_field_name("left")
    names = [
        name
        for node in (aliased.named_children if aliased is not None else ())
        for name in (node.named_children if node.type == "generic_type" else (node,))
        if name.type == "identifier"
    ]
    if names:
        blocks.append(_block("type", statement, parent, names))


def _block(tag: str, node: "Node", parent: Block | None, names: "list[Node]") -> Block:
    start = node.start_byte
    return Block(tag, node, start, node.end_byte, parent, start, False, "", names)


def opaque_of(string: "Node", content: bytes | bytearray) -> list[Span]:
    """What is no code in a formatted string: all but the expressions in its braces."""
    opaque: list[Span] = []
    left = [string]
    while left:
        node = left.pop()
        is_plain_format = node.type == "format_specifier" and content.find(b"{", node.start_byte, node.end_byte) < 0
        if node.type in _NO_CODE or is_plain_format:
            opaque.append(node.byte_range)
        else:
            left += node.children
    return opaque

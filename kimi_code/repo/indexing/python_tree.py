"""What Python's query captures, found by the statements of a tree without errors.

Definitions and imports stand in blocks: four fifths of the nodes are parts of expressions, which need no visit.
"""

from typing import TYPE_CHECKING

from kimi_code.repo.syntax import Span

if TYPE_CHECKING:
    from kimi_code.repo.syntax import Node

_CAPTURED = {
    "class_definition": "class",
    "function_definition": "function",
    "decorated_definition": "wrapper",
    "import_statement": "import",
    "import_from_statement": "import",
}
_HOLDING = frozenset(
    {
        "class_definition", "function_definition", "decorated_definition", "block", "if_statement", "elif_clause",
        "else_clause", "for_statement", "while_statement", "try_statement", "except_clause", "finally_clause",
        "with_statement", "match_statement", "case_clause",
    }
)  # fmt: skip
_SOFT = frozenset(
    {"match_statement", "case_clause", "type_alias_statement"}
)  # they begin with a word that may be a name
_NO_CODE = frozenset({"string_start", "string_content", "string_end", "type_conversion", "comment"})


def find_statements(root: "Node") -> "dict[str, list[Node]]":
    """The captures of `queries/python.scm` but for strings and comments, those of a name in no order."""
    found: dict[str, list[Node]] = {}
    left: list[tuple[Node, bool]] = [(root, False)]
    while left:
        holder, is_class_body = left.pop()
        is_class = holder.type == "class_definition"
        for node in holder.named_children:
            kind = node.type
            if kind == "expression_statement":
                if is_class_body:
                    _add_value(node, found)
                continue
            if kind in _CAPTURED:
                found.setdefault(_CAPTURED[kind], []).append(node)
            elif kind in _SOFT:
                found.setdefault("opaque", []).append(node.children[0])
                if kind == "type_alias_statement":
                    _add_alias(node, found)
            if kind in _HOLDING:
                left.append((node, is_class and kind == "block"))
    return found


def _add_value(statement: "Node", found: "dict[str, list[Node]]") -> None:
    for node in statement.named_children:
        if node.type == "assignment" and (name := node.child_by_field_name("left")) and name.type == "identifier":
            found.setdefault("variable", []).append(node)
            found.setdefault("name", []).append(name)


def _add_alias(statement: "Node", found: "dict[str, list[Node]]") -> None:
    aliased = statement.child_by_field_name("left")
    for node in aliased.named_children if aliased is not None else ():
        for name in node.named_children if node.type == "generic_type" else (node,):
            if name.type == "identifier":
                found.setdefault("type", []).append(statement)
                found.setdefault("name", []).append(name)


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

"""The names that a declaration of C or C++ makes: within pointers, arrays, parentheses and lists of parameters."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kimi_code.repo.syntax import Node

DECLARATIONS = frozenset({"function_definition", "declaration", "field_declaration", "type_definition"})

_NAMES = frozenset(
    {
        "identifier", "field_identifier", "type_identifier", "qualified_identifier", "destructor_name", "operator_name",
        "operator_cast", "template_function",
    }
)  # fmt: skip
_LEVELS_MOST = 20


def declared_names(node: "Node") -> "tuple[list[Node], bool]":
    """The nodes of the names, and whether what they name is a function and no pointer to one.

    Macros make declarations of what is none: without a parse, only those with a value are believed.
    """
    names: list[Node] = []
    is_function = False
    for declarator in node.children_by_field_name("declarator"):
        name, around = _innermost(declarator)
        declares = around == "function_declarator" or (name is not None and _is_conversion(name))
        if name is not None and (declares or declarator.type == "init_declarator" or not _is_doubtful(node)):
            names.append(name)
            is_function = is_function or declares
    return names, is_function


def _is_conversion(name: "Node") -> bool:
    """Whether it is `operator bool() const`, which is a name with its parameters, perhaps after its class."""
    for _ in range(_LEVELS_MOST):
        if name.type != "qualified_identifier" or (inner := name.child_by_field_name("name")) is None:
            break
        name = inner
    return name.type == "operator_cast"


def _is_doubtful(node: "Node") -> bool:
    return node.type == "function_definition" or (node.type == "declaration" and node.has_error)


def _innermost(declarator: "Node") -> "tuple[Node | None, str]":
    """The name in a declarator, and the type of what is right around it, parentheses apart."""
    around = ""
    for _ in range(_LEVELS_MOST):
        if declarator.type in _NAMES:
            return declarator, around
        if declarator.type != "parenthesized_declarator":
            around = declarator.type
        inner = declarator.child_by_field_name("declarator") or next(
            (each for each in declarator.named_children if each.type in _NAMES or each.type.endswith("_declarator")),
            None,
        )
        if inner is None:
            break
        declarator = inner
    return None, ""

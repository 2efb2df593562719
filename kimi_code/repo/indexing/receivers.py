"""What stands before a dot: the module or the class that a member is taken from, where the text around says it."""

import re
from typing import TYPE_CHECKING

from kimi_code.repo.indexing.binding_rules import IDENTIFIERS, MADE_OF
from kimi_code.repo.indexing.scoped_tree import ScopedTree, field_of

if TYPE_CHECKING:
    from kimi_code.repo.syntax import Node


def taken_from(tree: ScopedTree, node: "Node", parent: "Node") -> tuple[str, str, str] | None:
    """Module, class and text of what a member is taken from; None for a name that is none."""
    field = tree.grammar.members.get(parent.type)
    if field is None or field_of(parent, node) != field:
        return None
    receiver = next((child for child in parent.named_children if child != node), None)
    if receiver is None:
        return "", "", ""
    text = tree.text(receiver)
    if text in ("self", "cls", "this", "super", "super()") and tree.family != "go":
        return "", tree.class_around(node), text
    if owner := _made(tree, receiver):
        return "", owner, text
    if receiver.type in ("identifier", "package_identifier"):
        return (*_bound_to(tree, receiver), text)
    if receiver.type == "attribute":  # a.b.name, where a.b is a module
        return _module_of(tree, text), "", text
    return "", "", text


def _made(tree: ScopedTree, node: "Node") -> str:
    """The class of what is made right here: `C()`, `new C()`, `&C{}`."""
    while node.type in ("parenthesized_expression", "unary_expression") and node.named_children:
        node = node.named_children[0]
    if node.type == "call" and (function := node.child_by_field_name("function")) is not None:
        return tree.text(function) if function.type == "identifier" and tree.text(function)[:1].isupper() else ""
    if node.type == "new_expression":
        return tree.text(node.child_by_field_name("constructor"))
    return tree.type_name(node.child_by_field_name("type")) if node.type == "composite_literal" else ""


def _bound_to(tree: ScopedTree, node: "Node") -> tuple[str, str]:
    """The module, or the class, that a plain name before a dot stands for; two empty strings when that is open."""
    name = tree.text(node)
    scope = tree.scope(node)
    while True:
        around = scope or tree.root
        found = {
            _binding(tree, each, parent)
            for each, start, end in tree.nodes(name, around)
            if (parent := each.parent) is not None
            and (each.start_byte, each.end_byte) == (start, end)
            and each.type in IDENTIFIERS
            and (tree.scope(each) or tree.root) == around
            and (tree.imported(each, parent) is not None or tree.binds(each, parent, field_of(parent, each)))
        }
        if found:
            return next(iter(found)) if len(found) == 1 else ("", "")
        if scope is None:
            break
        scope = tree.scope_above(scope)
    return (_go_package(tree, name), "") if tree.family == "go" else ("", "")


def _binding(tree: ScopedTree, node: "Node", parent: "Node") -> tuple[str, str]:
    """The module or class that one binding gives to its name."""
    name = tree.text(node)
    if (imported := tree.imported(node, parent)) is not None:
        # A class, or a module of a package: whichever a file of that name turns out to be.
        return f"{imported[0]}{'' if imported[0].endswith('.') else '.'}{name}", name
    if parent.type in tree.grammar.classes:
        return "", name
    if parent.type in ("import_clause", "namespace_import", "aliased_import", "dotted_name", "import_spec"):
        return _source_of(tree, node), ""
    holder: Node | None = parent
    while holder is not None and holder.type in ("expression_list", "typed_parameter"):
        if holder.type == "typed_parameter":
            break
        holder = holder.parent
    if holder is None:
        return "", ""
    typed = holder.child_by_field_name("type")
    if typed is not None:
        return "", tree.type_name(typed)
    value = holder.child_by_field_name("right") or holder.child_by_field_name("value")
    if value is not None and value.type == "expression_list":
        value = value.named_children[0] if len(value.named_children) == 1 else None
    return "", _made(tree, value) if value is not None and value.type in MADE_OF else ""


def _source_of(tree: ScopedTree, node: "Node") -> str:
    """The module that an import statement binds to a name."""
    statement: Node | None = node
    while statement is not None and statement.type not in ("import_statement", "import_spec"):
        statement = statement.parent
    if statement is None:
        return ""
    if tree.family == "python":
        holder = node.parent
        if holder is not None and holder.type == "aliased_import":
            return tree.text(holder.child_by_field_name("name"))
        return tree.text(node)
    source = statement.child_by_field_name("source") or statement.child_by_field_name("path")
    return tree.text(source).strip("'\"`")


def _module_of(tree: ScopedTree, dotted: str) -> str:
    pattern = re.compile(rb"^\s*import\s+(?:.*,\s*)?" + re.escape(dotted.encode()) + rb"\s*(?:,|$)", re.M)
    return dotted if pattern.search(tree.content) else ""


def _go_package(tree: ScopedTree, name: str) -> str:
    """The path of the import whose package is known by its last part."""
    for match in re.finditer(r'^\s*(?:import\s+)?"([^"]+)"', tree.content.decode("utf-8", "replace"), re.M):
        if re.sub(r"/v\d+$", "", match[1]).rpartition("/")[2] == name:
            return match[1]
    return ""

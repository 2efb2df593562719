"""A file's tree as scopes and names: where a word stands, what binds it, which class or import is around it."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from kimi_code.repo.indexing.binding_rules import GRAMMARS, LISTS, Family

if TYPE_CHECKING:
    from kimi_code.repo.syntax import Node


class ScopedTree:
    """UTF-8 text of a language's family, and the root of its tree."""

    def __init__(self, family: Family, content: bytes, root: "Node") -> None:
        self.family = family
        self.grammar = GRAMMARS[family]
        self.content = content
        self.root = root

    def text(self, node: "Node | None") -> str:
        """What a node says, "" for none."""
        return "" if node is None else self.content[node.start_byte : node.end_byte].decode("utf-8", "replace")

    def nodes(self, name: str, within: "Node | None" = None) -> "Iterator[tuple[Node, int, int]]":
        """The smallest node around each occurrence of a whole word."""
        word = re.compile(rb"(?<![\w$\x80-\xff])" + re.escape(name.encode()) + rb"(?![\w$\x80-\xff])")
        start, end = (within.start_byte, within.end_byte) if within is not None else (0, len(self.content))
        for match in word.finditer(self.content, start, end):
            node = self.root.descendant_for_byte_range(*match.span())
            if node is not None:
                yield node, match.start(), match.end()

    def binds(self, node: "Node", parent: "Node", field: str) -> bool:
        """Whether a name in this field of its parent is made there."""
        fields = self.grammar.binders.get(parent.type)
        if fields is not None and ("" in fields or field in fields):
            return True
        above = parent.parent
        if parent.type == "expression_list" and above is not None:
            return above.type in LISTS and field_of(above, parent) in ("left", "alias")
        if parent.type == "dotted_name" and above is not None:
            first = parent.named_children[0] == node
            return above.type == "case_pattern" or (above.type == "import_statement" and first)
        return False

    def scope(self, node: "Node") -> "Node | None":
        """The innermost scope that a name belongs to: a definition's own name is outside of it."""
        child, above = node, node.parent
        while above is not None:
            if above.type in self.grammar.scopes and not (child == node and field_of(above, node) == "name"):
                return above
            child, above = above, above.parent
        return None

    def scope_above(self, scope: "Node") -> "Node | None":
        """The next scope around a scope."""
        above = scope.parent
        while above is not None and above.type not in self.grammar.scopes:
            above = above.parent
        return above

    def class_around(self, node: "Node") -> str:
        """The name of the class that a node stands in, or is a method of; "" for none."""
        above = node.parent
        while above is not None:
            if above.type in self.grammar.classes:
                return self.text(above.child_by_field_name("name"))
            if above.type == "method_declaration":
                receiver = above.child_by_field_name("receiver")
                types = receiver.named_children[0].child_by_field_name("type") if receiver is not None else None
                return self.type_name(types)
            above = above.parent
        return ""

    def imported(self, node: "Node", parent: "Node") -> tuple[str, bool] | None:
        """The module of a name that an import takes from it, and whether it gets another name here."""
        if self.family == "python":
            holder = parent.parent if parent.type == "dotted_name" else None
            aliased = holder is not None and holder.type == "aliased_import" and field_of(holder, parent) == "name"
            statement = holder.parent if holder is not None and aliased else holder
            if statement is None or statement.type != "import_from_statement":
                return None
            if not aliased and field_of(statement, parent) != "name":
                return "", True  # a part of the module's own path
            return self.text(statement.child_by_field_name("module_name")), aliased
        if parent.type in ("import_specifier", "export_specifier") and field_of(parent, node) == "name":
            statement = parent.parent
            while statement is not None and statement.type not in ("import_statement", "export_statement"):
                statement = statement.parent
            source = self.text(statement.child_by_field_name("source") if statement is not None else None)
            if source:
                aliased = parent.child_by_field_name("alias") is not None or parent.type == "export_specifier"
                return source.strip("'\""), aliased
        return None

    def type_name(self, node: "Node | None") -> str:
        """The class that a type is plainly of: no unions, no containers."""
        text = self.text(node).strip(" :*&'\"")
        return text if re.fullmatch(r"[A-Za-z_]\w*", text) else ""


def field_of(parent: "Node | None", node: "Node") -> str:
    """The field of its parent that a node is in, "" for none."""
    if parent is None:
        return ""
    for number, child in enumerate(parent.children):
        if child == node:
            return parent.field_name_for_child(number) or ""
    return ""

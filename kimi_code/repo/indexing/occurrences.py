"""Every place where a file says a name, and what it is there: a binding, a use, somebody's member, a word in a string.

Python, JavaScript, TypeScript and Go. Pure: text in, values out; what a name means across files is `rename`'s matter.
"""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from kimi_code.repo.indexing.binding_rules import FAMILIES, IDENTIFIERS
from kimi_code.repo.indexing.receivers import taken_from
from kimi_code.repo.indexing.scoped_tree import ScopedTree, field_of
from kimi_code.repo.syntax import parse
from kimi_code.values import frozen

if TYPE_CHECKING:
    from kimi_code.repo.syntax import Node

# binding: makes the name; declared: a member's, in its class. use: reads it, or sets what is bound elsewhere.
# member: behind a dot. import: a name as another module has it. alias: a name that others will see.
# shorthand: {name}, a key and a use at once. keyword: f(name=1), {name: 1}. dynamic: a string that is just this name,
# or a path to it. mention: in other strings and comments. unsure: one of these, by rules that need types.
Role = Literal[
    "binding", "declared", "use", "member", "import", "alias", "shorthand", "keyword", "dynamic", "mention", "unsure"
]

_SLOWEST = 2.0  # seconds


@frozen
class Occurrence:
    """A name in a file. Bytes are of the text as UTF-8; `line` counts from 1; `top` says that nothing is around it.

    `source` is the module of an import, or of the module that a member is taken from. `owner` is the class that a
    member is of, where that is plain from the text around; `receiver` is what stands before the dot.
    """

    start: int
    end: int
    line: int
    role: Role
    top: bool = False
    source: str = ""
    owner: str = ""
    receiver: str = ""
    aliased: bool = False


@frozen
class Names:
    """A file's occurrences of a name, in order. `broken`: it has syntax errors; `stars`: modules it imports all of."""

    occurrences: tuple[Occurrence, ...]
    broken: bool = False
    stars: tuple[str, ...] = ()


def find_names(language: str, content: bytes, name: str) -> Names | None:
    """The occurrences of `name` in UTF-8 text; None when it cannot be parsed, by this grammar or in time."""
    root = parse(language, content, _SLOWEST)
    if root is None:
        return None
    tree = ScopedTree(FAMILIES[language], content, root)
    found = tuple(_describe(tree, node, start, end, name) for node, start, end in tree.nodes(name))
    return Names(found, root.has_error, tuple(_stars(tree)))


def find_bases(language: str, content: bytes, name: str) -> tuple[str, ...]:
    """The classes and interfaces that a class of the file names as its bases, as they are written."""
    root = parse(language, content, _SLOWEST)
    if root is None:
        return ()
    tree = ScopedTree(FAMILIES[language], content, root)
    for node, _, _ in tree.nodes(name):
        parent = node.parent
        if parent is not None and parent.type in tree.grammar.classes and field_of(parent, node) == "name":
            return tuple(_bases(tree, parent))
    return ()


def _describe(tree: ScopedTree, node: "Node", start: int, end: int, name: str) -> Occurrence:
    """What the name is at this place."""
    line = tree.content.count(b"\n", 0, start) + 1
    parent = node.parent
    if node.type not in IDENTIFIERS or (node.start_byte, node.end_byte) != (start, end) or parent is None:
        return Occurrence(start, end, line, _in_text(tree, node, name))
    member = taken_from(tree, node, parent)
    if member is not None:
        source, owner, receiver = member
        return Occurrence(start, end, line, "member", source=source, owner=owner, receiver=receiver)
    if (imported := tree.imported(node, parent)) is not None:
        return Occurrence(start, end, line, "import", source=imported[0], aliased=imported[1])
    role = _role(tree, node, parent)
    scope = tree.scope(node)
    if role == "binding" and scope is not None and scope.type == "class_definition":
        role = "declared"
    owner = tree.class_around(node) if role == "declared" else ""
    return Occurrence(start, end, line, role, top=scope is None, owner=owner)


def _role(tree: ScopedTree, node: "Node", parent: "Node") -> Role:
    field = field_of(parent, node)
    if node.type == "shorthand_property_identifier":
        return "shorthand"
    if node.type == "shorthand_property_identifier_pattern":
        return "binding"
    if parent.type in tree.grammar.declared and field in ("name", ""):
        return "declared" if field == "name" else "use"
    if parent.type in tree.grammar.keywords and tree.grammar.keywords[parent.type] in ("", field):
        return "keyword"
    if parent.type == "export_specifier":
        return "alias" if field == "alias" else "use"
    if tree.binds(node, parent, field):
        return "binding"
    if tree.family == "go" and parent.type == "literal_element" and field_of(parent.parent, parent) == "key":
        return "unsure"
    return "unsure" if node.type in ("label_name", "statement_identifier") else "use"


def _in_text(tree: ScopedTree, node: "Node", name: str) -> Role:
    """What a word in a string or a comment is."""
    string: Node | None = node
    while string is not None and "string" not in string.type:
        if "comment" in string.type:
            return "mention"
        string = string.parent
    if string is None:
        return "mention" if node.type == "jsx_text" else "unsure"
    while string.parent is not None and "string" in string.parent.type:
        string = string.parent
    words = tree.text(string).strip("rbuRBUfF").strip("'\"`")
    above: Node | None = string.parent
    while tree.family == "python" and above is not None and not above.type.endswith(("statement", "definition")):
        if above.type == "type" or (above.type == "assignment" and _is_all(tree, above)):
            return "use"
        above = above.parent
    return "dynamic" if re.fullmatch(rf"(?:[\w/.-]+[.:])?{re.escape(name)}", words) else "mention"


def _is_all(tree: ScopedTree, assignment: "Node") -> bool:
    return tree.text(assignment.child_by_field_name("left")) == "__all__"


def _bases(tree: ScopedTree, node: "Node") -> Iterator[str]:
    """What a class definition inherits from."""
    if tree.family == "python":
        listed = node.child_by_field_name("superclasses")
        for child in listed.named_children if listed is not None else ():
            if child.type != "comment":
                yield tree.text(child.child_by_field_name("value") if child.type == "subscript" else child)
    elif tree.family == "javascript":
        for heritage in node.named_children:
            if heritage.type in ("class_heritage", "extends_type_clause"):
                for clause in heritage.named_children:
                    named = clause.named_children if clause.type.endswith("_clause") else [clause]
                    yield from (tree.text(each) for each in named if each.type != "type_arguments")


def _stars(tree: ScopedTree) -> Iterator[str]:
    """The modules that everything is imported from, or exported on."""
    for node in tree.root.named_children:
        children = [child.type for child in node.children]
        if node.type == "import_from_statement" and "wildcard_import" in children:
            yield tree.text(node.child_by_field_name("module_name"))
        elif node.type == "export_statement" and "*" in children:
            yield tree.text(node.child_by_field_name("source")).strip("'\"")
        elif node.type == "import_declaration":
            for match in re.finditer(r'^\s*(?:import\s+)?\.\s*"([^"]+)"', tree.text(node), re.M):
                yield match[1]

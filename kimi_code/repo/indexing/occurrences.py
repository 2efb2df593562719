"""Every place where a file says a name, and what it is there: a binding, a use, somebody's member, a word in a string.

Python, JavaScript, TypeScript and Go. Pure: text in, values out; what a name means across files is `rename`'s matter.
"""

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from kimi_code.repo.syntax import parse
from kimi_code.values import frozen

if TYPE_CHECKING:
    from kimi_code.repo.syntax import Node

Family = Literal["python", "javascript", "go"]
FAMILIES: Mapping[str, Family] = MappingProxyType(
    {"python": "python", "javascript": "javascript", "typescript": "javascript", "tsx": "javascript", "go": "go"}
)

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


@frozen
class _Grammar:
    """How a family of languages binds names: parents of a bound name with the fields it is in ("" for any)."""

    binders: Mapping[str, frozenset[str]]
    members: Mapping[str, str]
    declared: frozenset[str]
    keywords: Mapping[str, str]
    scopes: frozenset[str]
    classes: frozenset[str]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _fields(text: str) -> Mapping[str, frozenset[str]]:
    """`parent:field,field parent` as a mapping."""
    pairs = (entry.partition(":") for entry in text.split())
    return MappingProxyType({parent: frozenset(fields.split(",")) for parent, _, fields in pairs})


_GRAMMARS: Mapping[Family, _Grammar] = MappingProxyType(
    {
        "python": _Grammar(
            _fields(
                "function_definition:name class_definition:name parameters lambda_parameters default_parameter:name "
                "typed_parameter typed_default_parameter:name list_splat_pattern dictionary_splat_pattern "
                "assignment:left augmented_assignment:left named_expression:name for_statement:left for_in_clause:left "
                "as_pattern_target pattern_list tuple_pattern list_pattern aliased_import:alias global_statement "
                "nonlocal_statement delete_statement splat_pattern"
            ),
            {"attribute": "attribute"},
            frozenset(),
            {"keyword_argument": "name"},
            _words(
                "function_definition lambda class_definition list_comprehension set_comprehension "
                "dictionary_comprehension generator_expression"
            ),
            frozenset({"class_definition"}),
        ),
        "javascript": _Grammar(
            _fields(
                "function_declaration:name generator_function_declaration:name function_signature:name "
                "class_declaration:name abstract_class_declaration:name class:name function_expression:name "
                "interface_declaration:name type_alias_declaration:name enum_declaration:name internal_module:name "
                "module:name variable_declarator:name required_parameter:pattern optional_parameter:pattern "
                "formal_parameters arrow_function:parameter catch_clause:parameter pair_pattern:value array_pattern "
                "rest_pattern assignment_pattern:left object_assignment_pattern:left for_in_statement:left "
                "import_clause namespace_import namespace_export import_specifier:alias type_parameter:name"
            ),
            {"member_expression": "property", "nested_type_identifier": "name"},
            _words(
                "method_definition public_field_definition field_definition method_signature property_signature "
                "abstract_method_signature"
            ),
            {"pair": "key", "pair_pattern": "key", "jsx_attribute": ""},
            _words(
                "function_declaration generator_function_declaration function_expression arrow_function "
                "method_definition class_body interface_body statement_block for_statement for_in_statement "
                "catch_clause internal_module module type_alias_declaration function_signature"
            ),
            _words("class_declaration abstract_class_declaration class interface_declaration enum_declaration"),
        ),
        "go": _Grammar(
            _fields(
                "function_declaration:name type_spec:name type_alias:name const_spec:name var_spec:name "
                "parameter_declaration:name variadic_parameter_declaration:name type_parameter_declaration:name "
                "import_spec:name"
            ),
            {"selector_expression": "field", "qualified_type": "name"},
            frozenset({"method_declaration", "method_elem", "field_declaration"}),
            {},
            _words("function_declaration method_declaration func_literal block"),
            frozenset({"type_spec"}),
        ),
    }
)
_IDENTIFIERS = _words(
    "identifier type_identifier property_identifier field_identifier shorthand_property_identifier package_identifier "
    "shorthand_property_identifier_pattern private_property_identifier statement_identifier label_name"
)
_LISTS = frozenset({"short_var_declaration", "range_clause", "type_switch_statement", "receive_statement"})
_MADE_OF = frozenset({"call", "new_expression", "composite_literal", "unary_expression", "parenthesized_expression"})


def find_names(language: str, content: bytes, name: str) -> Names | None:
    """The occurrences of `name` in UTF-8 text; None when it cannot be parsed, by this grammar or in time."""
    family = FAMILIES[language]
    root = parse(language, content, _SLOWEST)
    if root is None:
        return None
    reader = _Reader(family, content, root)
    found = tuple(reader.describe(node, start, end, name) for node, start, end in reader.nodes(name))
    return Names(found, root.has_error, tuple(reader.stars()))


def find_bases(language: str, content: bytes, name: str) -> tuple[str, ...]:
    """The classes and interfaces that a class of the file names as its bases, as they are written."""
    family = FAMILIES[language]
    root = parse(language, content, _SLOWEST)
    if root is None:
        return ()
    reader = _Reader(family, content, root)
    for node, _, _ in reader.nodes(name):
        parent = node.parent
        if parent is not None and parent.type in reader.grammar.classes and _field(parent, node) == "name":
            return tuple(reader.bases(parent))
    return ()


class _Reader:
    """One file's tree."""

    def __init__(self, family: Family, content: bytes, root: "Node") -> None:
        self.family = family
        self.grammar = _GRAMMARS[family]
        self._content = content
        self._root = root

    def text(self, node: "Node | None") -> str:
        return "" if node is None else self._content[node.start_byte : node.end_byte].decode("utf-8", "replace")

    def nodes(self, name: str, within: "Node | None" = None) -> "Iterator[tuple[Node, int, int]]":
        """The smallest node around each occurrence of a whole word."""
        word = re.compile(rb"(?<![\w$\x80-\xff])" + re.escape(name.encode()) + rb"(?![\w$\x80-\xff])")
        start, end = (within.start_byte, within.end_byte) if within is not None else (0, len(self._content))
        for match in word.finditer(self._content, start, end):
            node = self._root.descendant_for_byte_range(*match.span())
            if node is not None:
                yield node, match.start(), match.end()

    def describe(self, node: "Node", start: int, end: int, name: str) -> Occurrence:
        """What the name is at this place."""
        line = self._content.count(b"\n", 0, start) + 1
        parent = node.parent
        if node.type not in _IDENTIFIERS or (node.start_byte, node.end_byte) != (start, end) or parent is None:
            return Occurrence(start, end, line, self._in_text(node, name))
        member = self._member(node, parent)
        if member is not None:
            source, owner, receiver = member
            return Occurrence(start, end, line, "member", source=source, owner=owner, receiver=receiver)
        if (imported := self._imported(node, parent)) is not None:
            return Occurrence(start, end, line, "import", source=imported[0], aliased=imported[1])
        role = self._role(node, parent)
        scope = self._scope(node)
        if role == "binding" and scope is not None and scope.type == "class_definition":
            role = "declared"
        owner = self._class_around(node) if role == "declared" else ""
        return Occurrence(start, end, line, role, top=scope is None, owner=owner)

    def _role(self, node: "Node", parent: "Node") -> Role:
        field = _field(parent, node)
        if node.type == "shorthand_property_identifier":
            return "shorthand"
        if node.type == "shorthand_property_identifier_pattern":
            return "binding"
        if parent.type in self.grammar.declared and field in ("name", ""):
            return "declared" if field == "name" else "use"
        if parent.type in self.grammar.keywords and self.grammar.keywords[parent.type] in ("", field):
            return "keyword"
        if parent.type == "export_specifier":
            return "alias" if field == "alias" else "use"
        if self._binds(node, parent, field):
            return "binding"
        if self.family == "go" and parent.type == "literal_element" and _field(parent.parent, parent) == "key":
            return "unsure"
        return "unsure" if node.type in ("label_name", "statement_identifier") else "use"

    def _binds(self, node: "Node", parent: "Node", field: str) -> bool:
        fields = self.grammar.binders.get(parent.type)
        if fields is not None and ("" in fields or field in fields):
            return True
        above = parent.parent
        if parent.type == "expression_list" and above is not None:
            return above.type in _LISTS and _field(above, parent) in ("left", "alias")
        if parent.type == "dotted_name" and above is not None:
            first = parent.named_children[0] == node
            return above.type == "case_pattern" or (above.type == "import_statement" and first)
        return False

    # --- What is around ---

    def _scope(self, node: "Node") -> "Node | None":
        """The innermost scope that a name belongs to: a definition's own name is outside of it."""
        child, above = node, node.parent
        while above is not None:
            if above.type in self.grammar.scopes and not (child == node and _field(above, node) == "name"):
                return above
            child, above = above, above.parent
        return None

    def _class_around(self, node: "Node") -> str:
        above = node.parent
        while above is not None:
            if above.type in self.grammar.classes:
                return self.text(above.child_by_field_name("name"))
            if above.type == "method_declaration":
                receiver = above.child_by_field_name("receiver")
                types = receiver.named_children[0].child_by_field_name("type") if receiver is not None else None
                return self._type_name(types)
            above = above.parent
        return ""

    def bases(self, node: "Node") -> Iterator[str]:
        """What a class definition inherits from."""
        if self.family == "python":
            listed = node.child_by_field_name("superclasses")
            for child in listed.named_children if listed is not None else ():
                if child.type != "comment":
                    yield self.text(child.child_by_field_name("value") if child.type == "subscript" else child)
        elif self.family == "javascript":
            for heritage in node.named_children:
                if heritage.type in ("class_heritage", "extends_type_clause"):
                    for clause in heritage.named_children:
                        named = clause.named_children if clause.type.endswith("_clause") else [clause]
                        yield from (self.text(each) for each in named if each.type != "type_arguments")

    def stars(self) -> Iterator[str]:
        """The modules that everything is imported from, or exported on."""
        for node in self._root.named_children:
            children = [child.type for child in node.children]
            if node.type == "import_from_statement" and "wildcard_import" in children:
                yield self.text(node.child_by_field_name("module_name"))
            elif node.type == "export_statement" and "*" in children:
                yield self.text(node.child_by_field_name("source")).strip("'\"")
            elif node.type == "import_declaration":
                for match in re.finditer(r'^\s*(?:import\s+)?\.\s*"([^"]+)"', self.text(node), re.M):
                    yield match[1]

    def _imported(self, node: "Node", parent: "Node") -> tuple[str, bool] | None:
        """The module of a name that an import takes from it, and whether it gets another name here."""
        if self.family == "python":
            holder = parent.parent if parent.type == "dotted_name" else None
            aliased = holder is not None and holder.type == "aliased_import" and _field(holder, parent) == "name"
            statement = holder.parent if holder is not None and aliased else holder
            if statement is None or statement.type != "import_from_statement":
                return None
            if not aliased and _field(statement, parent) != "name":
                return "", True  # a part of the module's own path
            return self.text(statement.child_by_field_name("module_name")), aliased
        if parent.type in ("import_specifier", "export_specifier") and _field(parent, node) == "name":
            statement = parent.parent
            while statement is not None and statement.type not in ("import_statement", "export_statement"):
                statement = statement.parent
            source = self.text(statement.child_by_field_name("source") if statement is not None else None)
            if source:
                aliased = parent.child_by_field_name("alias") is not None or parent.type == "export_specifier"
                return source.strip("'\""), aliased
        return None

    def _in_text(self, node: "Node", name: str) -> Role:
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
        words = self.text(string).strip("rbuRBUfF").strip("'\"`")
        above: Node | None = string.parent
        while self.family == "python" and above is not None and not above.type.endswith(("statement", "definition")):
            if above.type == "type" or (above.type == "assignment" and self._is_all(above)):
                return "use"
            above = above.parent
        return "dynamic" if re.fullmatch(rf"(?:[\w/.-]+[.:])?{re.escape(name)}", words) else "mention"

    def _is_all(self, assignment: "Node") -> bool:
        return self.text(assignment.child_by_field_name("left")) == "__all__"

    # --- What stands before a dot ---

    def _member(self, node: "Node", parent: "Node") -> tuple[str, str, str] | None:
        """Module, class and text of what a member is taken from; None for a name that is none."""
        field = self.grammar.members.get(parent.type)
        if field is None or _field(parent, node) != field:
            return None
        receiver = next((child for child in parent.named_children if child != node), None)
        if receiver is None:
            return "", "", ""
        text = self.text(receiver)
        if text in ("self", "cls", "this", "super", "super()") and self.family != "go":
            return "", self._class_around(node), text
        if owner := self._made(receiver):
            return "", owner, text
        if receiver.type in ("identifier", "package_identifier"):
            return (*self._bound_to(receiver), text)
        if receiver.type == "attribute":  # a.b.name, where a.b is a module
            return self._module_of(text), "", text
        return "", "", text

    def _made(self, node: "Node") -> str:
        """The class of what is made right here: `C()`, `new C()`, `&C{}`."""
        while node.type in ("parenthesized_expression", "unary_expression") and node.named_children:
            node = node.named_children[0]
        if node.type == "call" and (function := node.child_by_field_name("function")) is not None:
            return self.text(function) if function.type == "identifier" and self.text(function)[:1].isupper() else ""
        if node.type == "new_expression":
            return self.text(node.child_by_field_name("constructor"))
        return self._type_name(node.child_by_field_name("type")) if node.type == "composite_literal" else ""

    def _bound_to(self, node: "Node") -> tuple[str, str]:
        """The module, or the class, that a plain name before a dot stands for; two empty strings when that is open."""
        name = self.text(node)
        scope = self._scope(node)
        while True:
            around = scope or self._root
            found = {
                self._binding(each, parent)
                for each, start, end in self.nodes(name, around)
                if (parent := each.parent) is not None
                and (each.start_byte, each.end_byte) == (start, end)
                and each.type in _IDENTIFIERS
                and (self._scope(each) or self._root) == around
                and (self._imported(each, parent) is not None or self._binds(each, parent, _field(parent, each)))
            }
            if found:
                return next(iter(found)) if len(found) == 1 else ("", "")
            if scope is None:
                break
            scope = self._scope_above(scope)
        return (self._go_package(name), "") if self.family == "go" else ("", "")

    def _scope_above(self, scope: "Node") -> "Node | None":
        above = scope.parent
        while above is not None and above.type not in self.grammar.scopes:
            above = above.parent
        return above

    def _binding(self, node: "Node", parent: "Node") -> tuple[str, str]:
        """The module or class that one binding gives to its name."""
        name = self.text(node)
        if (imported := self._imported(node, parent)) is not None:
            # A class, or a module of a package: whichever a file of that name turns out to be.
            return f"{imported[0]}{'' if imported[0].endswith('.') else '.'}{name}", name
        if parent.type in self.grammar.classes:
            return "", name
        if parent.type in ("import_clause", "namespace_import", "aliased_import", "dotted_name", "import_spec"):
            return self._source_of(node), ""
        holder: Node | None = parent
        while holder is not None and holder.type in ("expression_list", "typed_parameter"):
            if holder.type == "typed_parameter":
                break
            holder = holder.parent
        if holder is None:
            return "", ""
        typed = holder.child_by_field_name("type")
        if typed is not None:
            return "", self._type_name(typed)
        value = holder.child_by_field_name("right") or holder.child_by_field_name("value")
        if value is not None and value.type == "expression_list":
            value = value.named_children[0] if len(value.named_children) == 1 else None
        return "", self._made(value) if value is not None and value.type in _MADE_OF else ""

    def _source_of(self, node: "Node") -> str:
        """The module that an import statement binds to a name."""
        statement: Node | None = node
        while statement is not None and statement.type not in ("import_statement", "import_spec"):
            statement = statement.parent
        if statement is None:
            return ""
        if self.family == "python":
            holder = node.parent
            if holder is not None and holder.type == "aliased_import":
                return self.text(holder.child_by_field_name("name"))
            return self.text(node)
        source = statement.child_by_field_name("source") or statement.child_by_field_name("path")
        return self.text(source).strip("'\"`")

    def _module_of(self, dotted: str) -> str:
        pattern = re.compile(rb"^\s*import\s+(?:.*,\s*)?" + re.escape(dotted.encode()) + rb"\s*(?:,|$)", re.M)
        return dotted if pattern.search(self._content) else ""

    def _go_package(self, name: str) -> str:
        """The path of the import whose package is known by its last part."""
        for match in re.finditer(r'^\s*(?:import\s+)?"([^"]+)"', self._content.decode("utf-8", "replace"), re.M):
            if re.sub(r"/v\d+$", "", match[1]).rpartition("/")[2] == name:
                return match[1]
        return ""

    def _type_name(self, node: "Node | None") -> str:
        """The class that a type is plainly of: no unions, no containers."""
        text = self.text(node).strip(" :*&'\"")
        return text if re.fullmatch(r"[A-Za-z_]\w*", text) else ""


def _field(parent: "Node | None", node: "Node") -> str:
    """The field of its parent that a node is in, "" for none."""
    if parent is None:
        return ""
    for number, child in enumerate(parent.children):
        if child == node:
            return parent.field_name_for_child(number) or ""
    return ""

"""How each family of languages binds names, as tables: which node makes one, which holds a member, which is a scope."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from kimi_code.values import frozen

Family = Literal["python", "javascript", "go"]
FAMILIES: Mapping[str, Family] = MappingProxyType(
    {"python": "python", "javascript": "javascript", "typescript": "javascript", "tsx": "javascript", "go": "go"}
)


@frozen
class Grammar:
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


GRAMMARS: Mapping[Family, Grammar] = MappingProxyType(
    {
        "python": Grammar(
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
        "javascript": Grammar(
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
        "go": Grammar(
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
IDENTIFIERS = _words(
    "identifier type_identifier property_identifier field_identifier shorthand_property_identifier package_identifier "
    "shorthand_property_identifier_pattern private_property_identifier statement_identifier label_name"
)
LISTS = frozenset({"short_var_declaration", "range_clause", "type_switch_statement", "receive_statement"})
MADE_OF = frozenset({"call", "new_expression", "composite_literal", "unary_expression", "parenthesized_expression"})

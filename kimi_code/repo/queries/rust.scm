(function_item) @function
(function_signature_item) @function
(struct_item) @struct
(union_item) @struct
(enum_item) @enum
(enum_variant) @constant
(trait_item) @trait
(type_item) @type
(associated_type) @type
(impl_item type: [(type_identifier) @name (generic_type type: (type_identifier) @name) (scoped_type_identifier name: (type_identifier) @name)]) @scope
(impl_item trait: (_) @access)
(mod_item name: (identifier) @name body: (_)) @module
(macro_definition) @macro
(const_item) @constant
(static_item) @constant
(struct_item body: (field_declaration_list (field_declaration name: (field_identifier) @name) @property))
(use_declaration) @import
(mod_item !body) @import
(extern_crate_declaration) @import
(call_expression function: [(identifier) @reference (scoped_identifier name: (identifier) @reference)])
(call_expression function: (generic_function function: [(identifier) @reference (scoped_identifier name: (identifier) @reference)]))
(field_expression field: (field_identifier) @reference)
(scoped_identifier path: (identifier) @reference)
(scoped_identifier name: (identifier) @reference)
(macro_invocation macro: [(identifier) @reference (scoped_identifier name: (identifier) @reference)])
(type_identifier) @reference
(token_tree (identifier) @bare)
(identifier) @bare

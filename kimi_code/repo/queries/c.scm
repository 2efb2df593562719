; Names of declarations are those of their declarators.
(function_definition) @function
(declaration) @variable
(field_declaration) @property
(type_definition) @type
(struct_specifier name: (type_identifier) @name body: (_)) @struct
(union_specifier name: (type_identifier) @name body: (_)) @struct
(enum_specifier name: (type_identifier) @name body: (_)) @enum
(enumerator) @constant
(preproc_def) @constant
(preproc_function_def) @macro
(preproc_include) @import
(call_expression function: (identifier) @reference)
(field_expression field: (field_identifier) @reference)
(type_identifier) @reference
(identifier) @bare

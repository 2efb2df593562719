(function_declaration) @function
(variable_declaration (identifier) @name (struct_declaration) @body) @struct
(variable_declaration (identifier) @name (union_declaration) @body) @struct
(variable_declaration (identifier) @name (enum_declaration) @body) @enum
(variable_declaration (identifier) @name (error_set_declaration) @body) @enum
(source_file (variable_declaration "const" . (identifier) @name) @constant)
(source_file (variable_declaration "var" . (identifier) @name) @variable)
(struct_declaration (variable_declaration "const" . (identifier) @name) @constant)
(container_field) @property
(test_declaration (string (string_content) @name)) @function
(builtin_function (builtin_identifier) @_import (arguments (string)) (#eq? @_import "@import")) @import
(call_expression function: (identifier) @reference)
(field_expression member: (identifier) @reference)
(identifier) @bare

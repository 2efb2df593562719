(class_definition) @class
(object_definition) @class
(trait_definition) @trait
(enum_definition) @enum
(simple_enum_case) @constant
(full_enum_case) @constant
(function_definition) @function
(function_declaration) @function
(given_definition) @constant
(val_definition pattern: (identifier) @name) @variable
(var_definition pattern: (identifier) @name) @variable
(val_declaration) @variable
(type_definition) @type
(import_declaration) @import
(call_expression function: (identifier) @reference)
(field_expression field: (identifier) @reference)
(type_identifier) @reference
(identifier) @bare

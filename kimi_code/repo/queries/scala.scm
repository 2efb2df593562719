(class_definition name: (identifier) @name) @class
(object_definition name: (identifier) @name) @class
(trait_definition name: (identifier) @name) @trait
(enum_definition name: (identifier) @name) @enum
(simple_enum_case name: (identifier) @name) @constant
(full_enum_case name: (identifier) @name) @constant
(function_definition name: (identifier) @name) @function
(function_declaration name: (identifier) @name) @function
(given_definition name: (identifier) @name) @constant
(val_definition pattern: (identifier) @name) @variable
(var_definition pattern: (identifier) @name) @variable
(val_declaration name: (identifier) @name) @variable
(type_definition name: (type_identifier) @name) @type
(import_declaration) @import
(call_expression function: (identifier) @reference)
(field_expression field: (identifier) @reference)
(type_identifier) @reference
(identifier) @bare

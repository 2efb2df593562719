(class_declaration "class" name: (identifier) @name) @class
(class_declaration "interface" name: (identifier) @name) @interface
(object_declaration) @class
(enum_entry (identifier) @name) @constant
(function_declaration) @function
(function_declaration (function_body) @body)
(class_declaration (class_body) @body)
(class_declaration (enum_class_body) @body)
(object_declaration (class_body) @body)
(property_declaration (variable_declaration (identifier) @name)) @variable
(class_parameter ["val" "var"] (identifier) @name) @property
(type_alias type: (identifier) @name) @type
(import) @import
(call_expression . (identifier) @reference)
(navigation_expression (_) (identifier) @reference .)
(user_type (identifier) @reference)
(identifier) @bare

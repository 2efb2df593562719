(class_definition) @class
(mixin_declaration (identifier) @name) @trait
(extension_declaration) @scope
(enum_declaration) @enum
(enum_constant) @constant
(type_alias . (type_identifier) @name) @type
(function_signature) @function
(getter_signature) @function
(setter_signature) @function
(constructor_signature (identifier) @name . (formal_parameter_list)) @method
(factory_constructor_signature (identifier) @name . (formal_parameter_list)) @method
((function_signature) . (function_body) @tail)
((getter_signature) . (function_body) @tail)
((method_signature) . (function_body) @tail)
(class_body (declaration (initialized_identifier_list (initialized_identifier . (identifier) @name))) @property)
(class_body (declaration (static_final_declaration_list (static_final_declaration . (identifier) @name))) @property)
(program (static_final_declaration_list (static_final_declaration . (identifier) @name) @constant))
(program (initialized_identifier_list (initialized_identifier . (identifier) @name) @variable))
(import_or_export) @import
(unconditional_assignable_selector (identifier) @reference)
(type_identifier) @reference
(identifier) @bare

; The word that declares a class, struct, enum or extension tells which it is.
(class_declaration) @class
(protocol_declaration) @interface
(function_declaration) @function
(protocol_function_declaration) @method
(init_declaration) @method
(deinit_declaration "deinit" @name) @method
(subscript_declaration "subscript" @name) @method
(property_declaration name: (_ bound_identifier: (simple_identifier) @name)) @variable
(computed_property) @body
(protocol_property_declaration name: (_ bound_identifier: (simple_identifier) @name)) @property
(enum_entry name: (simple_identifier) @name) @constant
(typealias_declaration) @type
(import_declaration) @import
(call_expression . (simple_identifier) @reference)
(navigation_suffix suffix: (simple_identifier) @reference)
(type_identifier) @reference
(simple_identifier) @bare

(class_declaration) @class
(interface_declaration) @interface
(annotation_type_declaration) @interface
(enum_declaration) @enum
(record_declaration) @class
(enum_constant) @constant
(method_declaration) @method
(constructor_declaration) @method
(compact_constructor_declaration) @method
(annotation_type_element_declaration) @method
(field_declaration declarator: (variable_declarator name: (identifier) @name)) @property
(constant_declaration declarator: (variable_declarator name: (identifier) @name)) @constant
(import_declaration) @import
(method_invocation name: (identifier) @reference)
(method_reference (identifier) @reference .)
(field_access field: (identifier) @reference)
(type_identifier) @reference
(marker_annotation name: (identifier) @reference)
(annotation name: (identifier) @reference)
(method_invocation object: (identifier) @bare)
(field_access object: (identifier) @bare)
(method_reference . (identifier) @bare)
(argument_list (identifier) @bare)
(binary_expression (identifier) @bare)
(switch_label (identifier) @reference)

(namespace_declaration) @module
(class_declaration) @class
(record_declaration) @class
(struct_declaration) @struct
(interface_declaration) @interface
(enum_declaration) @enum
(enum_member_declaration) @constant
(delegate_declaration) @type
(method_declaration) @method
(constructor_declaration) @method
(local_function_statement) @function
(accessor_list) @body
(property_declaration) @property
(indexer_declaration "this" @name) @property
(event_declaration) @property
(operator_declaration operator: _ @name) @method
(conversion_operator_declaration type: _ @name) @method
(destructor_declaration) @method
(field_declaration (variable_declaration (variable_declarator name: (identifier) @name))) @property
(event_field_declaration (variable_declaration (variable_declarator name: (identifier) @name))) @property
(using_directive) @import
(invocation_expression function: [(identifier) @reference (generic_name (identifier) @reference)])
(member_access_expression name: [(identifier) @reference (generic_name (identifier) @reference)])
(object_creation_expression type: [(identifier) @reference (generic_name (identifier) @reference)])
(base_list [(identifier) @reference (generic_name (identifier) @reference)])
(attribute name: (identifier) @reference)
(type_argument_list (identifier) @reference)
(variable_declaration type: (identifier) @reference)
(parameter type: (identifier) @reference)
(identifier) @bare

(ambient_declaration) @exported
(abstract_class_declaration) @class
(interface_declaration) @interface
(type_alias_declaration) @type
(enum_declaration) @enum
(enum_body [(property_identifier) @name @constant (enum_assignment name: (_) @name) @constant])
(internal_module) @module
(module) @module
(function_signature) @function
(method_signature name: [(property_identifier) (private_property_identifier)] @name) @method
(abstract_method_signature) @method
(interface_body (property_signature name: (property_identifier) @name) @property)
(public_field_definition name: [(property_identifier) (private_property_identifier)] @name
  value: [(arrow_function body: (_) @body) (function_expression body: (_) @body)]) @method
(public_field_definition name: [(property_identifier) (private_property_identifier)] @name) @property
(ambient_declaration (lexical_declaration (variable_declarator name: (identifier) @name) @constant))
(internal_module body: (statement_block (export_statement (lexical_declaration (variable_declarator name: (identifier) @name) @constant))))
(required_parameter (accessibility_modifier) pattern: (identifier) @name) @promoted
(import_alias) @import
(type_identifier) @reference

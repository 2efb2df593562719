(class_specifier name: [(type_identifier) (template_type) (qualified_identifier)] @name body: (_)) @class
(namespace_definition name: (_) @name) @module
(template_declaration) @wrapper
(access_specifier) @access
(alias_declaration) @type
(concept_definition) @type
(call_expression function: (qualified_identifier name: (identifier) @reference))
(call_expression function: (template_function name: (identifier) @reference))
(namespace_identifier) @bare

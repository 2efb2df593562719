; What JavaScript and TypeScript share.
(export_statement) @exported
(lexical_declaration) @wrapper
(variable_declaration) @wrapper
(class_declaration) @class
(function_declaration) @function
(generator_function_declaration) @function
(method_definition name: [(property_identifier) (private_property_identifier)] @name) @method
(variable_declarator name: (identifier) @name
  value: [(arrow_function body: (_) @body) (function_expression body: (_) @body) (generator_function body: (_) @body)]) @function
(variable_declarator name: (identifier) @name value: (class body: (_) @body)) @class

(export_specifier name: (identifier) @public)
(export_statement value: (identifier) @public)
(expression_statement (assignment_expression left: (member_expression) @_exports
  right: [(identifier) @public (object (shorthand_property_identifier) @public) (object (pair key: (property_identifier) @public))])
  (#eq? @_exports "module.exports"))
(expression_statement (assignment_expression
  left: (member_expression object: (_) @_exports property: (property_identifier) @public))
  (#any-of? @_exports "exports" "module.exports"))

(import_statement) @import
(export_statement source: (string)) @import
(variable_declarator value: (call_expression function: (identifier) @_require arguments: (_ . (string)))
  (#eq? @_require "require")) @import
(expression_statement (call_expression function: (identifier) @_require arguments: (_ . (string)))
  (#eq? @_require "require")) @import
(call_expression function: (import) arguments: (_ . (string))) @import

(member_expression property: (property_identifier) @reference)
(new_expression constructor: (identifier) @reference)
(identifier) @bare
(shorthand_property_identifier) @bare

(function_declaration name: [(identifier) (dot_index_expression) (method_index_expression)] @name) @function
(chunk (variable_declaration (assignment_statement (variable_list name: (identifier) @name) (expression_list value: (function_definition body: (_) @body)))) @function)
(chunk (variable_declaration (assignment_statement (variable_list name: (identifier) @name))) @variable)
(chunk (assignment_statement (variable_list name: [(identifier) (dot_index_expression)] @name) (expression_list value: (function_definition body: (_) @body))) @function)
(chunk (assignment_statement (variable_list name: [(identifier) (dot_index_expression)] @name)) @variable)
(chunk (variable_declaration (assignment_statement (_) (expression_list value: (table_constructor
  (field name: (identifier) @name value: (function_definition body: (_) @body)) @function)))))
(variable_declaration (assignment_statement (_) (expression_list value:
  (function_call name: (identifier) @_require arguments: (arguments (string)))))
  (#eq? @_require "require")) @import
(function_call name: (identifier) @_require arguments: (arguments (string)) (#eq? @_require "require")) @import
(dot_index_expression field: (identifier) @reference)
(method_index_expression method: (identifier) @reference)
(function_call name: (identifier) @reference)
(identifier) @bare

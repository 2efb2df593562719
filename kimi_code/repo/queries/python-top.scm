; Values of a module's top, also those in its `if`, `else` and `try`.
(module (expression_statement (assignment left: (identifier) @name) @variable))
(module (expression_statement (assignment left: (pattern_list (identifier) @name)) @variable))
(module (if_statement consequence: (block (expression_statement (assignment left: (identifier) @name) @variable))))
(module (if_statement (else_clause body: (block (expression_statement (assignment left: (identifier) @name) @variable)))))
(module (try_statement body: (block (expression_statement (assignment left: (identifier) @name) @variable))))

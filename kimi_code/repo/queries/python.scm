(class_definition) @class
(function_definition) @function
(decorated_definition) @wrapper
(type_alias_statement left: (type (identifier) @name)) @type
(type_alias_statement left: (type (generic_type (identifier) @name))) @type

(module (expression_statement (assignment left: (identifier) @name) @variable))
(module (expression_statement (assignment left: (pattern_list (identifier) @name)) @variable))
(module (if_statement consequence: (block (expression_statement (assignment left: (identifier) @name) @variable))))
(module (if_statement (else_clause body: (block (expression_statement (assignment left: (identifier) @name) @variable)))))
(module (try_statement body: (block (expression_statement (assignment left: (identifier) @name) @variable))))
(class_definition body: (block (expression_statement (assignment left: (identifier) @name) @variable)))

(import_statement) @import
(import_from_statement) @import

; Uses are read from the tokens (`token_uses`); these hold none.
(string_content) @opaque
(comment) @opaque
(format_specifier) @format
(type_conversion) @opaque
(type_alias_statement "type" @opaque)
(match_statement "match" @opaque)
(case_clause "case" @opaque)

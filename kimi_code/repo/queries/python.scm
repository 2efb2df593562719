(class_definition) @class
(function_definition) @function
(decorated_definition) @wrapper
(type_alias_statement left: (type (identifier) @name)) @type
(type_alias_statement left: (type (generic_type (identifier) @name))) @type

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

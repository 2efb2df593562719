(rule_set (selectors) @name) @block
(keyframes_statement (keyframes_name) @name) @block
(stylesheet (rule_set (block (declaration (property_name) @name) @variable)) (#match? @name "^--"))
(import_statement) @import
(class_name) @reference
(id_name) @reference

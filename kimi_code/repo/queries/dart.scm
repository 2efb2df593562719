(class_definition name: (identifier) @name) @class
(mixin_declaration (identifier) @name) @trait
(extension_declaration name: (identifier) @name) @scope
(enum_declaration name: (identifier) @name) @enum
(enum_constant name: (identifier) @name) @constant
(type_alias . (type_identifier) @name) @type
(import_or_export) @import
(type_identifier) @reference
(identifier) @bare

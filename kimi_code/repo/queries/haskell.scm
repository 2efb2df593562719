(data_type) @struct
(newtype) @struct
(type_synonym) @type
(type_family) @type
(data_family) @type
(class) @interface
(class_declarations) @body
(gadt_constructors) @body
(data_constructor (prefix name: (constructor) @name)) @constant
(data_constructor (record name: (constructor) @name)) @constant
(gadt_constructor name: (constructor) @name) @constant
(gadt_constructor names: (binding_list name: (constructor) @name)) @constant
(field name: (field_name (variable) @name)) @property
(pattern_synonym (signature synonym: (constructor) @name)) @constant
(signature name: [(variable) @name (prefix_id (operator) @name)]) @function
(signature names: (binding_list name: (variable) @name)) @function
; Without a signature, or after it: a name is one definition however many equations it has.
(declarations (function name: (variable) @name) @function)
(declarations (bind name: (variable) @name) @function)
(exports (export variable: (variable) @public))
(exports (export type: (name) @public))
(import) @import
(apply function: (variable) @reference)
(name) @reference
(constructor) @reference
(variable) @bare

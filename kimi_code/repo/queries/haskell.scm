(data_type name: (name) @name) @struct
(newtype name: (name) @name) @struct
(type_synonym name: (name) @name) @type
(class name: (name) @name) @interface
(data_constructor (prefix name: (constructor) @name)) @constant
(data_constructor (record name: (constructor) @name)) @constant
(signature name: (variable) @name) @function
(exports (export variable: (variable) @public))
(exports (export type: (name) @public))
(import) @import
(apply function: (variable) @reference)
(name) @reference
(constructor) @reference
(variable) @bare

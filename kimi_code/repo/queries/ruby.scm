(class) @class
(module) @module
(method) @function
(singleton_method) @function
(alias) @method
(assignment left: (constant) @name) @constant
(call method: (identifier) @_attribute arguments: (argument_list (simple_symbol) @name)
  (#any-of? @_attribute "attr_reader" "attr_writer" "attr_accessor")) @property
(body_statement (identifier) @access (#any-of? @access "private" "protected" "public"))
(call method: (identifier) @_require arguments: (argument_list (string))
  (#any-of? @_require "require" "require_relative" "load" "autoload")) @import
(call method: [(identifier) (constant)] @reference)
(constant) @reference
(identifier) @bare

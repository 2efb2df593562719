(class name: [(constant) (scope_resolution)] @name) @class
(module name: [(constant) (scope_resolution)] @name) @module
(method name: (_) @name) @function
(singleton_method name: (_) @name) @function
(alias name: (_) @name) @method
(program (assignment left: (constant) @name) @constant)
(body_statement (assignment left: (constant) @name) @constant)
(body_statement (call method: (identifier) @_attribute arguments: (argument_list (simple_symbol) @name)) @property
  (#any-of? @_attribute "attr_reader" "attr_writer" "attr_accessor"))
(body_statement (identifier) @access (#any-of? @access "private" "protected" "public"))
(call method: (identifier) @_require arguments: (argument_list (string))
  (#any-of? @_require "require" "require_relative" "load" "autoload")) @import
(call method: [(identifier) (constant)] @reference)
(constant) @reference
(identifier) @bare

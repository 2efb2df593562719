(function_definition name: (word) @name) @function
(program (variable_assignment name: (variable_name) @name) @variable)
(program (declaration_command (variable_assignment name: (variable_name) @name) @variable))
(command name: (command_name (word) @_source) (#any-of? @_source "source" ".")) @import
(command name: (command_name (word) @reference))
(simple_expansion (variable_name) @bare)
(expansion (variable_name) @bare)

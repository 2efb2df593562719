(function_declaration) @function
(method_declaration receiver: (parameter_list (parameter_declaration type: [
  (type_identifier) @container
  (pointer_type (type_identifier) @container)
  (generic_type type: (type_identifier) @container)
  (pointer_type (generic_type type: (type_identifier) @container))]))
  name: (field_identifier) @name) @method
(type_declaration "type" . (type_spec)) @wrapper
(type_declaration "type" . (type_alias)) @wrapper
(const_declaration "const" . (const_spec)) @wrapper
(var_declaration "var" . (var_spec)) @wrapper
(type_spec name: (type_identifier) @name type: (struct_type (field_declaration_list) @body)) @struct
(type_spec name: (type_identifier) @name type: (interface_type)) @interface
(type_spec name: (type_identifier) @name
  type: [(type_identifier) (qualified_type) (pointer_type) (map_type) (slice_type) (array_type) (function_type) (channel_type) (generic_type)]) @type
(type_alias) @type
(interface_type (method_elem name: (field_identifier) @name) @method)
(field_declaration) @property
(source_file (const_declaration (const_spec name: (identifier) @name) @constant))
(source_file (var_declaration (var_spec name: (identifier) @name) @variable))
(source_file (var_declaration (var_spec_list (var_spec name: (identifier) @name) @variable)))
(import_spec) @import
(selector_expression field: (field_identifier) @reference)
(call_expression function: (identifier) @reference)
(type_identifier) @reference
(keyed_element . (literal_element (identifier) @reference))
(identifier) @bare

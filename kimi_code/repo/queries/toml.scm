(table [(bare_key) (dotted_key) (quoted_key)] @name) @block
(table_array_element [(bare_key) (dotted_key) (quoted_key)] @name) @block
(document (pair . [(bare_key) (dotted_key) (quoted_key)] @name) @property)
(table (pair . [(bare_key) (dotted_key) (quoted_key)] @name) @property)

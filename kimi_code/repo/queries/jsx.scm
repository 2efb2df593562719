(jsx_attribute (property_identifier) @reference)

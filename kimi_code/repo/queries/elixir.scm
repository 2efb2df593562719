(call target: (identifier) @_word (arguments . (alias) @name) (do_block) @body (#eq? @_word "defmodule")) @module
(call target: (identifier) @_word (arguments . (alias) @name) (do_block) @body (#eq? @_word "defprotocol")) @interface
(call target: (identifier) @_word (arguments . (alias) @name) (do_block) @body (#eq? @_word "defimpl")) @scope
(call target: (identifier) @_word (arguments . [
  (identifier) @name
  (call target: (identifier) @name)
  (binary_operator left: (call target: (identifier) @name) operator: "when")
  (binary_operator left: (identifier) @name operator: "when")]) (do_block)? @body
  (#any-of? @_word "def" "defp" "defdelegate" "defguard")) @function
(call target: (identifier) @_word (arguments . (call target: (identifier) @name)) (#any-of? @_word "def" "defp")) @function
(call target: (identifier) @_word (arguments . (call target: (identifier) @name)) (do_block)? @body
  (#any-of? @_word "defmacro" "defmacrop")) @macro
(call target: (identifier) @_word (arguments) (#any-of? @_word "alias" "import" "use" "require")) @import
(call target: (dot right: (identifier) @reference))
(call target: (identifier) @reference)
(alias) @reference

"""Entries to lines: text with names of styles, as plain data. Invariant: no Textual, no markup, no control sequences."""

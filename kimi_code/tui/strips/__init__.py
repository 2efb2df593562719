"""Entries to lines: styled text as plain data. Invariant: no Textual, no markup, no control sequences."""

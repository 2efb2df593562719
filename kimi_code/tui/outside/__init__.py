"""Programs of the person's beside the screen: clipboard, editor, browser. Invariant: no Textual, no widget."""

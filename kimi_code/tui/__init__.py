"""The terminal user interface, on Textual. Invariant: it holds a Session and shows Records, nothing else."""

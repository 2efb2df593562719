"""The screens, one per file. Invariant: a screen on top of another returns a value and does nothing else."""

"""May this run? Pure decisions on data. Invariant: what cannot be known is asked, never allowed."""

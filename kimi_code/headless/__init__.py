"""`kimi-code -p`: a front end without a screen. Invariant: however a run ends, its result is written once."""

"""One widget per file. Invariant: messages go up, data comes down; no widget reaches for another."""

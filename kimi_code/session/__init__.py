"""One conversation: facade, bus, journal. Invariant: the journal is the only truth; all else is rebuilt from it."""

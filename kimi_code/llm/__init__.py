"""Talk to a model. Invariant: what comes out is the same for every provider and for the scripted model."""

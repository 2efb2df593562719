"""Talk to a model. Owns the wire; invariant: what comes out is the same for every provider and for the scripted model."""

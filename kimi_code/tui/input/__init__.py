"""What a person writes: history, drafts, pastes, completion. Invariant: no Textual, no screen."""

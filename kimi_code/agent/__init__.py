"""The loop: ask, act, repeat. Invariant: every turn ends in TurnEnded and a history any provider accepts."""

"""What somebody may have meant who wrote a key that nobody knows."""

import difflib
from collections.abc import Sequence

_SHOWN = 8


def known_here(key: str, known: Sequence[str]) -> str:
    """What could stand there, the most similar first."""
    nearest = sorted(known, key=lambda name: -difflib.SequenceMatcher(None, key, name).ratio())
    more = ", ..." if len(nearest) > _SHOWN else ""
    return f"known here: {', '.join(nearest[:_SHOWN])}{more}"

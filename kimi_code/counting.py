"""Counts in words, for people and models: `1 task`, `2,000 tasks`."""


def counted(count: int, noun: str, plural: str = "") -> str:
    """The count with its noun; `plural` where it is not the noun with an s."""
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"

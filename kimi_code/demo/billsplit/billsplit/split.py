"""Split an amount of cents between people."""


def split_evenly(total: int, people: int) -> list[int]:
    """Shares that add up to `total` and differ by one cent at most; the first people pay the odd cents."""
    if people < 1:
        raise ValueError("a bill needs at least one person")
    share = round(total / people)
    return [share] * people

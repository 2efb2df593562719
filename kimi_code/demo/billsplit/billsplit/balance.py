"""Who gets money back, and who still has to pay."""

from billsplit.split import split_evenly


def balances(paid: dict[str, int]) -> dict[str, int]:
    """Cents each person gets back (or owes, below zero), given what each one has paid; they add up to zero."""
    shares = split_evenly(sum(paid.values()), len(paid))
    return {name: amount - share for (name, amount), share in zip(paid.items(), shares, strict=True)}

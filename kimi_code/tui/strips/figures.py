"""Numbers as a screen shows them: counts of tokens, money."""


def short(tokens: int) -> str:
    """A count in few characters: 950, 41k, 1.2M."""
    if tokens < 1_000:
        return str(tokens)
    return f"{tokens / 1_000:.0f}k" if tokens < 999_500 else f"{tokens / 1_000_000:.1f}M"


def money(cost: float | None) -> str:
    """US dollars; "" when they are not known."""
    if cost is None:
        return ""
    return f"${cost:.2f}" if cost >= 0.005 or cost == 0 else f"${cost:.4f}"

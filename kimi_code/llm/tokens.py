"""How many tokens a text is, without a tokenizer; alone, for processes that need nothing else of a model."""


def estimate_tokens(text: str) -> int:
    """Tokens in `text`, roughly, Chinese included: ASCII characters / 4 + one for every other character."""
    ascii_only = len(text.encode("ascii", "ignore"))
    return (ascii_only + 3) // 4 + len(text) - ascii_only

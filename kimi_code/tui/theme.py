"""The colours: calm, one accent, readable on dark and light grounds, and one of high contrast."""

from textual.theme import Theme

MUTED = "$foreground 60%"  # what is there to be looked up, not to be read

DARK = Theme(
    name="kimi-dark",
    primary="#7aa2f7",
    secondary="#8f9bb3",
    accent="#7aa2f7",
    warning="#d9a860",
    error="#e0707a",
    success="#86b97e",
    foreground="#d6d9e0",
    background="#14161b",
    surface="#1b1e25",
    panel="#232731",
    dark=True,
    variables={"block-cursor-text-style": "none", "input-selection-background": "#7aa2f7 35%"},
)
LIGHT = Theme(
    name="kimi-light",
    primary="#2f5fb3",
    secondary="#5c6675",
    accent="#2f5fb3",
    warning="#8f5d00",
    error="#b3303c",
    success="#2f7033",
    foreground="#24272e",
    background="#fbfbfa",
    surface="#f1f1ef",
    panel="#e6e6e3",
    dark=False,
    variables={"block-cursor-text-style": "none", "input-selection-background": "#2f5fb3 25%"},
)
HIGH_CONTRAST = Theme(
    name="kimi-contrast",
    primary="#66ccff",
    secondary="#ffffff",
    accent="#66ccff",
    warning="#ffd000",
    error="#ff6b6b",
    success="#5cff5c",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#1a1a1a",
    dark=True,
    variables={"block-cursor-text-style": "bold"},
)
THEMES = (DARK, LIGHT, HIGH_CONTRAST)
SHORT = {"dark": "kimi-dark", "light": "kimi-light", "contrast": "kimi-contrast"}


def name_of(chosen: str, *, dark: bool | None) -> str:
    """The theme's full name: "auto" follows the terminal's ground, dark where it does not say."""
    if chosen == "auto":
        return LIGHT.name if dark is False else DARK.name
    return SHORT.get(chosen, chosen)

"""What every line goes through last on terminals that want no colours, or have no signs beyond ASCII."""

from functools import lru_cache

from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter

# Each in as many cells. What a person or a model wrote beyond these is theirs, and stays.
_PLAIN = str.maketrans(
    {
        **dict(zip("›‹❯●○▸▾✓✗⊘↻•☐☑−↳·…⧗±×", "><>*o>v+x-~*ox-`-~%~x", strict=True)),
        **dict(zip("▓▒░", "==.", strict=True)),
        **dict(zip("↑↓←→", "^v<>", strict=True)),
        **dict.fromkeys("─━┄╌", "-"),
        **dict.fromkeys("│┃┆▎▏▌▐▕", "|"),
        **dict.fromkeys("┌┐└┘├┤┬┴┼╭╮╰╯", "+"),
        **dict.fromkeys("▁▂▃▄▅▆▇▔▀", " "),
        "█": "#",
        **dict(zip("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", r"|/-\|/-\|/", strict=True)),
    }
)
_MIDDLE = 0.5  # of brightness
_REVERSE = Style(reverse=True)


class NoColours(LineFilter):
    """Bold, dim and the like stay; what stands on a bright ground among dark ones, or on a dark one among bright ones,
    is shown in reverse. The stylesheet tells by these (`:nocolor`) what colours tell elsewhere."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        dark = background.brightness < _MIDDLE
        return [Segment(text, style and _without_colours(style, dark), control) for text, style, control in segments]


class PlainSigns(LineFilter):
    """ASCII in the place of our signs, lines and bars."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [
            segment if segment.text.isascii() else Segment(segment.text.translate(_PLAIN), segment.style)
            for segment in segments
        ]


@lru_cache(4_096)
def _without_colours(style: Style, dark: bool) -> Style:
    bare, ground = style.without_color, style.bgcolor and style.bgcolor.triplet
    if style.meta:
        bare += Style.from_meta(style.meta)  # what is clicked and selected by: Rich drops it with the colours
    if ground is not None and (Color(*ground).brightness < _MIDDLE) != dark:
        bare += _REVERSE
    return bare

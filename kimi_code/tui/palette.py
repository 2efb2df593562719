"""Names of styles to colours of the theme, by the component classes of a widget; styles of a name are combined once."""

import os
from typing import TYPE_CHECKING

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from kimi_code.tui.strips.line import Line, width_of
from kimi_code.tui.strips.links import as_opened_in

if TYPE_CHECKING:
    from textual.css.styles import RenderStyles

PREFIX = "transcript--"

# The look of every style, as a theme's colours. Meaning never hangs on colour alone: signs and words say the same.
STYLES: dict[str, str] = {
    "user": "color: $text; text-style: bold;",
    "agent": "color: $accent;",
    "accent": "color: $accent;",
    "muted": "color: $text-muted;",
    "thought": "color: $text-muted; text-style: italic;",
    "output": "color: $text-muted;",
    "tool": "color: $text; text-style: bold;",
    "path": "color: $text;",
    "done": "color: $success;",
    "warning": "color: $warning;",
    "error": "color: $error;",
    "strong": "text-style: bold;",
    "emphasis": "text-style: italic;",
    "strike": "text-style: strike;",
    "heading1": "color: $accent; text-style: bold;",
    "heading2": "color: $accent; text-style: bold;",
    "heading3": "text-style: bold;",
    "quote": "color: $text-muted;",
    "link": "color: $accent; text-style: underline;",
    "code": "color: $text-accent;",
    "keyword": "color: $text-accent;",
    "string": "color: $text-success;",
    "number": "color: $text-warning;",
    "comment": "color: $text-muted; text-style: italic;",
    "function": "color: $text-primary; text-style: bold;",
    "builtin": "color: $text-secondary;",
    "added": "background: $success 12%;",
    "removed": "background: $error 12%;",
    "added-word": "background: $success 32%; text-style: bold;",
    "removed-word": "background: $error 32%; text-style: bold;",
    "sign": "text-style: bold;",
    "added-count": "color: $success;",
    "removed-count": "color: $error;",
    "chosen": "background: $accent 20%;",
}
# What only a colour would tell.
_WITHOUT_COLOURS = {
    "muted": "text-style: dim;",
    "output": "text-style: dim;",
    "chosen": "background: $foreground; color: $background;",
    "removed-word": "text-style: bold underline;",
    "added-word": "text-style: bold underline;",
}

CLASSES = {f"{PREFIX}{name}" for name in STYLES}


# Quiet, and one cell wide.
_SCROLLED = """
    overflow-x: hidden;
    overflow-y: scroll;
    scrollbar-size-vertical: 1;
    scrollbar-color: $panel;
    scrollbar-color-hover: $secondary 60%;
    scrollbar-color-active: $secondary;
    scrollbar-background: $background;
    scrollbar-background-hover: $background;
    scrollbar-background-active: $background;
    height: 1fr;
"""


def stylesheet(widget: str) -> str:
    """The CSS of the styles for a widget's class."""
    styles = [f"{widget} > .{PREFIX}{name} {{ {rules} }}" for name, rules in STYLES.items()]
    colourless = [f"{widget}:nocolor > .{PREFIX}{name} {{ {rules} }}" for name, rules in _WITHOUT_COLOURS.items()]
    return "\n".join((*styles, *colourless))


def scrolled(widget: str) -> str:
    """The CSS of a widget's class whose lines scroll: a scroll bar that is always there, so that nothing jumps."""
    return f"{widget} {{ {_SCROLLED} }}\n"


class Palette:
    """The styles of one widget in the theme of now."""

    def __init__(self, widget: Widget) -> None:
        self._widget = widget
        self._tell = as_opened_in(os.environ)
        self._styles: dict[str, Style] = {}
        self._linked: dict[tuple[str, str], Style] = {}

    def clear(self) -> None:
        """The theme is another one."""
        self._styles.clear()
        self._linked.clear()

    def strip(self, line: Line, width: int) -> Strip:
        """The line as Textual draws it, exactly `width` cells."""
        segments = [Segment(span.text, self.style(span.style, span.link)) for span in line.spans]
        cells = sum(width_of(span.text) for span in line.spans)
        if cells < width:
            segments.append(Segment(" " * (width - cells), self.style(line.fill)))
        strip = Strip(segments, max(cells, width))
        return strip if cells <= width else strip.crop(0, width)

    def style(self, names: str, link: str = "") -> Style:
        """The style of names parted by blanks, later ones over earlier ones, on the widget's ground."""
        style = self._styles.get(names)
        if style is None:
            style = self._styles[names] = self._combined(names.split())
        if not link:
            return style
        linked = self._linked.get((names, link))
        if linked is None:
            if len(self._linked) > 5_000:
                self._linked.clear()
            told = self._tell(link)
            linked = self._linked[names, link] = style + Style(link=told) if told else style
        return linked

    def _combined(self, names: list[str]) -> Style:
        """Colours that let others shine through are mixed here: a terminal knows no transparency."""
        ground, ink = self._widget.background_colors[1], self._widget.colors[3]
        words = Style()
        for rules in [rules for name in names if (rules := self._rules(name))]:
            if rules.has_rule("background"):
                ground += rules.background
            if rules.has_rule("color"):
                ink = ground.get_contrast_text(rules.color.a) if rules.auto_color else rules.color
            if rules.has_rule("text_style"):
                words += rules.text_style
        return words + Style(color=(ground + ink).rich_color, bgcolor=ground.rich_color)

    def _rules(self, name: str) -> "RenderStyles | None":
        if name == "selected":
            return self._widget.screen.get_component_styles("screen--selection")
        return self._widget.get_component_styles(PREFIX + name) if name in STYLES else None

"""Names of styles to colours of the theme, on the ground of a widget; styles of a name are combined once."""

import os
import re
from typing import TYPE_CHECKING, cast

from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.strip import Strip
from textual.style import Style as Look
from textual.widget import Widget

from kimi_code.tui.strips.line import Line, width_of
from kimi_code.tui.strips.links import as_opened_in

if TYPE_CHECKING:
    from textual.app import App
    from textual.css.styles import RenderStyles

# The look of every style, as a theme's colours. Meaning never hangs on colour alone: signs and words say the same.
# Not component classes: Textual would try the rules of its style sheet on each of them whenever a widget is styled.
STYLES: dict[str, str] = {
    "user": "bold $text",
    "agent": "$accent",
    "accent": "$accent",
    "muted": "$text-muted",
    "thought": "italic $text-muted",
    "output": "$text-muted",
    "tool": "bold $text",
    "path": "$text",
    "done": "$success",
    "warning": "$warning",
    "error": "$error",
    "strong": "bold",
    "emphasis": "italic",
    "strike": "strike",
    "heading1": "bold $accent",
    "heading2": "bold $accent",
    "heading3": "bold",
    "quote": "$text-muted",
    "link": "underline $accent",
    "code": "$text-accent",
    "keyword": "$text-accent",
    "string": "$text-success",
    "number": "$text-warning",
    "comment": "italic $text-muted",
    "function": "bold $text-primary",
    "builtin": "$text-secondary",
    "added": "on $success 12%",
    "removed": "on $error 12%",
    "added-word": "bold on $success 32%",
    "removed-word": "bold on $error 32%",
    "sign": "bold",
    "added-count": "$success",
    "removed-count": "$error",
    "chosen": "on $accent 20%",
}
# What only a colour would tell.
_WITHOUT_COLOURS = {
    "muted": "dim $text-muted",
    "output": "dim $text-muted",
    "chosen": "$background on $foreground",
    "removed-word": "bold underline on $error 32%",
    "added-word": "bold underline on $success 32%",
}

_VARIABLE = re.compile(r"\$([a-z-]+)")

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


def scrolled(widget: str) -> str:
    """The CSS of a widget's class whose lines scroll: a scroll bar that is always there, so that nothing jumps."""
    return f"{widget} {{ {_SCROLLED} }}\n"


class Palette:
    """The styles of one widget in the theme of now."""

    def __init__(self, widget: Widget) -> None:
        self._widget = widget
        self._tell = as_opened_in(os.environ)
        self._variables: dict[str, str] = {}
        self._styles: dict[str, Style] = {}
        self._linked: dict[tuple[str, str], Style] = {}

    def clear(self) -> None:
        """The widget's ground may be another one, or the theme: then all is drawn anew."""
        self._styles.clear()
        self._linked.clear()
        if self._app.theme_variables is not self._variables:
            self._variables = self._app.theme_variables
            self._widget.refresh()

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
        for look in map(self._look, names):
            if look.background is not None:
                ground += look.background
            if look.foreground is not None:
                ink = look.foreground
                if ink.auto:
                    ink = ground.get_contrast_text(ink.a)
            words += look.rich_style  # without its colours: those at the end win
        return words + Style(color=(ground + ink).rich_color, bgcolor=ground.rich_color)

    def _look(self, name: str) -> Look:
        if name == "selected":
            return _as_look(self._widget.screen.get_component_styles("screen--selection"))
        colourless = _WITHOUT_COLOURS.get(name) if self._app.no_color else None
        # Put in here: by Textual's reading a variable loses the share of what it lets through ("auto 60%").
        text = _VARIABLE.sub(lambda found: self._app.theme_variables[found[1]], colourless or STYLES.get(name, ""))
        return self._app.stylesheet.parse_style(text)

    @property
    def _app(self) -> "App[object]":
        return cast("App[object]", self._widget.app)  # pyright: ignore[reportUnknownMemberType]  (no types)


def _as_look(rules: "RenderStyles") -> Look:
    ink = Color.automatic(100 * rules.color.a) if rules.auto_color else rules.color
    return Look(
        rules.background if rules.has_rule("background") else None, ink if rules.has_rule("color") else None
    ) + Look.from_rich_style(rules.text_style)

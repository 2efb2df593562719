"""Rules of style sheets that are read once for all screens."""

from collections.abc import Callable

import pytest
from textual.app import App, ComposeResult
from textual.color import Color
from textual.containers import Vertical
from textual.css.styles import RulesMap
from textual.css.stylesheet import Stylesheet, StylesheetParseError
from textual.widget import Widget
from textual.widgets import OptionList, TextArea

from kimi_code.tui.stylesheet import SharedStylesheet

RED, BLUE = {"ground": "#ff0000"}, {"ground": "#0000ff"}


def sheet(variables: dict[str, str]) -> SharedStylesheet:
    made = SharedStylesheet(variables=variables)
    made.add_source("Screen { background: $ground; }", ("a", "Screen.DEFAULT_CSS"), is_default_css=True)
    return made


def grounds(made: Stylesheet) -> list[Color]:
    return [rule.styles.background for rule in made.rules]


def test_a_text_is_read_once_for_each_themes_colours_and_place() -> None:
    first, second = sheet(RED), sheet(RED)
    assert second.rules[0] is first.rules[0]
    second.set_variables(BLUE)
    second.reparse()
    assert (grounds(first), grounds(second)) == ([Color.parse("#ff0000")], [Color.parse("#0000ff")])
    second.set_variables(RED)
    second.reparse()
    assert second.rules[0] is first.rules[0]
    # The same text with more weight is another rule.
    users = SharedStylesheet(variables=RED)
    users.add_source("Screen { background: $ground; }", ("a", "Screen.DEFAULT_CSS"))
    assert not users.rules[0].is_default_rules


def test_what_cannot_be_read_leaves_the_rules_as_they_were() -> None:
    made = sheet(RED)
    before = list(made.rules)
    made.add_source("Screen { background: no-colour; }", ("b", ""))
    for _ in range(2):
        with pytest.raises(StylesheetParseError):
            made.reparse()
        made.set_variables(RED)
    assert made._rules == before  # pyright: ignore[reportPrivateUsage]  (`rules` reads them anew)


class Parts(App[None]):
    """Widgets with parts, whose rules ask about the widget, what is around it, and the application."""

    CSS = """
    TextArea:focus .text-area--cursor { background: red; }
    .calm > TextArea .text-area--gutter, #names .option-list--option-disabled { color: green; }
    App:light .option-list--option-highlighted { text-style: italic; }
    Vertical.loud:focus-within * { text-style: bold; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.stylesheet = SharedStylesheet(variables=self.get_css_variables())

    def compose(self) -> ComposeResult:
        with Vertical():
            yield TextArea(id="words")
            yield OptionList("one", "two")

    def parts(self) -> dict[Widget, dict[str, RulesMap]]:
        """The rules of all parts of all widgets."""
        return {
            node: {part: styles.base.get_rules() for part, styles in node._component_styles.items()}  # pyright: ignore[reportPrivateUsage]  (no other way)
            for node in self.screen.walk_children(Widget, with_self=True)
        }


def steps(app: Parts) -> tuple[Callable[[], object], ...]:
    """What changes something that selectors ask about."""
    box, listed, words = app.query_one(Vertical), app.query_one(OptionList), app.query_one(TextArea)

    def name_list() -> None:
        listed._id = "names"  # pyright: ignore[reportPrivateUsage]  (Textual lets an id be given once)
        listed.update_node_styles()

    def add_rules() -> None:
        app.stylesheet.add_source("TextArea .text-area--cursor { color: blue; }")
        app.refresh_css()

    return (
        listed.focus,
        lambda: box.add_class("calm"),
        lambda: box.add_class("loud"),
        words.focus,
        lambda: setattr(app, "theme", "textual-light"),
        lambda: box.remove_class("calm"),
        name_list,
        add_rules,
    )


async def test_the_parts_of_widgets_look_as_textual_finds_whatever_changes_around_them() -> None:
    seen: list[list[dict[str, RulesMap]]] = []
    for _ in range(2):  # the second application takes what the first one found
        app = Parts()
        async with app.run_test() as pilot:
            for step in (lambda: None, *steps(app)):
                step()
                await pilot.pause(0)
                found = app.parts()
                for node in found:
                    Stylesheet._process_component_classes(app.stylesheet, node)  # pyright: ignore[reportPrivateUsage]  (Textual's own)
                assert found == app.parts()
                seen.append([*found.values()])
    assert seen[:9] == seen[9:]
    assert len({str(values) for values in seen[:9]}) >= 8

"""Rules of style sheets that are read once for all screens."""

import pytest
from textual.color import Color
from textual.css.stylesheet import Stylesheet, StylesheetParseError

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

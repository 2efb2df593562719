"""Names of styles become colours of the theme, on the ground they stand on."""

from dataclasses import replace

import pytest
from rich.style import Style
from textual.app import App, ComposeResult

from kimi_code.tui.palette import STYLES, Palette
from kimi_code.tui.strips.line import Line, Span
from kimi_code.tui.theme import DARK, LIGHT
from kimi_code.tui.widgets.lines import LinesView

GREENER = replace(DARK, name="greener", accent="#20c080")


class Stage(App[None]):
    """Some lines, and nothing else."""

    def __init__(self) -> None:
        super().__init__()
        for theme in (DARK, LIGHT, GREENER):
            self.register_theme(theme)
        self.theme = DARK.name

    def compose(self) -> ComposeResult:
        yield LinesView(lambda width: [Line((Span("accent", "accent"),))])

    def looks(self) -> dict[str, Style]:
        palette = Palette(self.query_one(LinesView))
        return {name: palette.style(name) for name in ("", *STYLES)}


async def test_a_theme_that_differs_in_one_colour_is_seen_at_once() -> None:
    app = Stage()
    async with app.run_test(size=(30, 3)) as pilot:
        assert str(DARK.accent) in app.export_screenshot()
        app.theme = GREENER.name
        await pilot.pause()
        assert str(DARK.accent) not in app.export_screenshot()
        assert "#20c080" in app.export_screenshot()


async def test_what_lets_the_ground_through_is_mixed_with_it_in_each_theme() -> None:
    app = Stage()
    async with app.run_test(size=(30, 3)) as pilot:
        dark = app.looks()
        app.theme = LIGHT.name
        await pilot.pause()
        light = app.looks()
    assert (str(dark["muted"]), str(light["muted"])) == ("#a1a1a3 on #14161b", "#646464 on #fbfbfa")
    assert (str(dark["added"]), str(light["added"])) == ("#d6d9e0 on #212926", "#24272e on #e2eae2")
    assert str(dark["heading1"]) == "bold #7aa2f7 on #14161b"
    assert str(dark["sign"]) == "bold #d6d9e0 on #14161b"


async def test_what_only_a_colour_would_tell_is_told_by_the_letters_where_there_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = Stage()
    async with app.run_test(size=(30, 3)):
        styles = app.looks()
    assert styles["muted"].dim
    assert styles["output"].dim
    assert styles["added-word"].underline
    assert styles["removed-word"].underline
    assert (styles["chosen"].color, styles["chosen"].bgcolor) == (styles[""].bgcolor, styles[""].color)

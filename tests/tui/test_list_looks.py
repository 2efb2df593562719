"""How a list over the screen looks: the palette at two widths, its rows in columns, its keys in sight."""

from pathlib import Path
from typing import Protocol

import pytest
from textual.app import App

import kimi_code.tui
from kimi_code.tui.commands import COMMANDS
from kimi_code.tui.screens.picker import Picker, Row
from kimi_code.tui.theme import THEMES


class Looks(Protocol):
    def __call__(self, app: App[None], *, terminal_size: tuple[int, int]) -> bool: ...


class Shown(App[None]):
    """The commands over nothing."""

    CSS_PATH = Path(kimi_code.tui.__file__).parent / "app.tcss"
    ENABLE_COMMAND_PALETTE = False

    def on_mount(self) -> None:
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = "kimi-light"
        self.push_screen(Picker("Commands", [Row(c.name, f"/{c.name}", c.what) for c in COMMANDS]))


@pytest.mark.parametrize("size", [(80, 24), (40, 24)])
def test_a_list_looks_as_it_did(snap_compare: Looks, size: tuple[int, int]) -> None:
    assert snap_compare(Shown(), terminal_size=size)

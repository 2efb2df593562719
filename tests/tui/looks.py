"""Pictures of one screen, over nothing, as the program draws it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from textual.app import App
from textual.screen import Screen

import kimi_code.tui
from kimi_code.tui.theme import THEMES


class Looks(Protocol):
    """The fixture `snap_compare`."""

    def __call__(self, app: App[None], *, terminal_size: tuple[int, int], run_before: object = None) -> bool: ...


class Shown(App[None]):
    """The screen that `make` makes, in a theme."""

    CSS_PATH = Path(kimi_code.tui.__file__).parent / "app.tcss"
    ENABLE_COMMAND_PALETTE = False

    def __init__(self, make: Callable[[], Screen[Any]], theme: str) -> None:
        super().__init__()
        self._make = make
        for known in THEMES:
            self.register_theme(known)
        self.theme = theme

    def on_mount(self) -> None:
        self.push_screen(self._make())

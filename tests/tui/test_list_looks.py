"""How a list over the screen looks: the palette at two widths, its rows in columns, its keys in sight."""

import pytest

from kimi_code.tui.commands import COMMANDS
from kimi_code.tui.screens.picker import Picker, Row
from tests.tui.looks import Looks, Shown


def palette() -> Picker:
    return Picker("Commands", [Row(c.name, f"/{c.name}", c.what) for c in COMMANDS])


@pytest.mark.parametrize("size", [(80, 24), (40, 24)])
def test_a_list_looks_as_it_did(snap_compare: Looks, size: tuple[int, int]) -> None:
    assert snap_compare(Shown(palette, "kimi-light"), terminal_size=size)

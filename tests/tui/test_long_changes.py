"""Changes of very many lines: some are drawn, all can be gone to, and nothing waits for the rest."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from textual.app import App, ComposeResult
from textual.pilot import Pilot

from kimi_code.events import Approval, Diff, Hunk
from kimi_code.repo.diff import make_diff
from kimi_code.session.timeline import Report
from kimi_code.tui.screens.review import ReviewScreen
from kimi_code.tui.screens.timeline import changed_lines
from kimi_code.tui.strips.diffs import beginning, placed_lines
from kimi_code.tui.widgets.approval import ApprovalPanel
from kimi_code.tui.widgets.hunks import HunkList
from kimi_code.tui.widgets.lines import LinesView
from tests.tui.conftest import PATIENCE


class Shelf(App[None]):
    """Shows a review of `diffs`."""

    CSS_PATH = Path(__file__).parents[2] / "kimi_code/tui/app.tcss"

    def __init__(self, *diffs: Diff) -> None:
        super().__init__()
        self._diffs = diffs

    def on_mount(self) -> None:
        self.push_screen(ReviewScreen("since then", self._diffs, self._take_back, {}))

    async def _take_back(self, ids: Sequence[str]) -> Report:
        raise AssertionError(ids)


def lines(pilot: Pilot[None]) -> list[str]:
    return [line.text for line in pilot.app.screen.query_one("#review-hunks", LinesView).lines]


def chosen(pilot: Pilot[None]) -> str:
    view = pilot.app.screen.query_one("#review-hunks", LinesView)
    return view.lines[view.cursor].text


async def test_of_one_huge_hunk_a_part_of_both_sides_is_drawn_and_more_on_demand() -> None:
    old, new = ("".join(f"{word} {n}\n" for n in range(5_000)) for word in ("old", "new"))
    app = Shelf(make_diff("huge.txt", old, new))
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.pause()
        assert len(lines(pilot)) < 600
        assert any("- old 249" in line for line in lines(pilot))
        assert any("250 │ + new 249" in line for line in lines(pilot))
        assert lines(pilot)[-1] == "… 9,500 more lines of this hunk; m shows more"
        await pilot.press("m")
        assert lines(pilot)[-1].startswith("… 8,000 more lines")
        await pilot.press("a")
        assert "kept" in lines(pilot)[2]


async def test_all_of_very_many_hunks_are_walked_there_and_back() -> None:
    old = [f"line {n}\n" for n in range(4_500)]
    new = [f"other {n}\n" if n % 10 == 0 else line for n, line in enumerate(old)]
    app = Shelf(make_diff("many.txt", "".join(old), "".join(new)))
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.pause()
        assert len(lines(pilot)) < 1_200
        after = lines(pilot)[-1]
        assert after.startswith("… ") and after.endswith(" after")
        first_undrawn = 450 - int(after.split()[1])
        review = pilot.app.screen
        assert isinstance(review, ReviewScreen)
        review.action_hunk(first_undrawn)
        assert f"- line {first_undrawn * 10}" in chosen(pilot)
        assert lines(pilot)[1] == f"… {first_undrawn} before"
        await pilot.press("p")
        assert f"- line {first_undrawn * 10 - 10}" in chosen(pilot)
        await pilot.press("r")
        assert f"- line {first_undrawn * 10}" in chosen(pilot)


class Door(App[None]):
    """Asks whether a change may be made."""

    CSS_PATH = Path(__file__).parents[2] / "kimi_code/tui/app.tcss"

    def __init__(self, old: str, new: str) -> None:
        super().__init__()
        self._approval = Approval("c1", "Edit", "huge.txt", "asked", (make_diff("huge.txt", old, new),))

    def compose(self) -> ComposeResult:
        yield ApprovalPanel({}, id="approval")

    def on_mount(self) -> None:
        self.panel.show("r1", self._approval, 1, 1)
        self.panel.clock = lambda: float("inf")
        self.panel.display = True
        self.panel.focus()

    @property
    def panel(self) -> ApprovalPanel:
        return self.query_one(ApprovalPanel)

    @property
    def drawn(self) -> list[str]:
        return [line.text for line in self.query_one(HunkList).lines]


async def walked(pilot: Pilot[None]) -> None:
    """Until the hunks are in sight."""
    await pilot.press("j")
    async with asyncio.timeout(PATIENCE):
        while not pilot.app.query_one(HunkList).lines:
            await pilot.pause()


async def test_of_one_huge_hunk_to_approve_a_part_is_drawn_and_scrolling_on_draws_more() -> None:
    app = Door(*("".join(f"{word} {n}\n" for n in range(5_000)) for word in ("old", "new")))
    async with app.run_test(size=(100, 30)) as pilot:
        await walked(pilot)
        assert 200 < len(app.drawn) < 300
        assert app.drawn[-1].strip("│ ") == "… 9,800 more lines of this hunk; scrolling on shows them"
        hunks = app.query_one(HunkList)
        hunks.scroll_to(y=hunks.max_scroll_y, animate=False)
        await pilot.press("down")
        assert 800 < len(app.drawn) < 900
        assert hunks.scroll_offset.y == 200 + 2 - hunks.size.height + 1
        await pilot.press("space")
        assert app.panel.picks.taken == 0


async def test_very_many_hunks_to_approve_are_walked_there_and_back() -> None:
    old = [f"line {n}\n" for n in range(4_500)]
    app = Door("".join(old), "".join(f"other {n}\n" if n % 10 == 0 else line for n, line in enumerate(old)))
    async with app.run_test(size=(100, 30)) as pilot:
        await walked(pilot)
        assert len(app.drawn) < 250
        undrawn = 450 - int(app.drawn[-1].split()[1])
        app.panel.action_hunk(undrawn)
        assert app.drawn[0] == f"… {undrawn} before"
        assert f"{undrawn + 1} of 450" in app.drawn[1]
        await pilot.press("k", "space")
        assert not app.panel.picks.all[undrawn - 1].taken
        assert any(f"{undrawn} of 450" in line for line in app.drawn)
        app.panel.action_hunk(-450)
        assert "1 of 450" in app.drawn[0]


def test_a_page_of_changes_ends_somewhere_and_says_so() -> None:
    old = [f"line {n}\n" for n in range(30_000)]
    many = make_diff("many", "".join(old), "".join("x\n" if n % 10 == 0 else line for n, line in enumerate(old)))
    drawn = changed_lines((many,), 80)
    assert len(drawn) < 5_000
    assert drawn[-1].text.endswith(" more lines")


@given(st.lists(st.sampled_from([" a", "-b", "+c"]), min_size=1, max_size=60), st.integers(2, 40))
def test_what_is_drawn_of_a_hunk_has_the_numbers_it_has_in_the_whole(marks: list[str], most: int) -> None:
    hunk = Hunk(7, 9, tuple(marks))
    shown, rest = beginning(hunk, most)
    assert len(shown.lines) + rest == len(marks)
    assert len(shown.lines) <= max(most, len(marks) - rest) and (rest == 0) == (len(marks) == len(shown.lines))
    whole = {place for _, place in placed_lines(hunk, "", 80)}
    assert {place for _, place in placed_lines(shown, "", 80)} <= whole

"""How a review looks: pictures at two widths."""

from collections.abc import Sequence

import pytest
from textual.pilot import Pilot

from kimi_code.events import Diff
from kimi_code.repo.diff import make_diff
from kimi_code.session.timeline import Report
from kimi_code.tui.screens.review import ReviewScreen
from tests.tui.looks import Looks, Shown

OLD = '''\
import httpx


def post(client: httpx.Client) -> str:
    """One request."""
    try:
        return client.post("/chat").text
    except httpx.ConnectError as error:
        raise Unavailable(str(error))


# Ends.


def close(client: httpx.Client) -> None:
    client.close()
    print("closed 你好")
'''
NEW = (
    OLD.replace("except httpx.ConnectError", "except (APIError, httpx2.TransportError)")
    .replace("(str(error))", "(str(error)) from error")
    .replace("closed 你好", "closed at last 你好")
)
DIFFS = (
    make_diff("src/chat.py", OLD, NEW),
    make_diff("docs/a/long/way/down/to/the/notes.md", None, "# Notes\n\nMapped.\n"),
    Diff("run.sh", "modified", 0, 0, detail="file → executable", id="mode"),
)


async def take_back(ids: Sequence[str]) -> Report:
    return Report()


def review() -> ReviewScreen:
    return ReviewScreen("since the session began", DIFFS, take_back, {})


async def decide(pilot: Pilot[None]) -> None:
    await pilot.press("r", "n", "p", "c", *"why", "enter", "R", "p")
    await pilot.pause()


@pytest.mark.parametrize("size", [(80, 24), (200, 30)])
def test_a_review_looks_as_it_did(snap_compare: Looks, size: tuple[int, int]) -> None:
    assert snap_compare(Shown(review, "kimi-dark"), terminal_size=size, run_before=decide)

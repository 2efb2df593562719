"""What cannot be done is refused before anybody is asked to approve it."""

from pathlib import Path
from typing import Any

import pytest

from kimi_code.events import Approval, RequestOpened, ToolEnded
from tests.harness import Lab, Ran
from tests.server import call, calls, say

BINARY = b"\x7fELF\x02\x01\x01\x00\x00\x00"


async def attempt(lab: Lab, *asked: tuple[str, dict[str, Any]]) -> Ran:
    """A run in which nothing that edits is allowed without asking."""
    lab.configure(permission_mode="ask")
    lab.server.script(*(call(*one) for one in asked), say("done"))
    return await lab.run()


def approvals(ran: Ran) -> list[str]:
    return [e.request.title for e in ran.events(RequestOpened) if isinstance(e.request, Approval)]


@pytest.mark.parametrize(
    ("tool", "params", "said"),
    [
        ("Write", {"path": "a.txt", "content": "new\n"}, "has not been read"),
        ("Edit", {"path": "a.txt", "old_string": "one", "new_string": "1"}, "has not been read"),
        ("Edit", {"path": "a.tx", "old_string": "one", "new_string": "1"}, "In its folder are: a.txt"),
        ("Edit", {"path": "x.bin", "old_string": "one", "new_string": "1"}, "not text"),
        ("Write", {"path": "folder", "content": "new\n"}, "is a folder"),
    ],
)
async def test_an_edit_that_cannot_be_done_is_refused_unasked(
    lab: Lab, tool: str, params: dict[str, Any], said: str
) -> None:
    (lab.project / "folder").mkdir()
    (lab.project / "a.txt").write_text("one\n")
    (lab.project / "x.bin").write_bytes(BINARY)
    ran = await attempt(lab, (tool, params))
    assert approvals(ran) == []
    assert [event.status for event in ran.events(ToolEnded)] == ["failed"]
    assert said in lab.server.requests[-1].last["content"]
    assert ran.result["denied"] == []
    assert (lab.project / "a.txt").read_text() == "one\n"


async def test_an_edit_that_does_not_fit_is_refused_unasked_and_one_that_fits_is_asked_for(lab: Lab) -> None:
    (lab.project / "a.txt").write_text("one\ntwo\n")
    ran = await attempt(
        lab,
        ("Read", {"path": "a.txt"}),
        ("Edit", {"path": "a.txt", "old_string": "three", "new_string": "3"}),
        ("Edit", {"path": "a.txt", "old_string": "two", "new_string": "2"}),
    )
    assert approvals(ran) == ["a.txt"]
    assert [event.status for event in ran.events(ToolEnded)] == ["done", "failed", "denied"]


async def test_a_file_that_changes_while_the_user_thinks_is_still_refused(lab: Lab) -> None:
    file = lab.project / "a.txt"
    file.write_text("one\n")
    lab.configure(permission_mode="ask")
    lab.server.script(
        calls(("Read", {"path": "a.txt"})), call("Write", {"path": "a.txt", "content": "model\n"}), say("done")
    )

    def meanwhile(session: Any) -> None:
        from kimi_code.events import Allow

        def listen(record: Any) -> None:
            if isinstance(record.event, RequestOpened):
                Path(file).write_text("the user's\n")
                session.reply(record.event.request_id, Allow())

        session.subscribe(listen)

    await lab.run(meanwhile=meanwhile)
    assert file.read_text() == "the user's\n"
    assert "changed since it was read" in lab.server.requests[-1].last["content"]

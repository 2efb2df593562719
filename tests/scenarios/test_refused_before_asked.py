"""What cannot be done is refused before anybody is asked to approve it."""

from pathlib import Path
from typing import Any

import pytest

from kimi_code.events import Allow, Approval, CheckpointCreated, RequestOpened, ToolEnded, TurnEnded
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
        def listen(record: Any) -> None:
            if isinstance(record.event, RequestOpened):
                Path(file).write_text("the user's\n")
                session.reply(record.event.request_id, Allow())

        session.subscribe(listen)

    await lab.run(meanwhile=meanwhile)
    assert file.read_text() == "the user's\n"
    assert "changed since it was read" in lab.server.requests[-1].last["content"]


@pytest.mark.parametrize("mode", ["ask", "yolo"])
async def test_what_would_change_nothing_is_said_unasked_and_takes_no_checkpoint(lab: Lab, mode: str) -> None:
    (lab.project / "a.txt").write_bytes(b"one\r\n")
    lab.configure(permission_mode=mode)
    back_and_forth = [{"old_string": "one", "new_string": "1"}, {"old_string": "1", "new_string": "one"}]
    lab.server.script(
        call("Read", {"path": "a.txt"}),
        calls(("Write", {"path": "a.txt", "content": "one\n"})),
        calls(("Edit", {"path": "a.txt", "edits": back_and_forth})),
        say("done"),
    )
    ran = await lab.run()
    assert ran.events(RequestOpened) == []
    assert [(event.status, event.summary) for event in ran.events(ToolEnded)][1] == ("done", "unchanged")
    results = [message["content"] for message in lab.server.requests[-1].messages if message["role"] == "tool"]
    assert results[1:] == ["a.txt has this content already.", "The edits leave a.txt as it is."]
    assert len(ran.events(CheckpointCreated)) == (0 if mode == "ask" else 1)  # the edit had to be tried
    assert (lab.project / "a.txt").read_bytes() == b"one\r\n"


async def test_a_file_that_a_rule_protects_is_denied_whatever_is_written(lab: Lab) -> None:
    (lab.project / "a.txt").write_text("one\n")
    lab.configure(deny=("Write(a.txt)",))
    ran = await attempt(lab, ("Read", {"path": "a.txt"}), ("Write", {"path": "a.txt", "content": "one\n"}))
    assert [event.status for event in ran.events(ToolEnded)] == ["done", "denied"]


async def test_what_the_user_does_while_they_are_asked_is_not_the_turns(lab: Lab) -> None:
    mine = lab.project / "mine.txt"
    mine.write_text("one\n")
    lab.configure(permission_mode="ask")
    lab.server.script(call("Write", {"path": "a.txt", "content": "model\n"}), say("done"))

    def meanwhile(session: Any) -> None:
        def listen(record: Any) -> None:
            if isinstance(record.event, RequestOpened):
                mine.write_text("edited while asked\n")
                session.reply(record.event.request_id, Allow())

        session.subscribe(listen)

    ran = await lab.run(meanwhile=meanwhile)
    (ended,) = ran.events(TurnEnded)
    assert [change.path for change in ended.files_changed] == ["a.txt"]

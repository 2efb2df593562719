"""Replies to approvals that allow less, or something else, than was asked for; and `--review each`."""

from collections.abc import Callable
from typing import Any

from kimi_code.events import AllowEdited, AllowHunks, Approval, Diff, Record, Reply, RequestOpened, ToolEnded
from kimi_code.repo.diff import parts
from kimi_code.session.session import Session
from tests.harness import Lab
from tests.server import call, calls, say

TWENTY = "".join(f"{n}\n" for n in range(1, 21))
BOTH_ENDS = {
    "path": "a.txt",
    "edits": [{"old_string": "2\n3", "new_string": "two\n3"}, {"old_string": "20", "new_string": "xx"}],
}


def replying(reply: Callable[[Approval], Reply], asked: list[Approval]) -> Callable[[Session], None]:
    def meanwhile(session: Session) -> None:
        def listen(record: Record) -> None:
            if isinstance(record.event, RequestOpened) and isinstance(record.event.request, Approval):
                asked.append(record.event.request)
                session.reply(record.event.request_id, reply(record.event.request))

        session.subscribe(listen)

    return meanwhile


def diffs(approval: Approval) -> list[Diff]:
    return [block for block in approval.blocks if isinstance(block, Diff)]


def told(lab: Lab, request: int = -1) -> str:
    """The newest tool message of a request."""
    return next(m["content"] for m in reversed(lab.server.requests[request].messages) if m["role"] == "tool")


async def reviewed(lab: Lab, reply: Callable[[Approval], Reply], edit: dict[str, Any] | None = None) -> list[Approval]:
    lab.configure(review="each")
    (lab.project / "a.txt").write_text(TWENTY)
    lab.server.script(calls(("Read", {"path": "a.txt"})), call("Edit", edit or BOTH_ENDS), say("done"))
    asked: list[Approval] = []
    await lab.run(meanwhile=replying(reply, asked))
    return asked


async def test_each_edit_is_asked_for_though_the_mode_would_allow_it_and_half_of_one_can_be_approved(lab: Lab) -> None:
    asked = await reviewed(lab, lambda approval: AllowHunks((diffs(approval)[0].hunks[0].id,)))
    assert [(a.tool, a.reason, a.rules) for a in asked] == [("Edit", "every edit is reviewed", ("Edit(a.txt)",))]
    assert (lab.project / "a.txt").read_text() == TWENTY.replace("2\n", "two\n", 1)
    assert "-xx\n+20" in told(lab)
    assert "do not send the same again" in told(lab)


async def test_all_hunks_are_the_whole_edit(lab: Lab) -> None:
    await reviewed(lab, lambda approval: AllowHunks(tuple(hunk.id for hunk in diffs(approval)[0].hunks)))
    assert "approved only part" not in told(lab)
    assert (lab.project / "a.txt").read_text().endswith("xx\n")


async def test_no_hunk_is_a_denial_with_its_words(lab: Lab) -> None:
    await reviewed(lab, lambda _: AllowHunks((), "Leave this file alone."))
    assert told(lab) == "The user said no: Leave this file alone.\nIt was not done. Do as they say."
    assert (lab.project / "a.txt").read_text() == TWENTY


async def test_hunks_that_were_not_shown_approve_nothing(lab: Lab) -> None:
    await reviewed(lab, lambda approval: AllowHunks((diffs(approval)[0].hunks[0].id, "000000000000")))
    assert "changes that were not shown" in told(lab)
    assert (lab.project / "a.txt").read_text() == TWENTY


async def test_the_users_text_goes_in_place_of_the_models(lab: Lab) -> None:
    await reviewed(lab, lambda _: AllowEdited(TWENTY + "mine\n"))
    assert (lab.project / "a.txt").read_text() == TWENTY + "mine\n"
    assert "+mine" in told(lab)


async def test_hunks_of_a_command_approve_nothing(lab: Lab) -> None:
    asked: list[Approval] = []
    lab.server.script(call("Bash", {"command": "touch x"}), say("done"))
    ran = await lab.run(meanwhile=replying(lambda _: AllowHunks(("0",)), asked))
    assert [ended.status for ended in ran.events(ToolEnded)] == ["denied"]
    assert list(lab.project.iterdir()) == []


async def test_the_users_own_command_runs_in_place_of_the_models_which_is_told(lab: Lab) -> None:
    asked: list[Approval] = []
    lab.server.script(call("Bash", {"command": "touch x && echo hi"}), say("done"))
    ran = await lab.run(meanwhile=replying(lambda _: AllowEdited("touch y && echo ho"), asked))
    assert [(part.text, part.decision) for part in asked[0].parts] == [("touch x", "ask"), ("echo hi", "allow")]
    assert [(ended.status, ended.title) for ended in ran.events(ToolEnded)] == [("done", "touch y && echo ho")]
    assert [path.name for path in lab.project.iterdir()] == ["y"]
    assert "The user changed the command before it ran" in told(lab)
    assert "touch y && echo ho\n---\nho" in told(lab)


async def test_the_users_own_command_is_not_run_where_a_rule_forbids_it(lab: Lab) -> None:
    lab.configure(deny=("Bash(touch *)",))
    asked: list[Approval] = []
    lab.server.script(call("Bash", {"command": "mkdir x"}), say("done"))
    ran = await lab.run(meanwhile=replying(lambda _: AllowEdited("touch y"), asked))
    assert [ended.status for ended in ran.events(ToolEnded)] == ["denied"]
    assert "denied by the rule" in told(lab)
    assert list(lab.project.iterdir()) == []


NEAR = {
    "path": "a.txt",
    "edits": [{"old_string": "2\n3", "new_string": "two\n3"}, {"old_string": "6\n7", "new_string": "six\n7"}],
}


async def test_one_run_of_changes_within_a_hunk_can_be_approved(lab: Lab) -> None:
    asked = await reviewed(lab, lambda approval: AllowHunks((parts(diffs(approval)[0].hunks[0])[1].id,)), NEAR)
    assert len(diffs(asked[0])[0].hunks) == 1
    assert (lab.project / "a.txt").read_text() == TWENTY.replace("6\n", "six\n", 1)
    assert "-two\n+2" in told(lab)


async def test_all_runs_of_all_hunks_are_the_whole_edit(lab: Lab) -> None:
    def every_part(approval: Approval) -> Reply:
        return AllowHunks(tuple(part.id for hunk in diffs(approval)[0].hunks for part in parts(hunk)))

    await reviewed(lab, every_part, NEAR)
    assert "approved only part" not in told(lab)


async def test_an_edit_that_a_rule_allows_is_not_asked_for_each_time(lab: Lab) -> None:
    lab.configure(allow=("Edit(a.txt)",))
    assert await reviewed(lab, lambda _: AllowHunks(())) == []


async def test_where_nobody_can_approve_edits_end_as_denials_that_say_how_to_allow_them(lab: Lab) -> None:
    lab.configure(review="each")
    lab.server.script(call("Write", {"path": "a.txt", "content": "x"}), say("done"))
    ran = await lab.run()
    assert (ran.exit_code, ran.result["status"]) == (5, "denied")
    assert "--allow 'Edit(a.txt)'" in ran.result["error"]
    assert not (lab.project / "a.txt").exists()

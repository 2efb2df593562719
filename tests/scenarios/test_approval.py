"""Approvals that are remembered: exactly the rules that were shown, no more."""

import tomllib
from collections.abc import Callable

from kimi_code.events import Allow, Approval, Record, RequestOpened
from kimi_code.session.session import Session
from tests.harness import Lab
from tests.server import Reply, call, say


def answering(reply: Allow, asked: list[Approval]) -> Callable[[Session], None]:
    def meanwhile(session: Session) -> None:
        def listen(record: Record) -> None:
            if isinstance(record.event, RequestOpened) and isinstance(record.event.request, Approval):
                asked.append(record.event.request)
                session.reply(record.event.request_id, reply)

        session.subscribe(listen)

    return meanwhile


def bash(command: str) -> Reply:
    return call("Bash", {"command": command})


async def test_an_approval_for_the_session_allows_exactly_the_parts_that_were_shown(lab: Lab) -> None:
    asked: list[Approval] = []
    both = bash("git status && touch x")
    lab.server.script(both, both, bash("touch x"), bash("touch x y"), bash("rm x"), say("done"))
    await lab.run(meanwhile=answering(Allow("session"), asked))
    assert [approval.rules for approval in asked] == [("Bash(touch x)",), ("Bash(touch x y)",), ("Bash(rm x)",)]
    assert not (lab.data / "config" / "config.toml").exists()


async def test_an_approval_for_once_is_asked_for_again(lab: Lab) -> None:
    asked: list[Approval] = []
    lab.server.script(bash("touch x"), bash("touch x"), say("done"))
    await lab.run(meanwhile=answering(Allow(), asked))
    assert len(asked) == 2


async def test_an_approval_for_good_stands_in_the_users_configuration(lab: Lab) -> None:
    asked: list[Approval] = []
    lab.server.script(bash("touch x"), say("done"))
    await lab.run(meanwhile=answering(Allow("always"), asked))
    kept = tomllib.loads((lab.data / "config" / "config.toml").read_text())
    assert kept == {"allow": ["Bash(touch x)"]}


async def test_what_cannot_be_known_is_never_remembered(lab: Lab) -> None:
    asked: list[Approval] = []
    unknowable = bash("touch $(echo x)")
    lab.server.script(unknowable, unknowable, say("done"))
    await lab.run(meanwhile=answering(Allow("always"), asked))
    assert [approval.rules for approval in asked] == [(), ()]

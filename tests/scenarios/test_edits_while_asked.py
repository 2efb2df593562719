"""What the user edits while a turn waits for them is their own: undo leaves it alone, and says where it cannot."""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from kimi_code.cli.app import main
from kimi_code.events import Allow, Answer, Deny, Record, Reply, RequestOpened
from kimi_code.session.session import Session
from tests.harness import Lab, Ran
from tests.program import Done
from tests.repository import commit_all, git
from tests.server import calls, say


@pytest.fixture(autouse=True)
def places(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIMI_CODE_DIR", str(lab.data.parent))
    monkeypatch.chdir(lab.project)
    lab.configure(permission_mode="ask")
    for name in ("mine", "shared"):
        (lab.project / name).write_text("before\n")


def asking(*answers: Callable[[], Reply]) -> Callable[[Session], None]:
    """Each request is answered by the next of these, which may edit files first."""
    waiting: Iterator[Callable[[], Reply]] = iter(answers)

    def meanwhile(session: Session) -> None:
        def listen(record: Record) -> None:
            if isinstance(record.event, RequestOpened):
                session.reply(record.event.request_id, next(waiting)())

        session.subscribe(listen)

    return meanwhile


def turn(lab: Lab, names: tuple[str, ...], *answers: Callable[[], Reply], code: int = 0) -> Ran:
    """A turn that writes these files in one step, a question for each."""
    writes = [("Write", {"path": name, "content": "the agent's\n"}) for name in names]
    lab.server.script(calls(("Read", {"path": "shared"})), calls(*writes), say("Done."))
    ran = asyncio.run(lab.run(meanwhile=asking(*answers)))
    assert ran.exit_code == code, ran.stdout
    return ran


def edits(path: Path, text: str, reply: Reply) -> Callable[[], Reply]:
    def answer() -> Reply:
        path.write_text(text)
        return reply

    return answer


def cli(*args: str) -> Done:
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main(args)
    return Done(code, out.getvalue(), err.getvalue())


def files(lab: Lab) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(lab.project.iterdir())}


def changed(ran: Ran) -> list[Any]:
    return [change["path"] for change in ran.result["files_changed"]]


@pytest.mark.parametrize("reply", [Allow(), Deny("no")], ids=["allowed", "denied"])
def test_an_edit_during_a_later_question_of_a_step_survives_undo_and_redo(lab: Lab, reply: Reply) -> None:
    ran = turn(
        lab,
        ("one", "two"),
        Allow,
        edits(lab.project / "mine", "my own words\n", reply),
        code=0 if isinstance(reply, Allow) else 5,
    )
    allowed = ["two"] if isinstance(reply, Allow) else []
    assert changed(ran) == ["one", *allowed]
    assert main(["undo"]) == 0
    assert files(lab) == {"mine": "my own words\n", "shared": "before\n"}
    assert main(["redo"]) == 0
    assert sorted(files(lab)) == sorted(["mine", "one", "shared", *allowed])
    assert files(lab)["mine"] == "my own words\n"


def test_a_file_that_was_created_during_a_question_stays(lab: Lab) -> None:
    turn(lab, ("one", "two"), Allow, edits(lab.project / "new", "mine\n", Allow()))
    assert cli("undo").code == 0
    assert files(lab) == {"mine": "before\n", "new": "mine\n", "shared": "before\n"}


def test_a_file_that_both_changed_is_refused_and_can_be_forced(lab: Lab) -> None:
    turn(lab, ("shared", "two"), Allow, edits(lab.project / "shared", "the agent's\nand mine\n", Allow()))
    refused = cli("undo", "--json")
    assert refused.code == 1
    assert json.loads(refused.stdout)["conflicts"] == [
        {"path": "shared", "reason": "was also changed by hand, while the turn waited for you"}
    ]
    assert files(lab)["shared"] == "the agent's\nand mine\n"
    assert cli("undo", "--force").code == 0
    assert files(lab) == {"mine": "before\n", "shared": "before\n"}


def test_restoring_an_earlier_state_does_not_take_it_either(lab: Lab) -> None:
    turn(lab, ("one", "two"), Allow, edits(lab.project / "mine", "my own words\n", Allow()))
    first = json.loads(cli("checkpoints", "list", "--json").stdout)[0]["id"]
    refused = cli("checkpoints", "restore", first)
    assert refused.code == 1
    assert "mine: was changed by hand between turns" in refused.stderr


def test_the_same_holds_for_a_question_of_the_models(lab: Lab) -> None:
    lab.configure(permission_mode="edits")
    writes = ("Write", {"path": "one", "content": "1"})
    question = ("Ask", {"question": "Which?", "options": ["a", "b"]})
    lab.server.script(calls(writes), calls(question), calls(("Write", {"path": "two", "content": "2"})), say("Done."))
    answer = edits(lab.project / "mine", "my own words\n", Answer("a"))
    asyncio.run(lab.run(meanwhile=asking(answer), attended=True))
    assert cli("undo").code == 0
    assert files(lab) == {"mine": "my own words\n", "shared": "before\n"}


def test_a_commit_of_the_turn_is_without_it(lab: Lab) -> None:
    git(lab.project, "init", "-q", "--template=", "-b", "main")
    git(lab.project, "config", "user.name", "Ann")
    git(lab.project, "config", "user.email", "ann@example.org")
    commit_all(lab.project)
    lab.configure(commit=True)
    writes = [("Write", {"path": name, "content": "the agent's\n"}) for name in ("one", "two")]
    lab.server.script(calls(*writes), say("Done."), say("Add one and two"))
    answers = asking(Allow, edits(lab.project / "mine", "my own words\n", Allow()))
    ran = asyncio.run(lab.run(meanwhile=answers))
    assert ran.result["commit"]["files"] == ["one", "two"]
    assert git(lab.project, "status", "--porcelain").strip() == "M mine"

"""The tools that ask the index, where the agent works in a copy: a reviewed turn, and the sub-agents of a swarm."""

from pathlib import Path
from typing import Literal

import pytest

from kimi_code.events import Allow, Approval, Record, RequestOpened
from kimi_code.permissions.sandbox import find
from kimi_code.session.session import Session
from tests.harness import Lab
from tests.server import Received, call, calls, say
from tests.swarm_world import Cast, Step, make_project, swarm, task, who, words

FILES = {
    "app/__init__.py": "",
    "app/store.py": "class Store:\n    def put(self, value):\n        return value\n",
    "app/main.py": "from app.store import Store\n\n\ndef main():\n    Store().put(1)\n",
}


@pytest.fixture(params=["off", "auto"])
def project(request: pytest.FixtureRequest, lab: Lab) -> Path:
    """A repository; copies of it are folders, or mounts at its own path."""
    wanted: Literal["off", "auto"] = request.param
    if wanted == "auto" and find("auto", lab.data).mechanism is None:
        pytest.skip("NOT TESTED: no sandbox here")
    make_project(lab.project, FILES)
    lab.configure(sandbox=wanted)
    return lab.project


def result(request: Received) -> str:
    """What the tools of the last step said."""
    said: list[str] = []
    for message in reversed(request.messages):
        if message["role"] != "tool":
            break
        said.insert(0, str(message["content"]))
    return "\n".join(said)


def allowing(session: Session) -> None:
    def listen(record: Record) -> None:
        if isinstance(record.event, RequestOpened) and isinstance(record.event.request, Approval):
            session.reply(record.event.request_id, Allow())

    session.subscribe(listen)


async def test_in_a_reviewed_turn_the_index_is_that_of_the_copy(lab: Lab, project: Path) -> None:
    lab.configure(review="turn")
    lab.server.script(
        call("Write", {"path": "app/more.py", "content": "def written_here():\n    pass\n"}),
        calls(
            ("Symbols", {"query": "written_here"}),
            ("Outline", {"path": "app/more.py"}),
            ("References", {"symbol": "Store"}),
            ("Read", {"symbol": "Store.put"}),
            ("Grep", {"pattern": "return value", "context": "definition"}),
        ),
        call("Rename", {"symbol": "Store.put", "new_name": "keep"}),
        call("Read", {"symbol": "Store.keep"}),
        say("Done."),
    )
    ran = await lab.run(meanwhile=allowing)
    assert ran.exit_code == 0, ran.result
    looked, renamed, read = (result(request) for request in lab.server.requests[2:5])
    assert "app/more.py:1 function written_here" in looked
    assert "app/main.py\n1: from app.store import Store" in looked
    assert "2\t    def put(self, value):" in looked
    assert "[in Store.put]" in looked
    assert "Renamed in 2 files" in renamed
    assert "2\t    def keep(self, value):" in read
    assert (
        project / "app/main.py"
    ).read_text() == "from app.store import Store\n\n\ndef main():\n    Store().keep(1)\n"
    assert (project / "app/more.py").exists()


async def test_each_sub_agent_asks_about_its_own_copy_and_one_that_only_reads_cannot_rename(
    lab: Lab, project: Path
) -> None:
    def writes(name: str) -> list[Step]:
        return [
            call("Write", {"path": f"{name}.py", "content": f"def made_by_{name}():\n    pass\n"}),
            calls(("Symbols", {"query": "made_by"}), ("References", {"symbol": "put"}), ("Outline", {"path": "app"})),
            say("Done."),
        ]

    reading = task("look", mode="read", agent="explorer")
    cast = Cast(
        lab,
        {
            "": [swarm(task("one"), task("two"), reading), say("Done.")],
            "one": writes("one"),
            "two": writes("two"),
            "look": [call("Read", {"symbol": "Store.put"}), say("Seen.")],
        },
    )
    ran = await lab.run()
    assert ran.exit_code == 0, ran.result
    assert not cast.left
    for name, other in (("one", "two"), ("two", "one")):
        asked = [request for request in lab.server.requests if who(request) == name][-1]
        told = result(asked)
        assert f"{name}.py:1 function made_by_{name}" in told
        assert f"made_by_{other}" not in words(asked)
        assert "app/main.py\n5: Store().put(1)  [in main]" in told
        assert "app/store.py\n" in told
    asked = [request for request in lab.server.requests if who(request) == "look"]
    assert "2\t    def put(self, value):" in result(asked[-1])
    offered = {tool["function"]["name"] for tool in asked[0].body["tools"]}
    assert {"Outline", "Symbols", "References", "Read"} <= offered
    assert "Rename" not in offered

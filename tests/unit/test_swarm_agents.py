"""Agent types: ours can be used, files of users and projects are read with care, mistakes name file and key."""

import pytest

from kimi_code.errors import ConfigError
from kimi_code.swarm.agents import builtin, gather, parse
from kimi_code.swarm.prompts import CHILD, ORCHESTRATOR, child, orchestrator

GOOD = """\
---
name: porter
description: Ports
  tests.
tools: [Read, Grep]
model: kimi-k3
---

Port it.
---
Really.
"""


def test_the_built_in_types_are_there_and_those_that_only_read_have_no_tool_that_writes() -> None:
    kinds = builtin()
    assert list(kinds) == ["coder", "debugger", "explorer", "reviewer", "tester"]
    assert all(kind.description and kind.instructions for kind in kinds.values())
    for name in ("explorer", "reviewer"):
        assert not set(kinds[name].tools) & {"Write", "Edit", "ApplyPatch"} and kinds[name].tools


def test_a_file_with_front_matter_is_a_type() -> None:
    kind = parse(GOOD, "porter.md", "project")
    assert (kind.name, kind.description, kind.tools, kind.model) == (
        "porter",
        "Ports tests.",
        ("Read", "Grep"),
        "kimi-k3",
    )
    assert kind.instructions == "Port it.\n---\nReally."
    assert kind.origin == "project"


def test_the_name_may_come_from_the_file_and_tools_from_a_line_with_commas() -> None:
    kind = parse("---\r\ndescription: x\r\ntools: Read, Grep\r\n---\r\nDo.", "agents/my-agent.md", "user")
    assert (kind.name, kind.tools, kind.instructions) == ("my-agent", ("Read", "Grep"), "Do.")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Just words.", "must begin with front matter"),
        ("---\nname: [\n---\nDo.", "is no YAML"),
        ("---\n- a\n---\nDo.", "must have a description"),
        ("---\nname: x\n---\nDo.", "the description is missing"),
        ("---\ndescription: x\ntool: Read\n---\nDo.", "the key 'tool' is not known"),
        ("---\nname: My Agent\ndescription: x\n---\nDo.", "the name 'My Agent' must be"),
        ("---\ndescription: x\ntools: {a: b}\n---\nDo.", "tools must be a list"),
        ("---\ndescription: x\nmodel: [a]\n---\nDo.", "model must be"),
        ("---\ndescription: x\ntools: [Reed]\n---\nDo.", "there is no tool 'Reed'; there are Read, Grep."),
        ("---\ndescription: x\n---\n", "the instructions are missing"),
        (f"---\ndescription: {'x' * 301}\n---\nDo.", "longer than 300"),
    ],
)
def test_a_mistake_names_the_file_and_what_is_wrong(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, "bad.md", "user", tools=["Read", "Grep"])
    assert caught.value.message.startswith("bad.md: ")
    assert said in caught.value.message


def test_the_project_goes_before_the_user_and_the_user_before_ours_and_a_bad_file_spoils_nothing() -> None:
    own = "---\nname: coder\ndescription: {}\n---\nDo."
    found = gather({"a.md": own.format("the user's"), "b.md": "bad"}, {"c.md": own.format("the project's")})
    assert found.types["coder"].description == "the project's"
    assert found.problems == ("b.md: it must begin with front matter between two lines of ---.",)
    assert "- coder: the project's\n- debugger: Finds" in found.listing()


def test_what_all_sub_agents_share_comes_first_in_their_words() -> None:
    kinds = gather({}, {})
    assert {child(kind.instructions).startswith(CHILD) for kind in kinds.types.values()} == {True}
    told = orchestrator(kinds.listing())
    assert told.startswith(ORCHESTRATOR)
    assert [name for name in kinds.types if f"\n- {name}: " not in told] == []

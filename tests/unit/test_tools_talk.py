import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from kimi_code.events import Answer, Deny, Question, TodoItem
from kimi_code.repo.search import Search
from kimi_code.tools.ask import Ask
from kimi_code.tools.background import Background
from kimi_code.tools.bash import Bash
from kimi_code.tools.edit import Edit
from kimi_code.tools.files import FileMemory
from kimi_code.tools.glob import Glob
from kimi_code.tools.grep import Grep
from kimi_code.tools.read import Read
from kimi_code.tools.todo import Todo
from kimi_code.tools.toolset import Toolset
from kimi_code.tools.write import Write
from tests.unit.toolbox import UNINDEXED, Desk, context, use


def all_tools() -> Toolset:
    files, search = FileMemory(), Search()
    return Toolset(
        [
            Read(files, UNINDEXED),
            Write(files),
            Edit(files),
            Grep(search, UNINDEXED),
            Glob(search),
            Bash(Background()),
            Todo(),
            Ask(),
        ]
    )


async def test_a_plan_is_published_whole(tmp_path: Path) -> None:
    desk = Desk()
    items = [{"text": "read", "status": "done"}, {"text": "fix", "status": "in_progress"}]
    result = await use(Todo(), context(tmp_path, desk), items=items)
    assert desk.plans == [(TodoItem("read", "done"), TodoItem("fix", "in_progress"))]
    assert result.text == "Plan updated: 1 of 2 done."
    with pytest.raises(ValidationError):
        await use(Todo(), context(tmp_path), items=[{"text": "x", "status": "someday"}])


async def test_a_question_is_answered_or_nobody_can(tmp_path: Path) -> None:
    desk = Desk(Answer("blue"))
    assert (await use(Ask(), context(tmp_path, desk), question="Colour?", options=["red", "blue"])).text == "blue"
    assert desk.asked == [Question("call_1", "Colour?", ("red", "blue"))]
    result = await use(Ask(), context(tmp_path, Desk(Deny("not now"))), question="Colour?")
    assert result.text == "Nobody can answer; decide yourself and say what you assumed. They said: not now"


def test_the_schemas_are_small_and_the_same_every_time() -> None:
    tools = all_tools()
    assert tools.schemas() is tools.schemas()
    wire = [{"name": t.name, "description": t.description, "parameters": t.parameters} for t in tools.schemas()]
    text = json.dumps(wire, separators=(",", ":"))
    assert len(text) < 4500
    assert not any(word in text for word in ('"title"', '"default"', "anyOf", "$ref", "$defs", "strict", "null"))


def test_every_property_of_every_schema_has_a_plain_type() -> None:
    def check(schema: dict[str, Any]) -> None:
        assert isinstance(schema["type"], str)
        for inner in schema.get("properties", {}).values():
            check(inner)
        if "items" in schema:
            check(schema["items"])

    for tool in all_tools().schemas():
        assert tool.description
        check(dict(tool.parameters))


def test_tools_are_found_by_name_in_the_order_given() -> None:
    tools = all_tools()
    assert list(tools) == ["Read", "Write", "Edit", "Grep", "Glob", "Bash", "Todo", "Ask"]
    assert list(tools.without("Ask", "Bash")) == ["Read", "Write", "Edit", "Grep", "Glob", "Todo"]
    assert tools["Read"].name == "Read"
    with pytest.raises(ValueError, match="two tools are named Todo"):
        Toolset([Todo(), Todo()])


def test_a_misspelt_parameter_is_refused_and_null_means_absent() -> None:
    tools = all_tools()
    with pytest.raises(ValidationError):
        tools["Read"].params.model_validate({"path": "a", "ofset": 1})
    tools["Grep"].params.model_validate({"pattern": "x", "path": None, "limit": None, "mode": None})

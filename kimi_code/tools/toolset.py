"""An ordered mapping of names to tools, and their schemas as the model gets them: as few bytes as will do."""

import inspect
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, cached_property
from typing import Any, cast

from kimi_code.llm.model import ToolSchema
from kimi_code.tools.tool import Params, Tool

Json = dict[str, Any]


class Toolset(Mapping[str, Tool]):
    """Tools by name, in the order given. Raises ValueError when two have the same name."""

    def __init__(self, tools: Iterable[Tool]) -> None:
        self._tools: dict[str, Tool] = {}
        for tool in tools:
            if tool.name in self._tools:
                raise ValueError(f"two tools are named {tool.name}")
            self._tools[tool.name] = tool

    def __getitem__(self, name: str) -> Tool:
        return self._tools[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tools)

    def __len__(self) -> int:
        return len(self._tools)

    def without(self, *names: str) -> "Toolset":
        """The same tools but for those named."""
        return Toolset(tool for name, tool in self._tools.items() if name not in names)

    def schemas(self) -> tuple[ToolSchema, ...]:
        """What the model is told; the same object every time, so that requests stay byte-stable."""
        return self._schemas

    @cached_property
    def _schemas(self) -> tuple[ToolSchema, ...]:
        return tuple(schema_of(tool) for tool in self._tools.values())


def schema_of(tool: Tool) -> ToolSchema:
    """A tool's schema: the class docstring, and the parameters with their docstrings."""
    return _schema_of(type(tool), tool.name, tool.params)


@cache
def _schema_of(kind: type[Tool], name: str, params: type[Params]) -> ToolSchema:
    # Every sub-agent has a toolset of its own, of the same few kinds of tools.
    full = params.model_json_schema()
    definitions = cast(Json, full.get("$defs", {}))
    return ToolSchema(name, _prose(inspect.getdoc(kind) or ""), _reduce(full, definitions))


def _prose(text: str) -> str:
    """Paragraphs without the line breaks of the source."""
    return "\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def _reduce(schema: Json, definitions: Json) -> Json:
    """The part of a JSON Schema that a model needs: every property has a plain `type`, nothing refers elsewhere."""
    if "$ref" in schema:
        target = definitions[str(schema["$ref"]).rpartition("/")[2]]
        schema = {**target, **{key: value for key, value in schema.items() if key != "$ref"}}
    for choice in schema.get("anyOf", ()):
        if choice.get("type") != "null":
            schema = {**choice, **{key: value for key, value in schema.items() if key != "anyOf"}}
            return _reduce(schema, definitions)
    kept: Json = {key: schema[key] for key in ("type", "enum", "required") if schema.get(key)}
    if "const" in schema:
        kept["enum"] = [schema["const"]]
    if "description" in schema and "properties" not in schema:
        kept["description"] = _prose(str(schema["description"]))
    if "properties" in schema:
        properties = cast(Json, schema["properties"])
        kept["properties"] = {name: _reduce(value, definitions) for name, value in properties.items()}
    if "items" in schema:
        kept["items"] = _reduce(cast(Json, schema["items"]), definitions)
    return kept

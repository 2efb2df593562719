"""Agent types: who a task can be given to. Markdown with front matter; ours, the user's and a trusted project's."""

import re
from collections.abc import Collection, Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Literal, cast

from kimi_code.errors import ConfigError
from kimi_code.values import frozen

MOST_TYPES = 50
_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")
_FRONT = re.compile(r"\ufeff?---[ \t]*\r?\n(.*?)^---[ \t]*(?:\r?\n|\Z)(.*)", re.DOTALL | re.MULTILINE)
_KEYS = ("name", "description", "tools", "model")
_DESCRIPTION = 300
_INSTRUCTIONS = 20_000

Origin = Literal["built-in", "user", "project"]


@frozen
class AgentType:
    """`tools` are the names of those it may call, () for all that its task's mode allows; `model` "" is the session's.

    Tools can only take away: a task of mode read is never given one that writes.
    """

    name: str
    description: str = ""
    instructions: str = ""
    tools: tuple[str, ...] = ()
    model: str = ""
    origin: Origin = "built-in"


@frozen
class Catalogue:
    """The types there are, by name, and a sentence on each file that could not be used."""

    types: Mapping[str, AgentType]
    problems: tuple[str, ...] = ()

    def listing(self) -> str:
        """A line for each type, for the orchestrator."""
        return "\n".join(f"- {kind.name}: {kind.description}" for kind in self.types.values())


def parse(text: str, where: str, origin: Origin, *, tools: Collection[str] = ()) -> AgentType:
    """The type that a Markdown file describes; its name is that of the file (`where`) unless the front matter has one.

    `tools` are the names there are; with none given any name will do.

    Raises:
        ConfigError: it has no front matter, or one that cannot be used; the file and the key are named.
    """
    import yaml

    found = _FRONT.fullmatch(text)
    if found is None:
        raise ConfigError(f"{where}: it must begin with front matter between two lines of ---.")
    try:
        loaded: object = yaml.safe_load(found[1])
    except yaml.YAMLError as error:
        raise ConfigError(f"{where}: the front matter is no YAML: {' '.join(str(error).split())}") from None
    if not isinstance(loaded, dict):
        raise ConfigError(f"{where}: the front matter must have a description.")
    front = cast("dict[object, Any]", loaded)
    name = front.get("name", where.replace("\\", "/").rpartition("/")[2].removesuffix(".md"))
    instructions = found[2].strip()
    problem = _problem(front, name, instructions)
    if problem:
        raise ConfigError(f"{where}: {problem}")
    wanted = _names(front.get("tools"))
    if tools and (unknown := [tool for tool in wanted if tool not in tools]):
        raise ConfigError(f"{where}: there is no tool {unknown[0]!r}; there are {', '.join(tools)}.")
    description = " ".join(str(front["description"]).split())
    return AgentType(name, description, instructions, wanted, str(front.get("model") or ""), origin)


def _problem(front: Mapping[object, Any], name: object, instructions: str) -> str:
    unknown = [str(key) for key in front if key not in _KEYS]
    description = front.get("description")
    if unknown:
        return f"the key {unknown[0]!r} is not known; there are {', '.join(_KEYS)}."
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        return f"the name {name!r} must be lower-case letters, digits and dashes, at most 40."
    if not isinstance(description, str) or not description.strip():
        return "the description is missing: say when to use this agent."
    if len(description) > _DESCRIPTION:
        return f"the description is longer than {_DESCRIPTION} characters."
    if not isinstance(front.get("model", ""), str | None):
        return "model must be the name of one."
    tools = front.get("tools")
    if not (tools is None or isinstance(tools, str) or _all_text(tools)):
        return "tools must be a list of names."
    if not instructions:
        return "the instructions are missing: they follow the front matter."
    return (
        f"the instructions are longer than {_INSTRUCTIONS:,} characters." if len(instructions) > _INSTRUCTIONS else ""
    )


def _all_text(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in cast("list[object]", value))


def _names(tools: str | list[str] | None) -> tuple[str, ...]:
    """A list, or names with commas between them, as other programs write them."""
    parts = tools.split(",") if isinstance(tools, str) else tools or []
    return tuple(dict.fromkeys(name.strip() for name in parts if name.strip()))


@cache
def builtin() -> Mapping[str, AgentType]:
    """The types that come with the program, by name."""
    folder = files("kimi_code.swarm") / "types"
    texts = sorted((file.name, file.read_text("utf-8")) for file in folder.iterdir() if file.name.endswith(".md"))
    return {kind.name: kind for kind in (parse(text, name, "built-in") for name, text in texts)}


def gather(user: Mapping[str, str], project: Mapping[str, str], *, tools: Collection[str] = ()) -> Catalogue:
    """Our types, then the user's, then the project's; the later of one name counts. Both map file names to their texts.

    The project's texts must be given only once the user trusts them.
    """
    types, problems = dict(builtin()), list[str]()
    for origin, texts in (("user", user), ("project", project)):
        for kind in _read(texts, cast(Origin, origin), tools, problems):
            if kind.name not in types and len(types) >= MOST_TYPES:
                problems.append(f"{kind.name}: there are {MOST_TYPES} agent types already; it was left out.")
            else:
                types[kind.name] = kind
    return Catalogue(types, tuple(problems))


def _read(texts: Mapping[str, str], origin: Origin, tools: Collection[str], problems: list[str]) -> Iterable[AgentType]:
    for where, text in sorted(texts.items()):
        try:
            yield parse(text, where, origin, tools=tools)
        except ConfigError as error:
            problems.append(error.message)

"""The tools of a session, and of a sub-agent."""

from functools import partial
from typing import TYPE_CHECKING

from kimi_code.permissions.sandbox import Sandbox
from kimi_code.repo.indexing.indexes import Indexes
from kimi_code.repo.search import Search
from kimi_code.tools.apply_patch import ApplyPatch
from kimi_code.tools.ask import Ask
from kimi_code.tools.background import Background
from kimi_code.tools.bash import Bash
from kimi_code.tools.edit import Edit
from kimi_code.tools.files import FileMemory
from kimi_code.tools.glob import Glob
from kimi_code.tools.grep import Grep
from kimi_code.tools.outline import Outline
from kimi_code.tools.read import Read
from kimi_code.tools.references import References
from kimi_code.tools.rename import Rename
from kimi_code.tools.symbols import Symbols
from kimi_code.tools.todo import Todo
from kimi_code.tools.tool import Tool
from kimi_code.tools.toolset import Toolset
from kimi_code.tools.write import Write

if TYPE_CHECKING:
    from kimi_code.repo.checkouts.isolated import Checkout


def build_toolset(
    files: FileMemory,
    background: Background,
    command_timeout: float,
    sandbox: Sandbox | None = None,
    *,
    search: Search | None = None,
    indexes: Indexes,
    attended: bool,
    patches: bool = False,
    enclosed: bool = False,
) -> Toolset:
    """The tools of a session; Ask only where somebody can answer, ApplyPatch only for models that write patches.

    `search` and `indexes` are of the tree they work in.
    """
    reading = _reading(files, search or Search(), indexes)
    tools: list[Tool] = [reading[0], Write(files), Edit(files), *reading[1:]]
    tools += [ApplyPatch(files)] if patches else []
    blocked = partial(_blocked, net=sandbox is not None and sandbox.net, enclosed=enclosed)
    tools += [Bash(background, command_timeout, blocked), Todo()]
    return Toolset([*tools, Ask()] if attended else tools)


def in_copy(files: FileMemory, tools: Toolset, checkout: "Checkout") -> Toolset:
    """The same tools, where they search or ask an index those of an isolated copy."""
    found = {tool.name: tool for tool in _reading(files, checkout.search, checkout.indexes)}
    return Toolset(found.get(tool.name, tool) for tool in tools.values())


def _reading(files: FileMemory, search: Search, indexes: Indexes) -> list[Tool]:
    """Those that know the code by more than the path of a file."""
    tools: list[Tool] = [Read(files, indexes), Grep(search, indexes), Glob(search)]
    return [*tools, Outline(indexes), Symbols(indexes), References(indexes), Rename(files, indexes)]


def _blocked(output: str, *, net: bool, enclosed: bool) -> str:
    from kimi_code.permissions.blocked import blocked

    return blocked(output, net=net, enclosed=enclosed)

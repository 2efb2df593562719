"""What a tool is given in tests: a real workspace in a temporary folder, and a front that remembers."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

from kimi_code.events import Deny, Reply, Request, TodoItem
from kimi_code.repo.indexing.indexes import Indexes
from kimi_code.repo.workspace import LocalWorkspace
from kimi_code.tools.tool import Tool, ToolContext, ToolResult

UNINDEXED = Indexes((), Path("unused"))


@dataclass
class Desk:
    """A front: answers with `reply`, keeps what it was told."""

    reply: Reply = field(default_factory=Deny)
    printed: str = ""
    asked: list[Request] = field(default_factory=list[Request])
    plans: list[tuple[TodoItem, ...]] = field(default_factory=list[tuple[TodoItem, ...]])
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def progress(self, text: str) -> None:
        self.printed += text
        self.news.set()

    async def ask(self, request: Request) -> Reply:
        self.asked.append(request)
        return self.reply

    def plan(self, items: tuple[TodoItem, ...]) -> None:
        self.plans.append(items)


def context(folder: Path, desk: Desk | None = None, call_id: str = "call_1") -> ToolContext:
    """A context whose workspace is `folder`/project; surplus output goes to `folder`/spill."""
    (folder / "project").mkdir(exist_ok=True)
    return ToolContext(LocalWorkspace(folder / "project"), folder / "spill", desk or Desk(), call_id)


async def use(tool: Tool, ctx: ToolContext, **arguments: object) -> ToolResult:
    """Run a tool as the loop does: arguments validated first."""
    return await tool.run(tool.params.model_validate(arguments), ctx)

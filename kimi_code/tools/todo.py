"""Keep the plan that a person sees."""

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field

from kimi_code.events import Block, Effect, TodoItem
from kimi_code.tools.tool import Params, ToolContext, ToolResult


class Item(Params):
    text: str
    status: Literal["pending", "in_progress", "done"]


class TodoParams(Params):
    items: list[Item] = Field(description="The whole list, each time.")


class Todo:
    """Show your plan for work of several steps, and keep its states true as you go."""

    name: ClassVar[str] = "Todo"
    effect: ClassVar[Effect] = Effect.NONE
    params: ClassVar[type[Params]] = TodoParams

    def title(self, params: TodoParams) -> str:
        current = next((item.text for item in params.items if item.status == "in_progress"), "")
        return current or f"{len(params.items)} items"

    def targets(self, params: TodoParams) -> Sequence[str]:
        return ()

    async def preview(self, params: TodoParams, ctx: ToolContext) -> Sequence[Block]:
        return ()

    async def run(self, params: TodoParams, ctx: ToolContext) -> ToolResult:
        items = tuple(TodoItem(item.text, item.status) for item in params.items)
        ctx.front.plan(items)
        done = f"{sum(item.status == 'done' for item in items)} of {len(items)} done"
        return ToolResult(f"Plan updated: {done}.", summary=done)

"""The tools by which a model has others work: Agent for one task, Swarm for many. Offered before there is a swarm.

Their schemas go with every request, so they are short, and what checks a plan is loaded when there is one.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from kimi_code.counting import counted
from kimi_code.errors import PlanError, ToolError
from kimi_code.events import Block, Effect
from kimi_code.tools.tool import Params, Tool, ToolContext, ToolResult

if TYPE_CHECKING:
    from kimi_code.swarm.control import Director
    from kimi_code.swarm.plan import Plan

Json = dict[str, Any]


class AgentParams(Params):
    name: str
    task: str = Field(description="All it needs to know: it does not see this conversation.")
    agent: str = Field(default="", description="Its type: coder, explorer, tester, debugger, reviewer.")
    mode: Literal["read", "write"] = "read"
    model: str = ""
    thinking: str = ""
    check: str = Field(default="", description="Command that must exit 0 before its work is taken.")
    budget: Json | None = None
    background: bool = False


class Agent:
    """Have a sub-agent do one task, to keep your own context for what matters: a broad search, a change in a copy that
    is then merged (mode write). Several in one message run at once; for more use Swarm."""

    name: ClassVar[str] = "Agent"
    effect: ClassVar[Effect] = Effect.DELEGATE
    params: ClassVar[type[Params]] = AgentParams

    def __init__(self, director: "Callable[[], Director]") -> None:
        self._director = director

    def title(self, params: AgentParams) -> str:
        return f"{params.name}: {_first(params.task)}"

    def targets(self, params: AgentParams) -> Sequence[str]:
        return ()

    async def preview(self, params: AgentParams, ctx: ToolContext) -> Sequence[Block]:
        return ()

    async def run(self, params: AgentParams, ctx: ToolContext) -> ToolResult:
        fields = {"task", "agent", "mode", "model", "thinking", "check"}
        task = {"id": params.name, **params.model_dump(include=fields)}
        plan = _plan({"goal": _first(params.task), "tasks": [task], "budget": params.budget})
        return await _result(self._director(), plan, params.background)


class SwarmParams(Params):
    goal: str
    tasks: list[Json] = Field(
        default_factory=list[Json],
        description="{id, task: all it needs to know, mode?: write|read, needs?: [ids it builds on], scope?: [globs it "
        "may change], check?: command that must exit 0, agent?: coder|explorer|tester|debugger|reviewer, locks?: "
        "[names], model?, thinking?, budget?, output_schema?}",
    )
    template: Json | None = Field(default=None, description="A task for each of items, with {item} in its texts.")
    items: list[str] = Field(default_factory=list)
    verify: str = Field(default="", description="Command that must exit 0 on the merged result.")
    max_parallel: int = 0
    budget: Json | None = Field(default=None, description="{tokens, cost, tool_calls, agents, seconds}, all optional.")
    background: bool = False


class Swarm:
    """Have up to 100 sub-agents work at once, each in a copy of the tree; what they change is merged, checked and given
    over as one change. Pays where many parts can be done apart; where steps build on each other or a few edits do, do
    it yourself. Cut by files; task knows only what you write in it."""

    name: ClassVar[str] = "Swarm"
    effect: ClassVar[Effect] = Effect.DELEGATE
    params: ClassVar[type[Params]] = SwarmParams

    def __init__(self, director: "Callable[[], Director]") -> None:
        self._director = director

    def title(self, params: SwarmParams) -> str:
        return f"{counted(len(params.tasks) + len(params.items), 'task')}: {_first(params.goal)}"

    def targets(self, params: SwarmParams) -> Sequence[str]:
        return ()

    async def preview(self, params: SwarmParams, ctx: ToolContext) -> Sequence[Block]:
        return ()

    async def run(self, params: SwarmParams, ctx: ToolContext) -> ToolResult:
        plan = _plan(params.model_dump(exclude={"background"}))
        return await _result(self._director(), plan, params.background)


def offered(director: "Callable[[], Director]") -> list[Tool]:
    """The tools of an agent that may have swarms."""
    return [Agent(director), Swarm(director)]


async def _result(director: "Director", plan: "Plan", background: bool) -> ToolResult:
    from kimi_code.swarm.digest import in_short

    text = await director.run(plan, background=background)
    return ToolResult(text, summary=in_short(text))


def _plan(proposed: Json) -> "Plan":
    from kimi_code.swarm.proposal import plan_of

    try:
        return plan_of(proposed, "the call")
    except PlanError as error:
        raise ToolError(str(error)) from None


def _first(text: str) -> str:
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return line if len(line) <= 80 else line[:79] + "…"

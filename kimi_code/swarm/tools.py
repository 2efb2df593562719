"""The tools that there are once a swarm is: SwarmUpdate and SwarmRead for whoever planned it, Note for its agents."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, field_validator

from kimi_code.counting import counted
from kimi_code.errors import ToolError
from kimi_code.events import Block, Effect
from kimi_code.swarm.proposal import TasksProposal
from kimi_code.tools.tool import Params, Tool, ToolContext, ToolResult

if TYPE_CHECKING:
    from kimi_code.swarm.control import Director

_MOST = 30_000  # characters of one answer of SwarmRead
_NOTE = 1_000  # characters


class SwarmUpdateParams(Params):
    swarm: str = Field(default="", description="Its id; the newest unless given.")
    add: list[dict[str, Any]] = Field(
        default_factory=list[dict[str, Any]], description="More tasks for a running swarm, as Swarm takes them."
    )

    @field_validator("add")
    @classmethod
    def _are_tasks(cls, add: list[dict[str, Any]]) -> list[dict[str, Any]]:
        # Their schema would be sent a second time with every request.
        TasksProposal.model_validate({"tasks": add})
        return add

    cancel: list[str] = Field(default_factory=list, description="Ids of tasks to stop.")
    steer: str = Field(default="", description="The id of a task at work, to whose agent `text` is said.")
    text: str = ""
    take: list[str] = Field(
        default_factory=list, description="Ids of finished tasks, what they changed outside their scope is applied."
    )
    wait: Literal["", "any", "all"] = Field(default="", description="Until one more task, or the swarm, is over.")


class SwarmUpdate:
    """Steer a swarm in the background, wait for it, or take over what its tasks changed outside their scopes."""

    name: ClassVar[str] = "SwarmUpdate"
    effect: ClassVar[Effect] = Effect.DELEGATE
    params: ClassVar[type[Params]] = SwarmUpdateParams

    def __init__(self, director: "Callable[[], Director]") -> None:
        self._director = director

    def title(self, params: SwarmUpdateParams) -> str:
        done = [
            f"add {len(params.add)}" if params.add else "",
            f"cancel {', '.join(params.cancel)}" if params.cancel else "",
            f"steer {params.steer}" if params.steer else "",
            f"take {', '.join(params.take)}" if params.take else "",
            f"wait for {params.wait}" if params.wait else "",
        ]
        return "; ".join(part for part in done if part) or "look"

    def targets(self, params: SwarmUpdateParams) -> Sequence[str]:
        return ()

    async def preview(self, params: SwarmUpdateParams, ctx: ToolContext) -> Sequence[Block]:
        return ()

    async def run(self, params: SwarmUpdateParams, ctx: ToolContext) -> ToolResult:
        director, said = self._director(), list[str]()
        if params.add:
            tasks = TasksProposal.model_validate({"tasks": params.add}).values()
            warnings = director.extend(params.swarm, tasks)
            said += [f"Added {', '.join(task.id for task in tasks)}.", *(f"Warning: {each}" for each in warnings)]
        if params.cancel:
            director.cancel(params.swarm, params.cancel)
            said.append(f"Cancelled {', '.join(params.cancel)}.")
        if params.steer:
            director.steer(params.swarm, params.steer, params.text)
            said.append(f"Told {params.steer}.")
        if params.take:
            said.append(await director.take(params.swarm, params.take))
        if params.wait:
            said.append(await director.wait(params.swarm, params.wait))
        elif not said:
            said.append(director.known.digest(params.swarm))
        return ToolResult("\n".join(said), summary=self.title(params))


class SwarmReadParams(Params):
    id: str = Field(description="The task's id.")
    what: Literal["report", "diff", "check", "log"] = "report"
    swarm: str = Field(default="", description="Its id; the newest unless given.")


class SwarmRead:
    """Read what a task of a swarm came to, in full: its report, its diff, its check's output, where its log is."""

    name: ClassVar[str] = "SwarmRead"
    effect: ClassVar[Effect] = Effect.READ
    params: ClassVar[type[Params]] = SwarmReadParams

    def __init__(self, director: "Callable[[], Director]") -> None:
        self._director = director

    def title(self, params: SwarmReadParams) -> str:
        return f"{params.what} of {params.id}"

    def targets(self, params: SwarmReadParams) -> Sequence[str]:
        return ()

    async def preview(self, params: SwarmReadParams, ctx: ToolContext) -> Sequence[Block]:
        return ()

    async def run(self, params: SwarmReadParams, ctx: ToolContext) -> ToolResult:
        text = await self._director().known.read(params.swarm, params.id, params.what)
        if len(text) <= _MOST:
            return ToolResult(text or "(nothing)")
        path = ctx.spill / f"{ctx.call_id}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", errors="replace")
        return ToolResult(f"{text[:_MOST]}\n[{len(text):,} characters in all: {path}]")


class NoteParams(Params):
    topic: str
    text: str = Field(description="A fact that others need now; at most 1,000 characters.")


class Note:
    """Tell the other agents at work on this what they have to know before they are done: a thing that moved, a trap."""

    name: ClassVar[str] = "Note"
    effect: ClassVar[Effect] = Effect.NONE
    params: ClassVar[type[Params]] = NoteParams

    def __init__(self, tell: Callable[[str, str], int]) -> None:
        """`tell` takes the topic and the text, and returns how many hear it."""
        self._tell = tell

    def title(self, params: NoteParams) -> str:
        return params.topic

    def targets(self, params: NoteParams) -> Sequence[str]:
        return ()

    async def preview(self, params: NoteParams, ctx: ToolContext) -> Sequence[Block]:
        return ()

    async def run(self, params: NoteParams, ctx: ToolContext) -> ToolResult:
        if len(params.text) > _NOTE:
            raise ToolError(f"A note may have {_NOTE:,} characters, this one has {len(params.text):,}. Say it shorter.")
        heard = self._tell(" ".join(params.topic.split())[:80], params.text)
        return ToolResult(f"Told {counted(heard, 'agent')}.", summary=f"to {heard}")


def steering(director: "Callable[[], Director]") -> list[Tool]:
    """What an agent gets with its first swarm."""
    return [SwarmUpdate(director), SwarmRead(director)]

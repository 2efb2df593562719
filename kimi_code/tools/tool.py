"""What a tool is, and what it is given to work with."""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict

from kimi_code.events import AllowEdited, AllowHunks, Block, Effect, Reply, Request, TodoItem
from kimi_code.messages import Image
from kimi_code.repo.workspace import Workspace
from kimi_code.values import frozen


class Params(BaseModel):
    """Base of every tool's parameters: unknown fields are refused, so that a model's typo is not silently ignored."""

    model_config = ConfigDict(extra="forbid")

    def wants_freedom(self) -> bool:
        """Whether the call asks to run unconfined, which is decided on as if nothing could be confined."""
        return False

    def edited(self, text: str) -> "Params | None":
        """The call with `text` as the command it runs; None where it runs none."""
        return None


@frozen
class ToolResult:
    """`text` is for the model, `summary` (a few words) and `blocks` are for the person.

    `images` follow the results of the step, for a model that sees them.
    `ok` is false when the call did what was asked and that came out badly, such as a command that failed.
    """

    text: str
    summary: str = ""
    blocks: tuple[Block, ...] = ()
    ok: bool = True
    images: tuple[Image, ...] = ()


class Front(Protocol):
    """What a tool may ask of the session that runs it."""

    def progress(self, text: str) -> None:
        """Show output of the running call."""
        ...

    async def ask(self, request: Request) -> Reply:
        """Ask somebody outside; a Deny when nobody can answer."""
        ...

    def plan(self, items: tuple[TodoItem, ...]) -> None:
        """Publish the rewritten plan."""
        ...


async def blind() -> bool:
    """No images can be shown."""
    return False


@frozen
class ToolContext:
    """What every call gets. `spill` is the session's folder for outputs too long to show to the model.

    `may_read` says of a resolved path whether it may be shown without asking: searches leave out what may not.
    `confined` says that the call was allowed on the condition that what it starts runs in the sandbox.
    `approved` is what of its changes the user agreed to, where that is less or something else than was shown.
    `targets` are what it was allowed for. `sees` says that the model can be shown images.
    """

    workspace: Workspace
    spill: Path
    front: Front
    call_id: str
    may_read: Callable[[Path], bool] = lambda _: True
    confined: bool = False
    approved: AllowHunks | AllowEdited | None = None
    targets: tuple[str, ...] = ()
    sees: Callable[[], Awaitable[bool]] = blind


class Tool(Protocol):
    """A capability of the agent. An implementation's class docstring is the description the model reads."""

    name: ClassVar[str]
    effect: ClassVar[Effect]
    params: ClassVar[type[Params]]

    def title(self, params: Any) -> str:
        """What the card says before it runs: the path, the command, the pattern; one line."""
        ...

    def targets(self, params: Any) -> Sequence[str]:
        """What permission rules are matched against: the paths as given, or the command line."""
        ...

    async def preview(self, params: Any, ctx: ToolContext) -> Sequence[Block]:
        """What an approval shows: a diff, a command. Must change nothing."""
        ...

    async def run(self, params: Any, ctx: ToolContext) -> ToolResult:
        """Do it. Raises ToolError for what the model can mend; anything else is a bug."""
        ...


@runtime_checkable
class FindsTargets(Protocol):
    """A tool that knows what it would touch only once it has looked."""

    async def find_targets(self, params: Any, ctx: ToolContext) -> Sequence[str]:
        """What permission rules are matched against, in place of `targets`. Raises ToolError when it cannot be done."""
        ...


@runtime_checkable
class KnowsWhenDone(Protocol):
    """A tool that sees beforehand that a call would change nothing."""

    async def done_already(self, params: Any, ctx: ToolContext) -> ToolResult | None:
        """The result of a call for which there is nothing to do: nobody is asked, and no checkpoint is taken for it."""
        ...

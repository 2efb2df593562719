"""What a turn runs with: the model, the context, the tools and their rules, and the ways out."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from kimi_code.agent.budget import Budget, Limits, Spent
from kimi_code.agent.call import CallScope
from kimi_code.agent.context import Context
from kimi_code.events import Event, TodoItem
from kimi_code.llm.model import Model, Thinking

if TYPE_CHECKING:
    from kimi_code.agent.stages import Stage
    from kimi_code.repo.checkpoint import Checkpoints


async def _nothing() -> None:
    pass


@dataclass(slots=True)
class Agent:
    """One per session; what lasts from turn to turn is in `context` and `plan`.

    `preface` describes the surroundings afresh, for a prompt ("" when there is none); `introduced` says that this
    process has told the model already.
    `stages` are what a turn goes through before its first step and after its last one, in order.
    `checkpoints` opens those of the folder, once; None where there are none.
    `touched` are the files changed so far.
    `said` are notices that need no repeating. `forget` makes the tools forget what the model has read.
    `check` raises KimiError when the session cannot go on (its journal cannot be written). `spent`: what it has spent.
    `budget` is that of the running turn, and `before_change` is to be called before anything changes the user's files.
    `retry_base` is the first wait in seconds; each further one doubles. Setting `hurry` ends the present wait.
    `linger`, where something runs in the background, waits for its end and tells what the model must hear of it ("" for
    nothing); `spoken_to` is set when the user says something meanwhile.
    `permissions` says in words for the model what runs; `notes` are what it must be told with the next prompt.
    """

    model: Model
    context: Context
    scope: CallScope
    preface: Callable[[str], Awaitable[str]]
    limits: Limits = field(default_factory=Limits)
    thinking: Thinking | None = None
    max_retries: int = 5
    retry_base: float = 0.5
    checkpoints: "Callable[[], Checkpoints] | None" = None
    plan: tuple[TodoItem, ...] = ()
    touched: Callable[[], Sequence[str]] = tuple
    introduced: bool = False
    said: set[str] = field(default_factory=set[str])
    forget: Callable[[], None] = lambda: None
    check: Callable[[], None] = lambda: None
    spent: Callable[[], Spent] = Spent
    crash_file: Path | None = None
    stages: "tuple[Stage, ...]" = ()
    budget: Budget | None = None
    before_change: Callable[[], Awaitable[None]] = _nothing
    permissions: Callable[[], str] = lambda: ""
    notes: list[str] = field(default_factory=list[str])
    hurry: asyncio.Event = field(default_factory=asyncio.Event)
    linger: Callable[[], Awaitable[str]] | None = None
    spoken_to: asyncio.Event = field(default_factory=asyncio.Event)

    def new_budget(self) -> Budget:
        """For a turn, or for a request outside of turns."""
        return Budget(self.limits, self.model.profile.price, self.spent())

    @property
    def publish(self) -> Callable[[Event], object]:
        return self.scope.publish

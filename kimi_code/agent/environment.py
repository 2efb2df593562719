"""What a turn runs with: the model, the context, the tools and their rules, and the ways out."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from kimi_code.agent.budget import Limits
from kimi_code.agent.call import CallScope
from kimi_code.agent.context import Context
from kimi_code.events import Event, TodoItem
from kimi_code.llm.model import Model, Thinking
from kimi_code.repo.snapshot import Snapshots


@dataclass(slots=True)
class Agent:
    """One per session; what lasts from turn to turn is in `context` and `plan`.

    `preface` describes the surroundings afresh; `introduced` says that this process has told the model already.
    `check` raises KimiError when the session cannot go on (its journal cannot be written).
    `retry_base` is the first wait in seconds; each further one doubles. Setting `hurry` ends the present wait.
    `permissions` says in words for the model what runs; `notes` are what it must be told with the next prompt.
    """

    model: Model
    context: Context
    scope: CallScope
    preface: Callable[[], Awaitable[str]]
    limits: Limits = field(default_factory=Limits)
    thinking: Thinking | None = None
    max_retries: int = 5
    retry_base: float = 0.5
    snapshots: Snapshots | None = None
    plan: tuple[TodoItem, ...] = ()
    introduced: bool = False
    check: Callable[[], None] = lambda: None
    crash_file: Path | None = None
    permissions: Callable[[], str] = lambda: ""
    notes: list[str] = field(default_factory=list[str])
    hurry: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def publish(self) -> Callable[[Event], object]:
        return self.scope.publish

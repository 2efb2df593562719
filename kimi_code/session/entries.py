"""What a conversation consists of, as it is shown: words, thoughts, answers, tool cards, notes, ends of turns.

Those that go on for a while (Thought, Answer, Card, Retry) change in place until they are over.
"""

from dataclasses import dataclass, field
from typing import Literal

from kimi_code.events import Block, CallStatus, FileChange, Outcome, TodoItem
from kimi_code.messages import Usage
from kimi_code.values import frozen

CardState = Literal["asked", "running"] | CallStatus


@frozen
class Words:
    """What the user said; `steer` when it was said to a running turn, `undone` when its turn was taken back."""

    text: str
    turn: int
    steer: bool = False
    undone: bool = False


@dataclass(slots=True)
class Thought:
    """The reasoning of one step; `seconds` is None where nobody measured it."""

    pieces: list[str]
    began: float
    done: bool = False
    seconds: float | None = None
    void: bool = False

    @property
    def text(self) -> str:
        return "".join(self.pieces)


@dataclass(slots=True)
class Answer:
    """The Markdown of one step, in the pieces it came in; `void` when the step was tried again."""

    pieces: list[str]
    done: bool = False
    void: bool = False

    @property
    def text(self) -> str:
        return "".join(self.pieces)


@dataclass(slots=True)
class Card:
    """One tool call. `result` is what the model was told, `output` the end of what a running command printed,
    `items` the plan that it wrote."""

    call_id: str
    tool: str
    title: str
    state: CardState
    began: float
    reason: str = ""
    summary: str = ""
    output: str = ""
    result: str = ""
    blocks: tuple[Block, ...] = ()
    items: tuple[TodoItem, ...] = ()
    seconds: float = 0.0

    @property
    def over(self) -> bool:
        return self.state not in ("asked", "running")


@dataclass(slots=True)
class Retry:
    """A request that failed and is made again at `at` + `wait` (Unix time, seconds); `over` once it was."""

    attempt: int
    wait: float
    reason: str
    at: float
    over: bool = False


@frozen
class Compaction:
    """The history was replaced by a shorter one; in tokens."""

    before: int
    after: int


@frozen
class Note:
    """Something to know; `told` when it was said to the model, not to the person."""

    level: Literal["info", "warning", "error"]
    text: str
    told: bool = False


@frozen
class Ending:
    """The last line of a turn; `seconds` is None where its beginning is not known."""

    turn: int
    outcome: Outcome
    error: str
    seconds: float | None
    steps: int
    tool_calls: int
    usage: Usage
    cost_usd: float | None
    files: tuple[FileChange, ...] = field(default=())


@frozen
class Gone:
    """In the place of an entry of a turn that was taken back."""

    entry: "Entry"


Entry = Gone | Words | Thought | Answer | Card | Retry | Compaction | Note | Ending

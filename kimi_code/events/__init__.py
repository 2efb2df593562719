"""Everything an agent can say: a closed union of frozen values that can be stored, replayed and sent elsewhere.

Each docstring states the event's place in the order. `Record` stamps an event once; the session's bus does it.
"""

from collections.abc import Mapping
from dataclasses import field
from typing import Literal

from kimi_code.events.blocks import Block, Change, Diff, Hunk, Output, Text
from kimi_code.events.outcomes import CallStatus, Effect, FileChange, Outcome, TodoItem
from kimi_code.events.requests import (
    Allow,
    AllowEdited,
    AllowHunks,
    Answer,
    Approval,
    CommandPart,
    Deny,
    Question,
    Reply,
    Request,
)
from kimi_code.events.swarms import (
    AgentFinished,
    AgentSpawned,
    AgentWaiting,
    PlannedTask,
    SwarmEnded,
    SwarmMetrics,
    SwarmPlanned,
    TaskState,
    TaskStateChanged,
    Waiting,
)
from kimi_code.messages import Message, Usage
from kimi_code.values import frozen

__all__ = [
    "AgentFinished",
    "AgentSpawned",
    "AgentWaiting",
    "Allow",
    "AllowEdited",
    "AllowHunks",
    "Answer",
    "Approval",
    "Block",
    "CallStatus",
    "Change",
    "CheckpointCreated",
    "CommandPart",
    "CommitCreated",
    "ContextCompacted",
    "Deny",
    "Diff",
    "Effect",
    "Event",
    "FileChange",
    "Hunk",
    "MessageCompleted",
    "Notice",
    "Outcome",
    "Output",
    "PlanUpdated",
    "PlannedTask",
    "Question",
    "Record",
    "Reply",
    "Request",
    "RequestClosed",
    "RequestOpened",
    "SessionForked",
    "SessionOpened",
    "SessionRenamed",
    "StepEnded",
    "StepRetried",
    "StepStarted",
    "SwarmEnded",
    "SwarmMetrics",
    "SwarmPlanned",
    "TaskState",
    "TaskStateChanged",
    "Text",
    "TextDelta",
    "ThoughtDelta",
    "TodoItem",
    "ToolEnded",
    "ToolProgressed",
    "ToolStarted",
    "TurnEnded",
    "TurnRedone",
    "TurnReviewed",
    "TurnStarted",
    "TurnUndone",
    "UsageAdded",
    "Waiting",
]


@frozen
class SessionOpened:
    """First of every process that opens the session; `resumed` when earlier records exist."""

    session_id: str
    cwd: str
    model: str
    permission_mode: str
    version: str
    resumed: bool = False


@frozen
class SessionRenamed:
    """The person gave the session another title; between turns or inside one."""

    title: str


@frozen
class SessionForked:
    """All before this is another session's history, which goes on by itself; what was spent there counts there."""

    session_id: str


@frozen
class TurnStarted:
    """A prompt begins a turn; turns count from 1 over the session's life. TurnEnded follows, always."""

    turn: int
    prompt: str


@frozen
class TurnEnded:
    """Last of a turn. `text` is the final answer, `error` why it did not succeed, for a person.

    `output` is the answer parsed, where a JSON Schema was asked for and the answer fits it.
    """

    turn: int
    outcome: Outcome
    text: str = ""
    error: str = ""
    output: object = None
    steps: int = 0
    tool_calls: int = 0
    usage: Usage = field(default_factory=Usage)
    cost_usd: float | None = None
    files_changed: tuple[FileChange, ...] = ()


@frozen
class StepStarted:
    """A request to the model is about to be made; steps count from 1 in each turn."""

    step: int


@frozen
class StepEnded:
    """The step's answer is complete and its tool calls have ended; `context_used` is in tokens."""

    step: int
    usage: Usage
    context_used: int


@frozen
class StepRetried:
    """The request failed and is made again after `wait` seconds: the step's deltas so far are void."""

    attempt: int
    wait: float
    reason: str


@frozen
class ThoughtDelta:
    """A piece of reasoning, between StepStarted and MessageCompleted; not kept in the journal."""

    text: str


@frozen
class TextDelta:
    """A piece of the answer, between StepStarted and MessageCompleted; not kept in the journal."""

    text: str


@frozen
class MessageCompleted:
    """A message entered the history: the fold of these, of ContextCompacted, TurnUndone and TurnRedone."""

    message: Message


@frozen
class ToolStarted:
    """A call passed its checks and runs now; ToolEnded with the same call_id follows."""

    call_id: str
    tool: str
    title: str
    effect: Effect
    params: Mapping[str, object]


@frozen
class ToolProgressed:
    """Output of a running call, as it comes; not kept in the journal."""

    call_id: str
    text: str


@frozen
class ToolEnded:
    """A call is over; also of calls that never started (denied, invalid). Its tool message follows in call order."""

    call_id: str
    tool: str
    title: str
    status: CallStatus
    summary: str = ""
    blocks: tuple[Block, ...] = ()
    duration_s: float = 0.0


@frozen
class RequestOpened:
    """Somebody outside must reply; the slot for the reply exists before this is seen."""

    request_id: str
    request: Request


@frozen
class RequestClosed:
    """The reply, or the withdrawal (a Deny) when the turn ended first."""

    request_id: str
    reply: Reply


@frozen
class PlanUpdated:
    """The agent rewrote its plan; the whole of it."""

    items: tuple[TodoItem, ...]


@frozen
class CheckpointCreated:
    """The working tree was saved: between TurnStarted and TurnEnded, before anything of the step was done.

    Comes only when something had changed; `files` are the changes since the checkpoint before, whoever made them.
    """

    checkpoint_id: str
    label: str
    files: tuple[FileChange, ...] = ()


@frozen
class TurnUndone:
    """The user took back a turn; never while one runs. `files` were put back as they were before it.

    With `conversation` the history and the plan are again what they were when the turn began.
    """

    turn: int
    files: tuple[FileChange, ...] = ()
    conversation: bool = True


@frozen
class TurnRedone:
    """The last TurnUndone of this turn no longer holds; impossible once a new turn has begun."""

    turn: int
    files: tuple[FileChange, ...] = ()
    conversation: bool = True


@frozen
class ContextCompacted:
    """The history was replaced by `messages`; between two steps, or inside one after ContextFull."""

    before_tokens: int
    after_tokens: int
    messages: tuple[Message, ...]


@frozen
class UsageAdded:
    """What a session paid outside of turns that ended: a question beside the conversation, a compaction that was asked
    for, or the steps of a turn that something killed, which the next process tells. `cost_usd` as in TurnEnded."""

    why: Literal["aside", "compaction", "unended"]
    usage: Usage
    cost_usd: float | None = None


@frozen
class TurnReviewed:
    """What a turn made in an isolated copy was decided on, before TurnEnded; not there when it made nothing.

    `files` are what it made, relative to the top of the working tree, and `patch` is the file that holds all of it, as
    `git apply` takes it. `problems` say why it was not applied: a path and a sentence each.
    """

    status: Literal["applied", "declined", "conflict", "refused"]
    files: tuple[FileChange, ...]
    patch: str
    problems: tuple[str, ...] = ()


@frozen
class CommitCreated:
    """The agent's changes were committed, before TurnEnded; `branch` is "" where HEAD is detached.

    `left_out` are files whose changes are not part of it: a path and the reason each.
    """

    commit: str
    branch: str
    message: str
    files: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


@frozen
class Notice:
    """Something a person should know; never needed to follow the work."""

    level: Literal["info", "warning", "error"]
    text: str


Event = (
    SessionOpened
    | SessionRenamed
    | SessionForked
    | TurnStarted
    | TurnEnded
    | StepStarted
    | StepEnded
    | StepRetried
    | ThoughtDelta
    | TextDelta
    | MessageCompleted
    | ToolStarted
    | ToolProgressed
    | ToolEnded
    | RequestOpened
    | RequestClosed
    | PlanUpdated
    | CheckpointCreated
    | TurnUndone
    | TurnRedone
    | ContextCompacted
    | UsageAdded
    | TurnReviewed
    | CommitCreated
    | SwarmPlanned
    | TaskStateChanged
    | SwarmEnded
    | AgentSpawned
    | AgentWaiting
    | AgentFinished
    | Notice
)


@frozen
class Record:
    """An event with its place: `seq` counts up from 1 in a session, `agent` is a path ("main"), `at` is Unix time."""

    seq: int
    agent: str
    at: float
    event: Event

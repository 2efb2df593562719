"""Everything an agent can say: a closed union of frozen values that can be stored, replayed and sent elsewhere.

Each docstring states the event's place in the order. `Record` stamps an event once; the session's bus does it.
"""

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum
from typing import Literal

from kimi_code.messages import Message, Usage
from kimi_code.values import frozen

# --- Blocks: what a person sees of a tool's work -----------------------------------------------------------------


@frozen
class Text:
    """Words for a person, never markup."""

    text: str
    kind: Literal["text"] = "text"


@frozen
class Hunk:
    """Lines of a unified diff: each starts with ' ', '-' or '+'; starts count from 1.

    `id` names it in a reply to an approval. It follows from the path, the place in the old text and the content, never
    from other hunks, so that it holds when those are left out. A hunk without one goes with its whole file. Where
    it has several runs of changed lines, each can be named too: the id of the hunk, a dot, and its number from 1.
    """

    old_start: int
    new_start: int
    lines: tuple[str, ...]
    id: str = field(default="", compare=False)


Change = Literal["created", "modified", "deleted", "renamed"]


@frozen
class Diff:
    """A change to one file; `path` is relative to the workspace where it can be.

    `id` names the whole of it in a reply to an approval. `detail` says what lines cannot show: a mode, a symlink, that
    the file is binary.
    """

    path: str
    change: Change
    added: int
    removed: int
    hunks: tuple[Hunk, ...] = ()
    detail: str = ""
    id: str = field(default="", compare=False)
    kind: Literal["diff"] = "diff"


@frozen
class Output:
    """What a command printed; `exit_code` is None while it runs or when it was killed."""

    command: str
    text: str
    exit_code: int | None
    kind: Literal["output"] = "output"


Block = Text | Diff | Output

# --- Requests: what only somebody outside can answer -------------------------------------------------------------


@frozen
class CommandPart:
    """One simple command or redirection of a command line, and why it may run or is asked for."""

    text: str
    decision: Literal["allow", "ask", "deny"]
    reason: str


@frozen
class Approval:
    """May this call run? `reason` says why it is asked, `blocks` show what it would do.

    `rules` are those that would allow exactly this; () when none can be that narrow. `tool` is "" for the changes of a
    whole turn (`--review turn`), where `call_id` is "" too. `parts` are those of a command line, in order.
    """

    call_id: str
    tool: str
    title: str
    reason: str
    blocks: tuple[Block, ...] = ()
    rules: tuple[str, ...] = ()
    parts: tuple[CommandPart, ...] = ()
    kind: Literal["approval"] = "approval"


@frozen
class Question:
    """The model asks the person; `options` may be empty for a free answer.

    `details` say what each option means, in their order, "" where there is nothing to say. With `several`, an answer
    can be more than one of them, a line each.
    """

    call_id: str
    text: str
    options: tuple[str, ...] = ()
    details: tuple[str, ...] = ()
    several: bool = False
    kind: Literal["question"] = "question"


@frozen
class Allow:
    """Reply to an Approval: run it. `remember` grants the approval's own rules, no others, for how long it says."""

    remember: Literal["", "session", "always"] = ""
    kind: Literal["allow"] = "allow"


@frozen
class AllowHunks:
    """Reply to an Approval that shows diffs: only these, by the ids of hunks, parts, whole diffs; none is a denial."""

    ids: tuple[str, ...]
    words: str = ""
    kind: Literal["allow_hunks"] = "allow_hunks"


@frozen
class AllowEdited:
    """Reply to an Approval that shows diffs: `text` as the whole content of `path` instead, all else as proposed.

    `path` is as the diff has it; "" where the approval shows one file only. Of a command it is the command that runs
    in place of the one that was asked for.
    """

    text: str
    path: str = ""
    kind: Literal["allow_edited"] = "allow_edited"


@frozen
class Deny:
    """Reply to an Approval or a Question: do not; `words` are for the model."""

    words: str = ""
    kind: Literal["deny"] = "deny"


@frozen
class Answer:
    """Reply to a Question."""

    text: str
    kind: Literal["answer"] = "answer"


Request = Approval | Question
Reply = Allow | AllowHunks | AllowEdited | Deny | Answer

# --- Outcomes -----------------------------------------------------------------------------------------------------


class Outcome(StrEnum):
    """How a turn ended."""

    DONE = "done"
    FAILED = "failed"
    VERIFY_FAILED = "verify_failed"
    INVALID_OUTPUT = "invalid_output"
    BUDGET = "budget_exceeded"
    AUTH = "auth_failed"
    UNAVAILABLE = "unavailable"
    CONFLICT = "conflict"
    COMMIT_FAILED = "commit_failed"
    PARTIAL = "partial"  # a swarm of the turn came to its end in part
    INTERRUPTED = "interrupted"


class Effect(StrEnum):
    """What a tool can do to the world; decides what must be asked."""

    READ = "read"
    EDIT = "edit"
    EXECUTE = "execute"
    DELEGATE = "delegate"  # others do it, under rules of their own
    NONE = "none"


CallStatus = Literal["done", "failed", "denied", "invalid", "interrupted"]


@frozen
class FileChange:
    """A file that differs from the turn's beginning; added and removed count lines (0 for binary files)."""

    path: str
    change: Change
    added: int = 0
    removed: int = 0


@frozen
class TodoItem:
    """One line of the agent's plan."""

    text: str
    status: Literal["pending", "in_progress", "done"] = "pending"


# --- Events -------------------------------------------------------------------------------------------------------


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


class TaskState(StrEnum):
    """Where a task of a swarm is; `kimi_code.swarm.states` says which may follow which."""

    WAITING = "waiting"  # for the tasks it needs
    READY = "ready"  # for a free place
    RUNNING = "running"
    CHECKING = "checking"
    MERGING = "merging"  # queued for the merge, or in it
    MERGED = "merged"  # its changes are in
    DONE = "done"  # it changed nothing, or was to change nothing
    FAILED = "failed"
    BLOCKED = "blocked"  # a task it needs came to nothing
    CANCELLED = "cancelled"  # by the orchestrator or the person
    STOPPED = "stopped"  # the budget, or the swarm, ended first; a resumed swarm goes on with it


@frozen
class PlannedTask:
    """A task as a person sees it before it starts."""

    id: str
    task: str
    agent: str
    mode: Literal["read", "write"]
    needs: tuple[str, ...] = ()
    scope: tuple[str, ...] = ()


@frozen
class SwarmPlanned:
    """A swarm is about to start, or grew: the whole plan, and what it warns of. SwarmEnded follows, always."""

    swarm_id: str
    goal: str
    tasks: tuple[PlannedTask, ...]
    max_parallel: int
    warnings: tuple[str, ...] = ()


@frozen
class TaskStateChanged:
    """A task of a swarm moved on, after its SwarmPlanned. Attempts count from 1; `worker` is the path that does it."""

    swarm_id: str
    task_id: str
    state: TaskState
    attempt: int
    worker: str = ""
    reason: str = ""


@frozen
class Waiting:
    """Seconds that agents waited, summed over all of them, by cause."""

    rate_limit: float = 0.0
    lock: float = 0.0
    cpu: float = 0.0
    merge: float = 0.0
    person: float = 0.0
    place: float = 0.0  # ready, but as many agents were at work as may be


@frozen
class SwarmMetrics:
    """What a swarm was worth; `kimi_code.swarm.metrics` defines each number. Times in seconds, pauses left out.

    Costs are US dollars, None when the price of a model is not known. `verdicts` are sentences.
    """

    tasks: int = 0
    started: int = 0
    finished: int = 0
    useful: int = 0
    agents_at_once: int = 0
    total_steps: int = 0
    critical_steps: int = 0
    tool_calls: int = 0
    parallelism: float = 0.0
    wall_s: float = 0.0
    serial_s: float = 0.0
    speed_up: float = 0.0
    efficiency: float = 0.0
    finish_rate: float = 0.0
    useful_rate: float = 0.0
    usage: Usage = field(default_factory=Usage)
    cost_usd: float | None = None
    cost_per_task: float | None = None
    waiting: Waiting = field(default_factory=Waiting)
    verdicts: tuple[str, ...] = ()


@frozen
class SwarmEnded:
    """Last of a swarm: "done" when every task came to something, "failed" when none did, "stopped" if it can go on."""

    swarm_id: str
    outcome: Literal["done", "partial", "failed", "cancelled", "stopped"]
    metrics: SwarmMetrics = field(default_factory=SwarmMetrics)


@frozen
class AgentSpawned:
    """A sub-agent begins: the first record under its path, the record's `agent`. AgentFinished follows, always.

    `task_id` is "" for an agent of no swarm, `isolation` says how it is kept apart ("" where it may only read).
    """

    task: str
    agent_type: str
    mode: Literal["read", "write"]
    model: str
    task_id: str = ""
    isolation: str = ""


@frozen
class AgentWaiting:
    """A sub-agent has been waiting for a while: for the provider's rate limit, or a core for a command. "" ends it.

    What else keeps it is told by other records: the state of its task, and the requests under its path.
    """

    cause: Literal["rate_limit", "cpu", ""]


@frozen
class AgentFinished:
    """Last record under a sub-agent's path; `text` is what it reported, in its own words: a claim, not evidence."""

    outcome: Outcome
    text: str = ""
    error: str = ""
    steps: int = 0
    tool_calls: int = 0
    usage: Usage = field(default_factory=Usage)
    cost_usd: float | None = None
    files_changed: tuple[FileChange, ...] = ()


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

"""What swarms look like while they run: records folded into a row for each task, as plain data. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from kimi_code.events import (
    AgentFinished,
    AgentSpawned,
    AgentWaiting,
    PlannedTask,
    Question,
    Record,
    RequestClosed,
    RequestOpened,
    SessionOpened,
    StepEnded,
    StepRetried,
    StepStarted,
    SwarmEnded,
    SwarmMetrics,
    SwarmPlanned,
    TaskState,
    TaskStateChanged,
    TextDelta,
    ToolEnded,
    ToolStarted,
)

_OVER = frozenset(
    {
        TaskState.MERGED,
        TaskState.DONE,
        TaskState.FAILED,
        TaskState.BLOCKED,
        TaskState.CANCELLED,
        TaskState.STOPPED,
    }
)


@dataclass(slots=True)
class Row:
    """A task now. `agent` is the path of who works on it, whose own transcript is its records; times are Unix time.

    `doing` is what the agent does, in a few words, `asks` what it asks the person for; `waits` for what: "rate limit",
    "slow start", "core", "person", "place" (or a lock), "merge", "" when it does not. `requests` are those waiting for
    the person's reply. `tokens` and `tool_calls` are of all its attempts.
    """

    plan: PlannedTask
    state: TaskState = TaskState.WAITING
    attempt: int = 1
    agent: str = ""
    reason: str = ""
    doing: str = ""
    since: float = 0.0
    started: float | None = None
    ended: float | None = None
    tokens: int = 0
    tool_calls: int = 0
    cost_usd: float | None = None
    requests: list[str] = field(default_factory=list[str])
    asks: str = ""
    held: str = ""

    @property
    def over(self) -> bool:
        """Whether nothing happens to it by itself any more."""
        return self.state in _OVER

    @property
    def waits(self) -> str:
        """For what it waits."""
        if self.requests:
            return "person"
        if self.state is TaskState.READY:
            return "place"
        return "merge" if self.state is TaskState.MERGING else self.held


@dataclass(slots=True)
class Board:
    """One swarm. `owner` is the path of the agent that has it, `outcome` "" while it runs, then there are `metrics`."""

    id: str
    owner: str
    goal: str
    rows: dict[str, Row]
    at_once: int
    warnings: tuple[str, ...]
    began: float
    ended: float | None = None
    outcome: str = ""
    metrics: SwarmMetrics | None = None

    @property
    def done(self) -> int:
        """How many tasks are over."""
        return sum(row.over for row in self.rows.values())

    @property
    def tokens(self) -> int:
        return sum(row.tokens for row in self.rows.values())

    def left(self, now: float) -> float | None:
        """About how many seconds it still takes: by the tasks that are over; None before the first one is."""
        took = [row.ended - row.started for row in self.rows.values() if row.ended and row.started]
        if self.outcome or not took:
            return 0.0 if self.outcome else None
        each = sum(took) / len(took)
        open_ones = [row for row in self.rows.values() if not row.over]
        work = sum(max(each - (now - row.started), each / 10) if row.started else each for row in open_ones)
        longest = each if any(row.started is None for row in open_ones) else 0.0
        return max(work / max(min(self.at_once, len(open_ones)), 1), longest)


class SwarmBoards:
    """All swarms of a session's records, in the order they were planned; feed it every record."""

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self.boards: dict[str, Board] = {}
        self._of_agent: dict[str, Row] = {}
        for record in records:
            self.apply(record)

    @property
    def running(self) -> Mapping[str, Board]:
        """Those that are not over."""
        return {id: board for id, board in self.boards.items() if not board.outcome}

    def apply(self, record: Record) -> bool:
        """Take one record in; whether anything that is shown changed."""
        match record.event:
            case SwarmPlanned():
                self._plan(record.event, record)
            case TaskStateChanged():
                self._move(record.event, record)
            case SwarmEnded(swarm_id=id, outcome=outcome) if id in self.boards:
                board = self.boards[id]
                board.outcome, board.ended, board.metrics = outcome, record.at, record.event.metrics
            case SessionOpened():
                self._left_behind(record.at)
            case AgentSpawned(task_id=task_id):
                self._place(task_id, record)
            case _:
                row = self._of_agent.get(record.agent)
                return row is not None and _follow(row, record)
        return True

    def _left_behind(self, at: float) -> None:
        """Another process begins: what ran in the one before does not."""
        for board in self.running.values():
            board.outcome, board.ended = "stopped", at
            for row in board.rows.values():
                if not row.over:
                    row.state, row.ended, row.doing, row.held = TaskState.STOPPED, at, "", ""
                row.requests = []

    def _plan(self, event: SwarmPlanned, record: Record) -> None:
        before = self.boards.get(event.swarm_id)
        rows = dict(before.rows) if before else {}
        for task in event.tasks:
            rows.setdefault(task.id, Row(task, since=record.at))
        began = before.began if before else record.at
        self.boards[event.swarm_id] = Board(
            event.swarm_id, record.agent, event.goal, rows, event.max_parallel, event.warnings, began
        )

    def _move(self, event: TaskStateChanged, record: Record) -> None:
        board = self.boards.get(event.swarm_id)
        row = board.rows.get(event.task_id) if board else None
        if row is None:
            return
        row.state, row.attempt, row.reason, row.since = event.state, event.attempt, event.reason, record.at
        row.agent = event.worker or row.agent
        if row.started is None and event.state is TaskState.RUNNING:
            row.started = record.at
        row.ended = record.at if row.over else None
        if row.state is not TaskState.RUNNING:
            row.doing = ""

    def _place(self, task_id: str, record: Record) -> None:
        owner = record.agent.rpartition("/")[0]
        for board in reversed(self.boards.values()):
            if board.owner == owner and not board.outcome and task_id in board.rows:
                self._of_agent[record.agent] = row = board.rows[task_id]
                row.agent = record.agent
                return


def _follow(row: Row, record: Record) -> bool:
    """One record of the agent at work on it."""
    match record.event:
        case StepStarted():
            row.doing = "thinks"
        case TextDelta():
            if row.doing == "answers":
                return False
            row.doing = "answers"
        case ToolStarted(tool=tool, title=title):
            row.doing = f"{tool} {title}".strip()
        case ToolEnded():
            row.tool_calls += 1
        case StepRetried(reason=reason):
            row.doing = f"tries again: {reason}"
        case StepEnded(usage=usage):
            row.tokens += usage.total
        case AgentWaiting(cause=cause):
            row.held = {"rate_limit": "rate limit", "slow_start": "slow start", "cpu": "core", "": ""}[cause]
        case RequestOpened(request_id=id, request=request):
            row.requests.append(id)
            row.asks = request.text if isinstance(request, Question) else f"{request.tool} {request.title}".strip()
        case RequestClosed(request_id=id):
            row.requests = [each for each in row.requests if each != id]
        case AgentFinished(cost_usd=cost):
            row.cost_usd = (row.cost_usd or 0.0) + cost if cost is not None else row.cost_usd
            row.held = ""
        case _:
            return False
    return True

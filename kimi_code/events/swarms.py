"""What swarms and their agents say."""

from dataclasses import field
from enum import StrEnum
from typing import Literal

from kimi_code.events.outcomes import FileChange, Outcome
from kimi_code.messages import Usage
from kimi_code.values import frozen


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
    slow_start: float = 0.0  # requests, as long as the provider has not shown yet how many it takes at once
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
    """A sub-agent has been waiting for a while: for the provider, or a core for a command. "" ends it.

    "slow_start": the provider has refused nothing yet, but how many requests it takes at once is still being found out.
    What else keeps it is told by other records: the state of its task, and the requests under its path.
    """

    cause: Literal["rate_limit", "slow_start", "cpu", ""]


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

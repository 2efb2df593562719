"""How a session is to be opened: what assembly and its parts work from."""

from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING

from kimi_code.agent.first_map import FirstMap
from kimi_code.config import Settings
from kimi_code.values import frozen

if TYPE_CHECKING:
    from kimi_code.swarm.journal import Kept
    from kimi_code.swarm.plan import Plan

MOST_AGENTS = 100  # at once


@frozen
class SwarmStart:
    """At most `most` sub-agents work at once. The first turn begins with `plan` run as a swarm, or with `left`.

    `left` is a swarm that another process left, which is brought to its end. `guided`: the model is told how to use
    sub-agents well. `plan_first`: plans are shown and approved before they run. The swarms are written to `rollout`.
    `patience` are the seconds without a sign of life after which an agent is nudged, then stopped.
    """

    most: int = MOST_AGENTS
    guided: bool = False
    plan_first: bool = False
    patience: float = 300.0
    rollout: Path | None = None
    plan: "Plan | None" = None
    left: "Kept | None" = None


@frozen
class Opening:
    """How a session is to be opened. `resume` is an id or its beginning; `attended` says that somebody can answer.

    `branch` is where `--commit` commits (a new one, or the last turn's), "" for the one that is checked out.
    `first_map` is the map of its first message, if it has been started already. With `trust` the project's own agent
    types are used, for this run.
    """

    settings: Settings
    cwd: Path
    config_dir: Path
    continue_last: bool = False
    resume: str | None = None
    keep: bool = True
    attended: bool = False
    branch: str = ""
    first_map: FirstMap | None = None
    trust: bool = False
    swarms: SwarmStart = field(default_factory=SwarmStart)

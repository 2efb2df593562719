"""What a front end does about swarms: the desk that a session has, behind which the swarms are."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, Protocol, get_args

from kimi_code.events import Record
from kimi_code.session.journal import RECORDS, read
from kimi_code.values import frozen

SwarmMode = Literal["on", "off", "auto"]
SWARMS = "swarms"  # the folder in a session's that its swarms are in
AGENTS = "agents"  # the one that its sub-agents' folders are in, and theirs in each of these
SWARM_MODES: tuple[SwarmMode, ...] = get_args(SwarmMode)


def prompt_for(goal: str) -> str:
    """What the model is told when a person wants a goal reached by many agents."""
    return (
        "Reach this goal. Where parts of it can be done apart, have them done at once with the Swarm tool; where each "
        f"step needs the last, do it yourself and say that serial is better here. The goal:\n\n{goal}"
    )


def folder_of(session: Path, agent: str) -> Path:
    """Where an agent's journal is, and those of its swarms, in the session's folder; `agent` is its path."""
    folder = session
    for name in agent.split("/")[1:]:
        folder = folder / AGENTS / name
    return folder


def records_of(session: Path, agent: str) -> list[Record]:
    """What an agent's journal holds, under its path; nothing where none is kept."""
    return [
        replace(record, agent=agent + record.agent.removeprefix("main"))
        for record in read(folder_of(session, agent) / RECORDS).records
    ]


@frozen
class Account:
    """What a swarm spent so far and what it may spend: None where there is no limit, or the price is not known."""

    tokens: int
    tool_calls: int
    cost_usd: float | None = None
    most_tokens: int | None = None
    most_tool_calls: int | None = None
    most_usd: float | None = None


class SwarmDesk(Protocol):
    """Swarms by their ids, "" for the newest; tasks by theirs. What happens is told by records, as everything is.

    Questions and approvals of sub-agents are answered as the session's own are, by `Session.reply`.
    """

    @property
    def mode(self) -> SwarmMode:
        """auto: the model may use sub-agents. on: it is told how to use them well. off: it has none."""
        ...

    def set_mode(self, mode: SwarmMode) -> None:
        """From the next prompt on."""
        ...

    def cancel(self, swarm: str, *tasks: str) -> None:
        """Stop these tasks, all that are not over when none is named; what is merged stays. Raises KimiError."""
        ...

    def retry(self, swarm: str, task: str) -> None:
        """Begin a task that failed, or is under way, anew. Raises KimiError when the swarm is over."""
        ...

    def steer(self, swarm: str, task: str, text: str) -> None:
        """Say something to the agent at work on a task. Raises KimiError when none is."""
        ...

    def account(self, swarm: str) -> Account | None:
        """What it spent; None for one that did not run since the session was opened."""
        ...

    def timeline(self, owner: str, swarm: str, width: int) -> Sequence[str]:
        """Its course as lines of at most `width` cells; `owner` is the path of the agent whose swarm it is.

        The critical path is drawn with █, waiting with ░. Raises KimiError when its journal cannot be read.
        """
        ...

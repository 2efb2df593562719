"""What a front end does about swarms: the desk that a session has, behind which the swarms are."""

from typing import Literal, Protocol, get_args

SwarmMode = Literal["on", "off", "auto"]
SWARMS = "swarms"  # the folder in a session's that its swarms are in
SWARM_MODES: tuple[SwarmMode, ...] = get_args(SwarmMode)


def prompt_for(goal: str) -> str:
    """What the model is told when a person wants a goal reached by many agents."""
    return (
        "Reach this goal. Where parts of it can be done apart, have them done at once with the Swarm tool; where each "
        f"step needs the last, do it yourself and say that serial is better here. The goal:\n\n{goal}"
    )


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

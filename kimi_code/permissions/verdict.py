"""What a decision says."""

from collections.abc import Iterable
from typing import Literal

from kimi_code.permissions.rules import Decision, Rule
from kimi_code.values import frozen

Mode = Literal["ask", "edits", "auto", "plan", "yolo"]

RANK: dict[Decision, int] = {"allow": 0, "ask": 1, "deny": 2}


@frozen
class Part:
    """The decision on one simple command or redirection of a command line.

    `confinable` says of what is asked for that it may run confined instead.
    """

    text: str
    decision: Decision
    reason: str
    rule: Rule | None = None
    confinable: bool = False


@frozen
class Verdict:
    """The decision, why (for the model and the person), and the rule that made it, if one did.

    `confined` says that it may run only confined. A command line's `parts` are in the order of its words, and
    `confinable` says that confinement could stand in for asking. `unusable` says that there is nothing to decide on:
    the target is no path (a loop, a NUL, too long).
    """

    decision: Decision
    reason: str
    rule: Rule | None = None
    confined: bool = False
    confinable: bool = False
    parts: tuple[Part, ...] = ()
    unusable: bool = False


def strictest(verdicts: Iterable[Verdict], default: Verdict) -> Verdict:
    """The first of the strictest verdicts."""
    return max(verdicts, key=lambda verdict: RANK[verdict.decision], default=default)

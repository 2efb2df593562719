"""A plan before it runs: shown as YAML, approved, declined, or written anew by the user."""

from collections.abc import Awaitable, Callable, Collection
from pathlib import Path

from kimi_code.counting import counted
from kimi_code.errors import PlanError, ToolError
from kimi_code.events import Allow, AllowEdited, Approval, Reply, Request, Text
from kimi_code.swarm.plan import Plan, check
from kimi_code.swarm.proposal import read_plan, written

_WARNING = "# Warning: "


async def approve(
    plan: Plan,
    warnings: tuple[str, ...],
    ask: Callable[[Request], Awaitable[Reply]],
    keep: Path,
    agents: Collection[str],
    depth: int,
) -> tuple[Plan, tuple[str, ...]]:
    """The plan as the user approves it, and what it warns of; what cannot be run is asked for again.

    Raises ToolError when it is declined; then it is in the file `keep`.
    """
    text = proposed_text = written(plan)
    while True:
        told = "".join(f"\n{_WARNING}{warning}" for warning in warnings)
        request = Approval(
            "", "Swarm", plan.goal, f"a swarm of {counted(len(plan.tasks), 'task')}", (Text(text + told),)
        )
        match await ask(request):
            case Allow() if text == proposed_text:
                return plan, warnings
            case Allow():
                continue  # what is shown cannot be run
            case AllowEdited(text=edited):
                try:
                    proposed = read_plan(edited, "the plan as you changed it")
                    return proposed, check(proposed, agents=agents, depth=depth)
                except PlanError as error:
                    # What was written is not lost: it is mended, not begun anew.
                    text, warnings = _without_warnings(edited), error.problems
            case reply:
                raise ToolError(_declined(text, keep, getattr(reply, "words", "")))


def _without_warnings(text: str) -> str:
    return "\n".join(line for line in text.split("\n") if not line.startswith(_WARNING)).rstrip("\n") + "\n"


def _declined(plan: str, keep: Path, words: str) -> str:
    keep.parent.mkdir(parents=True, exist_ok=True)
    keep.write_text(plan, encoding="utf-8")
    said = f" The answer was: {words.rstrip('.')}." if words else ""
    return (
        f"The plan was not approved, and no agent was started.{said} It is kept in {keep}, and can be run with "
        f"`kimi-code swarm run --plan {keep}`. Do not start it again by other means."
    )

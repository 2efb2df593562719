"""`kimi-code swarm`: run a goal or a plan by many agents at once, look at it, go on after a kill, report."""

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from kimi_code.cli.folder import load_settings, working_folder
from kimi_code.cli.output import say, say_json, say_table
from kimi_code.cli.run import RunFlags
from kimi_code.counting import counted
from kimi_code.errors import UsageError
from kimi_code.values import frozen

if TYPE_CHECKING:
    from kimi_code.swarm.journal import Kept
    from kimi_code.swarm.states import Swarm

app = typer.Typer(add_completion=False, rich_markup_mode=None, help="Big tasks by many agents at once.")

SwarmId = Annotated[str, typer.Argument(metavar="ID", help="The swarm's id, or the beginning of it.")]
Yolo = Annotated[bool, typer.Option("-y", "--yolo", help="Nothing is asked; the change is applied.")]
Apply = Annotated[bool, typer.Option("--apply", help="Apply the change; else it is printed.")]
Format = Annotated[
    Literal["text", "json", "jsonl"] | None, typer.Option("--output-format", help="What standard output is.")
]
PlanFirst = Annotated[bool, typer.Option("--plan-first", help="The plan is approved before it runs.")]
Rollout = Annotated[
    str | None, typer.Option("--rollout", metavar="FILE", help="Write the episode with its rewards, as JSON lines.")
]
Commit = Annotated[bool, typer.Option("--commit", help="Commit what was merged, each task by itself.")]
Branch = Annotated[
    str | None,
    typer.Option("--branch", metavar="NAME", help="With --commit: on this branch; yours stays checked out."),
]
MostAgents = Annotated[int | None, typer.Option("--max-agents", min=1, max=100, help="At once; 100 unless given.")]

_PLAN = (
    "The plan {name} was run as a swarm; its result is above. Do what is missing of its goal, or say what came of it."
)
_RESUMED = "Your swarm was interrupted; it went on, and its result is above. Go on with what you were doing."


@app.command()
def run(
    ctx: typer.Context,
    goal: Annotated[str, typer.Argument(metavar="GOAL", help="What to reach; the model makes the plan.")] = "",
    plan: Annotated[str | None, typer.Option("--plan", metavar="FILE", help="A plan in YAML, run as it is.")] = None,
    yolo: Yolo = False,
    apply: Apply = False,
    max_agents: MostAgents = None,
    plan_first: PlanFirst = False,
    commit: Commit = False,
    branch: Branch = None,
    rollout: Rollout = None,
    output_format: Format = None,
) -> int:
    """Have a goal reached, or a plan done, by many agents at once."""
    if bool(goal) == bool(plan):
        raise UsageError("Give a goal, or a plan with --plan FILE.", hint='kimi-code swarm run "port the tests"')
    from kimi_code.session.swarms import prompt_for

    prompt = prompt_for(goal) if goal else _PLAN.format(name=plan)
    given = _Given(yolo, apply, max_agents, output_format, commit, branch, rollout, plan_first)
    return _run(ctx, prompt, given, swarm_plan=plan)


@app.command()
def resume(
    ctx: typer.Context,
    id: Annotated[
        str, typer.Argument(metavar="[ID]", help="The newest unfinished one of the folder unless given.")
    ] = "",
    yolo: Yolo = False,
    apply: Apply = False,
    max_agents: MostAgents = None,
    commit: Commit = False,
    branch: Branch = None,
    rollout: Rollout = None,
    output_format: Format = None,
) -> int:
    """Go on with a swarm that was interrupted; what is finished is not done again."""
    given = _Given(yolo, apply, max_agents, output_format, commit, branch, rollout)
    return _run(ctx, _RESUMED, given, swarm_resume=id)


@frozen
class _Given:
    """The flags of a command that runs a swarm; the same ones before `swarm` count too."""

    yolo: bool
    apply: bool
    max_agents: int | None
    output_format: str | None
    commit: bool
    branch: str | None
    rollout: str | None
    plan_first: bool = False


def _run(
    ctx: typer.Context, prompt: str, given: _Given, *, swarm_plan: str | None = None, swarm_resume: str | None = None
) -> int:
    from kimi_code.cli.app import run_flags

    flags: RunFlags = ctx.find_root().obj
    return run_flags(
        replace(
            flags,
            prompt=prompt,
            yolo=flags.yolo or given.yolo,
            apply=flags.apply or given.apply,
            output_format=given.output_format or flags.output_format,
            max_agents=given.max_agents or flags.max_agents,
            plan_first=given.plan_first or flags.plan_first,
            commit=flags.commit or given.commit,
            branch=given.branch or flags.branch,
            rollout=given.rollout or flags.rollout,
            swarm_plan=swarm_plan,
            swarm_resume=swarm_resume,
            swarms=True,
        )
    )


@app.command()
def status(
    ctx: typer.Context,
    everywhere: Annotated[bool, typer.Option("--all", help="Of all folders, not of this one only.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """The swarms of this folder, newest first."""
    from kimi_code.swarm.journal import of_folder

    flags: RunFlags = ctx.find_root().obj
    found = of_folder(load_settings(flags).data_dir, None if everywhere else working_folder(flags))
    rows = [(kept, kept.state()) for kept in found]
    if as_json:
        say_json([_summary(kept, state) for kept, state in rows])
    elif rows:
        say_table(("ID", "STATE", "TASKS", "GOAL"), [_cells(kept, state) for kept, state in rows])
    else:
        say("There are no swarms here yet.", to=sys.stderr)


def _summary(kept: "Kept", state: "Swarm") -> dict[str, object]:
    tasks = {task: progress.state.value for task, progress in state.tasks.items()}
    return {"id": kept.id, "state": _word(kept, state), "goal": state.plan.goal, "tasks": tasks, "path": str(kept.path)}


def _word(kept: "Kept", state: "Swarm") -> str:
    from kimi_code.swarm.states import GOOD

    if kept.is_unfinished():
        return "unfinished"
    return "done" if all(progress.state in GOOD for progress in state.tasks.values()) else "partial"


def _cells(kept: "Kept", state: "Swarm") -> tuple[str, ...]:
    counts: dict[str, int] = {}
    for progress in state.tasks.values():
        counts[progress.state.value] = counts.get(progress.state.value, 0) + 1
    told = ", ".join(f"{count} {name}" for name, count in counts.items())
    return (kept.id, _word(kept, state), told, state.plan.goal)


@app.command()
def cancel(ctx: typer.Context, id: SwarmId) -> None:
    """Cancel what is not over of a swarm, in whichever process it runs; what is merged is kept."""
    from kimi_code.events import TaskState
    from kimi_code.swarm.journal import SwarmJournal
    from kimi_code.swarm.states import OVER, Ended, Moved

    kept = _find(ctx, id)
    state = kept.state()
    open_ones = [t for t, at in state.tasks.items() if at.state not in OVER or at.state is TaskState.STOPPED]
    if not open_ones:
        raise UsageError(f"The swarm {kept.id} is over: there is nothing to cancel.")
    try:
        journal = SwarmJournal(kept)
    except UsageError:
        kept.cancel_mark.write_text("", encoding="utf-8")
        say(f"The process that runs {kept.id} was asked to cancel it.")
        return
    for task in open_ones:
        if state.tasks[task].state is not TaskState.BLOCKED:
            journal.write(Moved(time.time(), task, TaskState.CANCELLED, "cancelled by the user"))
    journal.write(Ended(time.time(), "cancelled by the user"))
    journal.close()
    say(f"Cancelled {counted(len(open_ones), 'task')} of {kept.id}.")


def _find(ctx: typer.Context, id: str) -> "Kept":
    from kimi_code.errors import SwarmError
    from kimi_code.swarm.journal import find

    flags: RunFlags = ctx.find_root().obj
    try:
        return find(load_settings(flags).data_dir / "sessions", id)
    except SwarmError as error:
        raise UsageError(error.message, hint=error.hint) from None


@app.command()
def report(
    ctx: typer.Context,
    id: SwarmId,
    as_json: Annotated[bool, typer.Option("--json", help="The numbers and verdicts as JSON.")] = False,
    svg: Annotated[Path | None, typer.Option("--svg", metavar="FILE", help="The timeline as an SVG image.")] = None,
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="The timeline as a page.")] = None,
    rollout: Annotated[
        Path | None, typer.Option("--rollout", metavar="FILE", help="The episode with its rewards, as JSON lines.")
    ] = None,
) -> None:
    """What a swarm was worth: its timeline, critical path, speed-up, and a verdict in words."""
    import shutil

    from kimi_code.errors import SwarmError
    from kimi_code.session import journal
    from kimi_code.session.codec import plain
    from kimi_code.swarm import timeline
    from kimi_code.swarm.metrics import measure
    from kimi_code.swarm.rollout import rollout as episode

    kept = _find(ctx, id)
    try:
        entries = kept.read()
        picture, numbers = timeline.timeline(entries), measure(entries)
    except (SwarmError, ValueError) as error:
        raise UsageError(f"The swarm {kept.id} cannot be reported: {error}") from None
    if svg is not None:
        _write(svg, timeline.svg(picture))
    if html is not None:
        _write(html, timeline.html(picture))
    if rollout is not None:
        records = journal.read(kept.session / journal.RECORDS).records
        _write(rollout, "".join(f"{line}\n" for line in episode(entries, records)))
    if as_json:
        say_json({"id": kept.id, "goal": kept.state().plan.goal, "metrics": plain(numbers)})
    elif not (svg or html or rollout):
        width = shutil.get_terminal_size((100, 24)).columns
        ascii_only = (sys.stdout.encoding or "ascii").lower().replace("-", "") != "utf8"
        for line in timeline.lines(picture, width, ascii_only=ascii_only):
            say(line)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}.") from None
    say(f"Written: {path}", to=sys.stderr)

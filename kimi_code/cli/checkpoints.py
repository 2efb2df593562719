"""`kimi-code checkpoints`: the saved states of a folder's files: list, compare, restore, prune them."""

import sys
import time
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from kimi_code.cli.folder import load_settings, working_folder
from kimi_code.cli.output import clean, say, say_json, say_table
from kimi_code.cli.run import RunFlags
from kimi_code.cli.undo import DryRun, Force, Json, Merge, open_checkpoints, relative, resolve_of, run_now
from kimi_code.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from kimi_code.events import FileChange
    from kimi_code.repo.checkpoint import Checkpoint, Checkpoints

app = typer.Typer(
    add_completion=False, rich_markup_mode=None, help="List, compare, restore and prune saved states of the files."
)

T = TypeVar("T")

CheckpointId = Annotated[str, typer.Argument(metavar="ID", help="The checkpoint's id, or the beginning of it.")]

_NAMED = 3  # files named in a line of the list


@app.command("list")
def list_checkpoints(ctx: typer.Context, as_json: Json = False) -> None:
    """The folder's checkpoints, oldest first, each with what had changed since the one before."""
    found = _ask(ctx, lambda checkpoints: checkpoints.list())
    if as_json:
        say_json([_summary(checkpoint) for checkpoint in found])
    elif found:
        header = ("ID", "AGE", "SESSION", "TURN", "WHAT", "CHANGED")
        say_table(header, [_cells(checkpoint, time.time()) for checkpoint in found])
    else:
        say("There are no checkpoints of this folder yet.", to=sys.stderr)


def _ask(ctx: typer.Context, question: "Callable[[Checkpoints], Awaitable[T]]") -> T:
    """The answer, after what a killed process left in the folder is gone."""
    checkpoints = open_checkpoints(ctx.find_root().obj)

    async def ask() -> T:
        await checkpoints.tidy()
        return await question(checkpoints)

    return run_now(ask())


def _summary(checkpoint: "Checkpoint") -> dict[str, Any]:
    return {
        "id": checkpoint.id,
        "at": checkpoint.at,
        "session": checkpoint.session,
        "turn": checkpoint.turn,
        "label": checkpoint.label,
        "files": [{"path": change.path, "change": change.change} for change in checkpoint.files],
    }


def _cells(checkpoint: "Checkpoint", now: float) -> tuple[str, ...]:
    from kimi_code.cli.sessions import age

    names = [change.path for change in checkpoint.files[:_NAMED]]
    more = len(checkpoint.files) - len(names)
    changed = ", ".join(names) + (f" and {more} more" if more else "")
    label = checkpoint.label if len(checkpoint.label) <= 50 else checkpoint.label[:49] + "…"
    turn = str(checkpoint.turn) if checkpoint.turn else ""
    return (checkpoint.id, age(now - checkpoint.at), checkpoint.session, turn, label, changed)


@app.command()
def show(ctx: typer.Context, checkpoint: CheckpointId, as_json: Json = False) -> None:
    """A checkpoint: when and why it was taken, what it changed, what it does not hold."""
    found = _ask(ctx, lambda checkpoints: checkpoints.show(checkpoint))
    if as_json:
        say_json({**_summary(found), "notes": list(found.notes)})
        return
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(found.at))
    say(f"{found.id}  {at}")
    whose = f"Session {found.session}{f', turn {found.turn}' if found.turn else ''}: " if found.session else ""
    say(f"{whose}{clean(found.label)}")
    for change in found.files:
        say(_line(change))
    for note in found.notes:
        say(f"  ! {clean(note)}")


def _line(change: "FileChange") -> str:
    mark = {"created": "+", "deleted": "-"}.get(change.change, "~")
    return f"  {mark} {clean(change.path)}  +{change.added} -{change.removed}"


@app.command()
def diff(
    ctx: typer.Context,
    a: Annotated[str, typer.Argument(metavar="A", help="A checkpoint.")],
    b: Annotated[str, typer.Argument(metavar="B", show_default=False, help="Another; the files now if left out.")] = "",
    as_json: Json = False,
) -> None:
    """What changed from A to B, as a patch that git apply takes at the top of the working tree."""
    if as_json:
        say_json([asdict(change) for change in _ask(ctx, lambda checkpoints: checkpoints.changes(a, b))])
        return
    patch = _ask(ctx, lambda checkpoints: checkpoints.patch(a, b))
    sys.stdout.flush()
    # Bytes: what is no text must come through as it is.
    sys.stdout.buffer.write(patch)


@app.command()
def restore(
    ctx: typer.Context,
    checkpoint: CheckpointId,
    paths: Annotated[list[str] | None, typer.Argument(metavar="PATH...", help="Only these files or folders.")] = None,
    force: Force = False,
    merge: Merge = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Make the files as they were at a checkpoint; the conversation stays as it is.

    Files that were changed by hand are not overwritten unasked: then nothing is done, and they are named (exit 1).
    """
    from kimi_code.cli.report import tell

    flags: RunFlags = ctx.find_root().obj
    resolve = resolve_of(force=force, merge=merge)
    wanted = relative(tuple(paths or ()), working_folder(flags))
    work = open_checkpoints(flags).restore(checkpoint, wanted, resolve=resolve, dry_run=dry_run)
    raise typer.Exit(tell("restore", run_now(work), planned=dry_run, as_json=as_json, resolve=resolve))


@app.command()
def prune(
    ctx: typer.Context,
    everywhere: Annotated[bool, typer.Option("--all", help="Of all folders, also those that are gone.")] = False,
    as_json: Json = False,
) -> None:
    """Drop checkpoints that are older or take more room than [checkpoints] in config.toml allows.

    Those of running sessions stay. The files that isolated copies are made from go after a week without use. With
    --all it is done by itself once a day.
    """
    from kimi_code.repo.checkouts.claims import delete
    from kimi_code.repo.checkouts.frozen_base import set_aside_old
    from kimi_code.repo.checkpoints.report import Pruned
    from kimi_code.repo.checkpoints.retention import size_of
    from kimi_code.repo.checkpoints.stores import forget_gone, worktrees
    from kimi_code.session.checkpoints import store_folder

    flags: RunFlags = ctx.find_root().obj
    settings = load_settings(flags)
    keep, home = settings.checkpoints, store_folder(settings.data_dir)
    folders = worktrees(home) if everywhere else [working_folder(flags)]
    gone = forget_gone(home, keep.keep_days * 86_400) if everywhere else Pruned()
    dropped, freed = gone.checkpoints, gone.freed
    for folder in folders:
        checkpoints = open_checkpoints(replace(flags, directory=str(folder)))
        try:
            if not everywhere:
                run_now(checkpoints.tidy())
            pruned = run_now(checkpoints.prune(keep.keep_days * 86_400, keep.keep_mb * 1_000_000))
        except CheckpointError:
            if not everywhere:
                raise
            continue  # the next day is soon enough for a folder that somebody is at work in
        dropped, freed = dropped + pruned.checkpoints, freed + pruned.freed
    for old in set_aside_old(settings.data_dir / "checkouts"):
        freed += size_of(old)
        delete(old)
    if as_json:
        say_json({"checkpoints": dropped, "freed": freed})
    else:
        say(f"Dropped {dropped} checkpoints, {freed / 1e6:.1f} MB freed.")

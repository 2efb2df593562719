"""`kimi-code undo`: take back what the newest turns did to files and conversation. `redo` is the same, backwards."""

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from kimi_code.cli.folder import load_settings, working_folder
from kimi_code.cli.run import RunFlags
from kimi_code.errors import CheckpointError, UsageError
from kimi_code.values import frozen

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from kimi_code.repo.checkpoint import Checkpoints, Resolve, Scope
    from kimi_code.session.rewind import Direction, Rewound

app = typer.Typer(add_completion=False, rich_markup_mode=None)

T = TypeVar("T")

Count = Annotated[int, typer.Argument(min=1, metavar="N", help="How many turns.")]
Paths = Annotated[
    list[str] | None,
    typer.Option("--paths", metavar="PATH", help="Only this file or folder, and no conversation; repeatable."),
]
Code = Annotated[bool, typer.Option("--code", help="The files only.")]
Talk = Annotated[bool, typer.Option("--conversation", help="Only what the model sees.")]
Both = Annotated[bool, typer.Option("--both", help="Files and conversation; so it is without a flag.")]
Resume = Annotated[
    str | None,
    typer.Option("-r", "--resume", metavar="ID", help="Of this session only; the beginning of its id will do."),
]
Directory = Annotated[str | None, typer.Option("-C", "--directory", metavar="DIR", help="In this folder.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite files that were changed since.")]
Merge = Annotated[bool, typer.Option("--merge", help="Merge into files that were changed since.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be done.")]
Json = Annotated[bool, typer.Option("--json", help="As JSON.")]


@frozen
class Asked:
    """The flags of undo and redo as given."""

    count: int
    resume: str | None
    force: bool
    merge: bool
    dry_run: bool
    as_json: bool
    paths: tuple[str, ...] = ()
    code: bool = False
    talk: bool = False
    both: bool = False


@app.command()
def undo(
    ctx: typer.Context,
    count: Count = 1,
    paths: Paths = None,
    code: Code = False,
    talk: Talk = False,
    both: Both = False,
    resume: Resume = None,
    directory: Directory = None,
    force: Force = False,
    merge: Merge = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Take back the folder's newest turn: its files, and what the model remembers of it.

    The newest turn that is not taken back yet, whatever session it came from, also one that was interrupted or killed.
    Files that were changed since are never overwritten unasked: then nothing is done, and they are named (exit 1).

    \b
    kimi-code undo
    kimi-code undo 3 --dry-run
    kimi-code undo --paths src --merge
    """
    asked = Asked(count, resume, force, merge, dry_run, as_json, tuple(paths or ()), code, talk, both)
    raise typer.Exit(rewind(ctx, "undo", asked, directory))


def rewind(ctx: typer.Context, direction: "Direction", asked: Asked, directory: str | None) -> int:
    """Do it and print what was done; returns the exit code."""
    from kimi_code.cli.report import tell

    flags: RunFlags = ctx.find_root().obj
    flags = replace(flags, directory=directory or flags.directory, resume=asked.resume or flags.resume)
    done = run_now(_rewind(flags, direction, asked))
    resolve = resolve_of(force=asked.force, merge=asked.merge)
    return tell(direction, done.report, done.turns, planned=asked.dry_run, as_json=asked.as_json, resolve=resolve)


async def _rewind(flags: RunFlags, direction: "Direction", asked: Asked) -> "Rewound":
    from kimi_code.events import Record
    from kimi_code.secrets import Scrubber
    from kimi_code.session.codec import encode
    from kimi_code.session.rewind import Rewinder, Wish
    from kimi_code.session.store import Store

    scope, resolve = scope_of(asked), resolve_of(force=asked.force, merge=asked.merge)
    settings, cwd = load_settings(flags), working_folder(flags)
    checkpoints = open_checkpoints(flags)
    session = await _session(checkpoints, flags.resume) if flags.resume else ""
    wish = Wish(asked.count, session, relative(asked.paths, cwd), scope, resolve, asked.dry_run)
    scrub = Scrubber(settings.secrets).scrub

    def to_line(record: Record) -> str:
        return scrub(encode(record))

    if direction == "redo" or scope == "conversation":
        await checkpoints.tidy()  # which an undo of files does by itself
    return await Rewinder(checkpoints, Store(settings.data_dir), to_line, {}).run(direction, wish)


def run_now(work: "Coroutine[Any, Any, T]") -> T:
    """What `work` returns; Ctrl-C and signals that ask the process to end cancel it, and it leaves all as it was.

    Raises KeyboardInterrupt then: an exception at any point, as signals raise it elsewhere, could tear a file.
    """
    import asyncio

    from kimi_code.cli.signals import Stopped, cancel_when_stopped

    stopped: list[int] = []

    async def run() -> T:
        cancel_when_stopped(stopped)
        return await work

    try:
        return asyncio.run(run())
    except asyncio.CancelledError:
        if stopped:
            raise Stopped(stopped[0]) from None
        raise


def open_checkpoints(flags: RunFlags) -> "Checkpoints":
    """Those of the working tree around the folder of -C."""

    from kimi_code.config import find_places
    from kimi_code.session import checkpoints

    settings, cwd = load_settings(flags), working_folder(flags)
    config_dir = find_places(os.environ, cwd).user_file.parent
    file_mb = settings.checkpoints.file_mb
    return checkpoints.open_checkpoints(cwd, settings.data_dir, config_dir, file_mb=file_mb, patient=True)


def scope_of(asked: Asked) -> "Scope":
    """What is to be taken back. Raises UsageError when flags contradict each other."""
    given = [name for name in ("code", "talk", "both") if getattr(asked, name)]
    if len(given) > 1:
        raise UsageError("--code, --conversation and --both cannot be used together.", hint="Leave all but one out.")
    if asked.paths and asked.talk:
        raise UsageError("--paths limits files, and --conversation leaves them alone.", hint="Leave one of them out.")
    return "code" if asked.code else "conversation" if asked.talk else "both"


def resolve_of(*, force: bool, merge: bool) -> "Resolve":
    """What becomes of files that were changed since. Raises UsageError when flags contradict each other."""
    if force and merge:
        raise UsageError("--force and --merge cannot be used together.", hint="Leave one of them out.")
    return "force" if force else "merge" if merge else "refuse"


def relative(paths: tuple[str, ...], cwd: Path) -> tuple[str, ...]:
    """Paths with forward slashes, relative to `cwd` but for absolute ones that lead out of it."""

    def shown(path: Path) -> str:
        absolute = Path(os.path.normpath(cwd / path))
        outside = path.is_absolute() and not absolute.is_relative_to(cwd)
        return (str(absolute) if outside else os.path.relpath(absolute, cwd)).replace(os.sep, "/")

    return tuple(shown(Path(os.path.expanduser(path))) for path in paths)


async def _session(checkpoints: "Checkpoints", prefix: str) -> str:
    """The session of this folder whose id begins with `prefix`, also one that was deleted or never kept."""
    ids = {state.session for state in await checkpoints.turns()}
    found = {id for id in ids if id == prefix} or {id for id in ids if id.startswith(prefix)}
    if len(found) == 1:
        return found.pop()
    if found:
        raise UsageError(f"{prefix!r} is the beginning of {len(found)} sessions: {', '.join(sorted(found)[:5])}")
    raise CheckpointError(
        f"No turn of a session {prefix!r} is on record in this folder.",
        hint="`kimi-code checkpoints list` shows what is.",
    )

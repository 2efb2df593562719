"""`kimi-code -p`: flags in, one turn, an exit code out."""

import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from kimi_code.values import frozen

if TYPE_CHECKING:
    from kimi_code.agent.first_map import FirstMap
    from kimi_code.config import Settings
    from kimi_code.headless.run import Opened, OutputFormat, TurnDiff
    from kimi_code.swarm.journal import Kept
    from kimi_code.swarm.plan import Plan
    from kimi_code.wiring.opening import SwarmStart


@frozen
class RunFlags:
    """The root command's flags as given; None where a flag was not given."""

    prompt: str | None = None
    output_format: str = "text"
    model: str | None = None
    thinking: str | None = None
    continue_last: bool = False
    resume: str | None = None
    directory: str | None = None
    add_dirs: tuple[str, ...] = ()
    permission_mode: str | None = None
    yolo: bool = False
    review: str | None = None
    apply: bool = False
    patch_out: str | None = None
    commit: bool = False
    branch: str | None = None
    net: bool = False
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    max_steps: int | None = None
    max_tokens: int | None = None
    max_cost: float | None = None
    max_session_tokens: int | None = None
    max_session_cost: float | None = None
    timeout: float | None = None
    verify: str | None = None
    output_schema: str | None = None
    no_session: bool = False
    trust: bool = False
    max_agents: int | None = None
    plan_first: bool = False
    rollout: str | None = None
    swarm_plan: str | None = None
    swarm_resume: str | None = None
    swarms: bool = False
    images: tuple[str, ...] = ()


@frozen
class _Prepared:
    """A run that can begin: how to open its session, what to say, what must hold at the end."""

    open: "Callable[[], Awaitable[Opened]]"
    prompt: str
    schema: Mapping[str, object] | None
    diff: "TurnDiff | None" = None
    images: tuple[Path, ...] = ()


def run(flags: RunFlags) -> int:
    """Run one prompt and return the exit code; every failure ends in a result in the format asked for."""
    import asyncio

    from kimi_code.cli.signals import end_when_stopped
    from kimi_code.errors import KimiError
    from kimi_code.headless.run import Run, failed_to_start, write_result
    from kimi_code.session.session import TurnChecks

    output_format = output_format_of(flags.output_format)
    try:
        prepared = _prepare(flags)
    except KimiError as error:
        return write_result(failed_to_start(error), output_format)
    checks = TurnChecks(flags.verify, prepared.schema)

    async def run_and_tell() -> int:
        code = await Run(prepared.open, prepared.prompt, output_format, checks, prepared.diff, prepared.images).run()
        end_when_stopped()
        return code

    return asyncio.run(run_and_tell())


def output_format_of(name: str) -> "OutputFormat":
    """The format by its name on the command line; `stream-json` is `jsonl`."""
    match name:
        case "json":
            return "json"
        case "jsonl" | "stream-json":
            return "jsonl"
        case _:
            return "text"


def _prepare(flags: RunFlags) -> _Prepared:
    import sys

    from kimi_code.cli.output import say
    from kimi_code.config import find_places, load
    from kimi_code.errors import UsageError
    from kimi_code.headless.stdin import read_prompt

    if flags.verify is not None and not flags.verify.strip():
        raise UsageError("--verify is empty: it would pass whatever was done.", hint="Give a command, or leave it out.")
    cwd = working_folder(flags.directory)
    settings = load(flags, os.environ, cwd, trusted=flags.trust)
    import_sdk_meanwhile(settings)
    diff = _turn_diff(flags, settings, cwd)
    first_map = None if flags.resume or flags.continue_last or is_scripted(settings) else _draw_map(settings, cwd)
    schema = _read_schema(flags.output_schema, cwd)
    plan = _read_plan(flags.swarm_plan, cwd)
    left = _find_left(flags.swarm_resume, settings, cwd)
    prompt = read_prompt(flags.prompt, lambda text: say(f"kimi-code: {text}", to=sys.stderr))

    async def open_session() -> "Opened":
        from kimi_code import assembly
        from kimi_code.headless.run import Opened

        opening = assembly.Opening(
            settings,
            cwd,
            find_places(os.environ, cwd).user_file.parent,
            continue_last=flags.continue_last,
            resume=left.session.name if left else flags.resume,
            keep=not flags.no_session,
            branch=flags.branch or "",
            first_map=first_map,
            trust=flags.trust,
            swarms=swarm_start(flags, cwd, plan, left),
        )
        made = await assembly.open_session(opening)
        return Opened(made.session, made.opened, made.notices)

    return _Prepared(open_session, prompt, schema, diff, tuple(cwd / os.path.expanduser(each) for each in flags.images))


def _turn_diff(flags: RunFlags, settings: "Settings", cwd: Path) -> "TurnDiff | None":
    """What becomes of a turn's diff. Raises UsageError for flags that mean nothing with these settings."""
    from kimi_code.errors import UsageError
    from kimi_code.headless.run import TurnDiff

    if flags.branch is not None and not settings.commit:
        raise UsageError("--branch names the branch of --commit, which was not given.", hint="Add --commit.")
    target = _writable("--patch-out", flags.patch_out, cwd)
    if settings.review != "turn":
        if flags.swarms:
            return TurnDiff(flags.apply, target) if flags.apply or target else None
        for given, name in ((flags.apply, "--apply"), (flags.patch_out is not None, "--patch-out")):
            if given:
                raise UsageError(f"{name} is about the diff of --review turn, which was not given.", hint="Add it.")
        return None
    if settings.commit and not flags.apply:
        raise UsageError(
            "--commit and --review turn without --apply cannot be used together: nothing is changed that could be "
            "committed.",
            hint="Add --apply, or leave out --commit.",
        )
    return TurnDiff(flags.apply, target)


def _writable(flag: str, given: str | None, cwd: Path) -> Path | None:
    """The file that is to be written at the end. Raises UsageError when it cannot be."""
    from kimi_code.errors import UsageError

    target = None if given is None else cwd / os.path.expanduser(given)
    if target is not None and (target.is_dir() or not target.parent.is_dir()):
        raise UsageError(
            f"{flag} {target} cannot be written: no such folder, or it is one.",
            hint="Name a file in a folder that exists.",
        )
    return target


def swarm_start(flags: RunFlags, cwd: Path, plan: "Plan | None" = None, left: "Kept | None" = None) -> "SwarmStart":
    """What the flags say of swarms. Raises UsageError."""
    from kimi_code.wiring.opening import MOST_AGENTS, SwarmStart

    return SwarmStart(
        flags.max_agents or MOST_AGENTS,
        guided=flags.swarms and plan is None,
        plan_first=flags.plan_first,
        rollout=_writable("--rollout", flags.rollout, cwd),
        plan=plan,
        left=left,
    )


def _read_plan(given: str | None, cwd: Path) -> "Plan | None":
    if given is None:
        return None
    from kimi_code.errors import KimiError, UsageError
    from kimi_code.swarm.plan import check
    from kimi_code.swarm.proposal import read_plan

    path = cwd / os.path.expanduser(given)
    try:
        plan = read_plan(path.read_text(encoding="utf-8"), given)
        check(plan)
        return plan
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--plan {path} cannot be read: {getattr(error, 'strerror', None) or error}.") from None
    except KimiError as error:
        raise UsageError(str(error)) from None


def _find_left(given: str | None, settings: "Settings", cwd: Path) -> "Kept | None":
    """The swarm to go on with; "" is the newest unfinished one of the folder. Raises UsageError."""
    if given is None:
        return None
    from kimi_code.errors import KimiError, UsageError
    from kimi_code.swarm.journal import find, newest_unfinished

    folder = settings.data_dir / "sessions"
    try:
        left = find(folder, given) if given else newest_unfinished(settings.data_dir, cwd)
        if not left.is_unfinished():
            raise UsageError(f"The swarm {left.id} is over: there is nothing to resume.")
    except KimiError as error:
        raise UsageError(str(error)) from None
    return left


def is_scripted(settings: "Settings") -> bool:
    """Whether the words of the model are known already: they need neither an SDK nor a map."""
    return settings.model.startswith("scripted:")


def import_sdk_meanwhile(settings: "Settings") -> None:
    """Import the SDK in a thread: the longest part of starting up, and it needs nothing of the rest."""
    if is_scripted(settings):
        return
    import threading

    from kimi_code.llm.sdk import preload

    threading.Thread(target=preload, name="import-sdk", daemon=True).start()


def _draw_map(settings: "Settings", cwd: Path) -> "FirstMap":
    # Meanwhile, in a process of its own, which has until the SDK is imported.
    from kimi_code.agent.first_map import FirstMap
    from kimi_code.repo.git import find_root

    first_map = FirstMap(find_root(cwd) or cwd, settings.data_dir / "index", settings.map_tokens)
    first_map.start()
    return first_map


def collect_garbage_again() -> None:
    """What was made so far stays for good; from here on a run may last for hours and must not only grow."""
    import gc

    gc.freeze()
    # Imports are still to come, and a stream makes many short-lived objects: look less often than every 700.
    gc.set_threshold(10_000, 20, 20)
    gc.enable()


def working_folder(given: str | None) -> Path:
    """The folder to work in, resolved. Raises UsageError when it cannot be used."""

    from kimi_code.errors import UsageError

    try:
        folder = Path(os.path.expanduser(given or ".")).resolve(strict=True)
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or "it cannot be resolved"
        raise UsageError(f"The folder {given or '.'} cannot be used: {reason}.", hint="Name another: -C DIR.") from None
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder.", hint="Name a folder: -C DIR.")
    if not os.access(folder, os.R_OK | os.X_OK):
        raise UsageError(
            f"The folder {folder} is not readable.", hint="Change its permissions, or name another: -C DIR."
        )
    return folder


def _read_schema(given: str | None, cwd: Path) -> Mapping[str, object] | None:
    if given is None:
        return None
    import json

    from kimi_code.agent.checks import check_schema
    from kimi_code.errors import UsageError

    path = cwd / os.path.expanduser(given)
    try:
        return check_schema(json.loads(path.read_bytes()))
    except OSError as error:
        raise UsageError(
            f"--output-schema {path} cannot be read: {error.strerror}.", hint="Name a file with a JSON Schema."
        ) from None
    except ValueError as error:
        raise UsageError(f"--output-schema {path} is no JSON Schema: {error}") from None

"""Settings + a folder -> a Session: the wiring diagram, as code. The only module that knows everyone."""

import asyncio
import shutil
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from kimi_code import __version__
from kimi_code.agent.budget import Limits
from kimi_code.agent.call import CallScope
from kimi_code.agent.context import Context
from kimi_code.agent.environment import Agent
from kimi_code.agent.first_map import ATTENDED_MOMENT, MOMENT, FirstMap
from kimi_code.agent.instructions import gather
from kimi_code.agent.prompt import SYSTEM
from kimi_code.agent.stages import Stage
from kimi_code.config import Settings, choose
from kimi_code.config.remember import remember
from kimi_code.errors import ConfigError, UsageError
from kimi_code.events import Notice, Record, SessionOpened
from kimi_code.permissions.paths import Boundary
from kimi_code.permissions.policy import Policy
from kimi_code.permissions.rules import Rule, parse
from kimi_code.permissions.sandbox import Sandbox, find
from kimi_code.repo import git
from kimi_code.repo.indexing.indexes import Indexes
from kimi_code.repo.workspace import LocalWorkspace
from kimi_code.secrets import Scrubber
from kimi_code.session.bus import Bus
from kimi_code.session.checkpoints import HeldCheckpoints, open_checkpoints, open_snapshots, tidy_if_due
from kimi_code.session.codec import Lines
from kimi_code.session.journal import Journal
from kimi_code.session.requests import Requests
from kimi_code.session.resume import Resumed, resume
from kimi_code.session.session import Session
from kimi_code.session.store import SessionMeta, Store
from kimi_code.tools.background import Background
from kimi_code.tools.files import FileMemory
from kimi_code.tools.toolset import Toolset
from kimi_code.values import frozen
from kimi_code.wiring.copies import freeze_tree
from kimi_code.wiring.models import Models, choose_model
from kimi_code.wiring.opening import Opening
from kimi_code.wiring.prefaces import describe_permissions, describe_session
from kimi_code.wiring.swarms import Surrounding, Swarms, find_types
from kimi_code.wiring.toolset import build_toolset, in_copy

if TYPE_CHECKING:
    from kimi_code.repo.checkouts.isolated import Checkout


@frozen
class Assembled:
    """A session, what it has to say first, the records of its earlier life, and what it knows of the folder."""

    session: Session
    opened: SessionOpened
    notices: tuple[Notice, ...]
    history: tuple[Record, ...] = ()
    indexes: Indexes | None = None


async def open_session(opening: Opening) -> Assembled:
    """Build everything. Raises UsageError, ConfigError or AuthError when it cannot begin."""
    settings = opening.settings
    if settings.review == "turn" and settings.permission_mode == "yolo":
        raise UsageError(
            "-y (permission_mode yolo) and --review turn cannot be used together: commands could leave the copy.",
            hint="Leave one of them out; in the copy, edits and confined commands need no approval anyway.",
        )
    root = git.find_root(opening.cwd)
    boundary, rules = _boundary(opening), _rules(settings)
    await _check_commit(opening)
    resumed = _resumed(opening)
    meta = resumed.meta if resumed else Store(settings.data_dir).create()
    boundary = Boundary(boundary.roots, boundary.own, (meta.path,))
    choice, notices = await choose_model(settings)
    scrubber = Scrubber(settings.secrets)
    tree = root or opening.cwd
    models = Models(settings, scrubber)
    model = models.use(choice)
    swarms = Swarms(opening, models, find_types(opening, tree))
    bus = Bus(last_seq=resumed.last_seq if resumed else 0)
    requests = Requests(bus.publish)
    background = Background()
    sandbox = await asyncio.to_thread(_sandbox, settings, boundary)
    files = FileMemory()
    policy = Policy(settings.permission_mode, rules, boundary, confined=sandbox.usable, network=settings.net)
    patience = ATTENDED_MOMENT if opening.attended else MOMENT
    first_map = opening.first_map or FirstMap(tree, settings.data_dir / "index", settings.map_tokens, patience)
    if resumed is None and choice.provider.kind != "scripted":  # a script's words are known already
        first_map.start()
    indexes = Indexes(boundary.roots, settings.data_dir / "index", watch=opening.attended, opening=first_map.end)
    workspace = LocalWorkspace(
        opening.cwd,
        boundary.roots[1:],
        confine=sandbox.confine if sandbox.usable else None,
        changed=indexes.note_changed,
    )
    toolset = build_toolset(
        files,
        background,
        settings.command_timeout,
        sandbox,
        indexes=indexes,
        attended=opening.attended,
        patches=model.profile.apply_patch,
        enclosed=settings.review == "turn",
    )
    toolset = Toolset([*toolset.values(), *swarms.tools()])
    scope = CallScope(
        toolset,
        policy,
        workspace,
        meta.path / "outputs",
        bus.publish,
        requests.ask,
        scrubber.scrub,
        keep=lambda rules: remember(opening.config_dir / "config.toml", rules),
        each_edit=settings.review == "each",
    )

    def permissions() -> str:
        return describe_permissions(opening, scope.policy, sandbox)

    instructions = gather(opening.config_dir, tree, opening.cwd, limit=settings.instructions_limit)
    file_mb = settings.checkpoints.file_mb
    checkpoints = HeldCheckpoints(
        meta.id, lambda: open_checkpoints(opening.cwd, settings.data_dir, opening.config_dir, file_mb=file_mb)
    )
    agent = Agent(
        model,
        Context(SYSTEM, toolset.schemas(), meta.id, resumed.history.messages if resumed else []),
        scope,
        describe_session(opening, root, scope, permissions, instructions, first_map, swarms.roster.told),
        Limits(
            settings.max_steps,
            settings.max_tokens,
            settings.max_cost,
            settings.timeout,
            settings.max_session_tokens,
            settings.max_session_cost,
        ),
        settings.thinking,
        settings.max_retries,
        settings.retry_wait,
        checkpoints=checkpoints,
        plan=resumed.history.plan if resumed else (),
        forget=files.forget,
        crash_file=meta.path / "crash.txt" if opening.keep else None,
        permissions=permissions,
    )

    scope.sees = lambda: agent.model.sees()

    to_line = Lines(scrubber.scrub)

    swarms.surround(Surrounding(agent, bus, requests, meta, boundary, sandbox, instructions, to_line))
    # Swarms end before a review of what they gave to the turn, and begin where the turn works.
    inside = partial(in_copy, files)
    agent.stages = (swarms, *_stages(opening, agent, meta, background, boundary, inside), *swarms.first())

    session = Session(
        agent,
        bus,
        requests,
        meta,
        history=resumed.history if resumed else None,
        unended=resumed.unended if resumed else None,
        journal=_journal(meta, to_line) if opening.keep else None,
        to_line=to_line,
        swarms=swarms,
        make_model=lambda name: models.use(choose(replace(settings, model=name))),
        closers=(
            background.close,
            first_map.close,
            indexes.close,
            sandbox.aclose,
            lambda: agent.model.close(),
            swarms.close,
            checkpoints.close,
            *(() if opening.keep else (_forgetting(meta, agent),)),
            _tidying(settings.data_dir, opening.cwd),
        ),
    )
    if resumed:
        try:
            await session.catch_up()
        except BaseException:  # nobody will hold it, and its journal is locked
            await session.close()
            raise
    opened = SessionOpened(
        meta.id, str(opening.cwd), model.profile.id, settings.permission_mode, __version__, resumed is not None
    )
    said = [*notices, *(resumed.notices if resumed else ())]
    said += [Notice("warning", text) for text in (*settings.warnings, *instructions.notices)]
    if settings.permission_mode == "auto" and settings.sandbox != "off" and not sandbox.usable:
        said.append(Notice("warning", _unconfined(sandbox)))
    return Assembled(session, opened, tuple(said), resumed.records if resumed else (), indexes)


async def _check_commit(opening: Opening) -> None:
    if not opening.settings.commit:
        return
    from kimi_code.repo.repository import CommitError, open_repository

    try:
        await open_repository(opening.cwd, branch=opening.branch)
    except CommitError as error:
        raise UsageError(f"--commit: {error.message}", hint=error.hint) from None


def _stages(
    opening: Opening,
    agent: Agent,
    meta: SessionMeta,
    background: Background,
    boundary: Boundary,
    inside: "Callable[[Toolset, Checkout], Toolset]",
) -> tuple[Stage, ...]:
    stages: list[Stage] = []
    settings = opening.settings
    if settings.review == "turn":
        from kimi_code.agent.review import TurnReview

        file_mb = settings.checkpoints.file_mb
        snapshots = open_snapshots(opening.cwd, settings.data_dir, opening.config_dir, file_mb=file_mb)
        freeze = partial(freeze_tree, opening, snapshots, meta, boundary)
        # What could not be applied must not go with a session that is not kept.
        patches = meta.path / "patches" if opening.keep else settings.data_dir / "patches" / meta.id
        stages.append(TurnReview(agent, snapshots, freeze, inside, background.close, patches))
    if settings.commit:
        from kimi_code.agent.committing import Committing

        stages.append(Committing(agent, opening.cwd, opening.branch))
    return tuple(stages)


def _sandbox(settings: Settings, boundary: Boundary) -> Sandbox:
    found = find(settings.sandbox, settings.data_dir)
    return Sandbox(found, boundary, caches=settings.caches, net=settings.net)


def _unconfined(sandbox: Sandbox) -> str:
    return (
        f"Commands cannot be confined here ({'; '.join(sandbox.reasons)}), so only harmless ones and those that a rule "
        'allows run without asking: --allow "Bash(make test)". `kimi-code doctor` says more.'
    )


def _boundary(opening: Opening) -> Boundary:
    cwd = opening.cwd
    if cwd == Path(cwd.anchor):
        raise UsageError(f"{cwd} is no project folder.", hint="Go to your project, or name it: -C DIR.")
    roots = dict.fromkeys((cwd, git.find_project(cwd), *opening.settings.add_dirs))
    return Boundary(tuple(roots), (opening.settings.data_dir, opening.config_dir))


def _rules(settings: Settings) -> tuple[Rule, ...]:
    return (
        *(parse(text, "deny") for text in settings.deny),
        *(parse(text, "ask") for text in settings.ask),
        *(parse(text, "allow") for text in settings.allow),
    )


def _journal(meta: SessionMeta, to_line: Callable[[Record], str]) -> Journal:
    try:
        return Journal(meta.path, to_line)
    except OSError as error:
        raise ConfigError(
            f"The session cannot be kept in {meta.path}: {error.strerror or error}.",
            hint="Set KIMI_CODE_DIR to a folder that can be written and has room, or use --no-session.",
        ) from None


def _forgetting(meta: SessionMeta, agent: Agent) -> Callable[[], Awaitable[None]]:
    async def forget() -> None:
        # Long outputs went there, for the model to look things up in.
        shutil.rmtree(meta.path, ignore_errors=True)
        for stage in agent.stages:
            stage.forget()

    return forget


def _tidying(data_dir: Path, cwd: Path) -> Callable[[], Awaitable[None]]:
    async def tidy() -> None:
        tidy_if_due(data_dir, cwd, (sys.executable, "-m", "kimi_code", "checkpoints", "prune", "--all"))

    return tidy


def _resumed(opening: Opening) -> Resumed | None:
    store = Store(opening.settings.data_dir)
    meta: SessionMeta | None = None
    if opening.resume is not None:
        meta = store.find(opening.resume)
    elif opening.continue_last:
        meta = store.newest(opening.cwd)
    return None if meta is None else resume(meta)

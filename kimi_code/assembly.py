"""Settings + a folder -> a Session: the wiring diagram, as code. The only module that knows everyone."""

import asyncio
import os
import platform
import shutil
import sys
import time
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
from kimi_code.agent.first_map import FirstMap
from kimi_code.agent.instructions import Instructions, gather
from kimi_code.agent.prompt import SYSTEM, Surroundings, preface
from kimi_code.agent.stages import Stage
from kimi_code.config import Choice, ProviderSettings, Settings, choose, is_unconfigured
from kimi_code.config.remember import remember
from kimi_code.errors import ConfigError, UsageError
from kimi_code.events import Notice, Record, SessionOpened
from kimi_code.llm.model import Model
from kimi_code.permissions.paths import Boundary
from kimi_code.permissions.policy import Policy
from kimi_code.permissions.rules import Rule, parse
from kimi_code.permissions.sandbox import Sandbox, find
from kimi_code.repo import git
from kimi_code.repo.indexing.indexes import Indexes
from kimi_code.repo.search import Search
from kimi_code.repo.workspace import LocalWorkspace
from kimi_code.secrets import Scrubber
from kimi_code.session.bus import Bus
from kimi_code.session.checkpoints import HeldCheckpoints, open_checkpoints, open_snapshots, tidy_if_due
from kimi_code.session.codec import encode
from kimi_code.session.journal import Journal
from kimi_code.session.resume import Resumed, resume
from kimi_code.session.session import Requests, Session
from kimi_code.session.store import SessionMeta, Store
from kimi_code.tools.apply_patch import ApplyPatch
from kimi_code.tools.ask import Ask
from kimi_code.tools.background import Background
from kimi_code.tools.bash import Bash
from kimi_code.tools.edit import Edit
from kimi_code.tools.files import FileMemory
from kimi_code.tools.glob import Glob
from kimi_code.tools.grep import Grep, quoted
from kimi_code.tools.outline import Outline
from kimi_code.tools.read import Read
from kimi_code.tools.references import References
from kimi_code.tools.rename import Rename
from kimi_code.tools.symbols import Symbols
from kimi_code.tools.todo import Todo
from kimi_code.tools.tool import Tool
from kimi_code.tools.toolset import Toolset
from kimi_code.tools.write import Write
from kimi_code.values import frozen

if TYPE_CHECKING:
    from kimi_code.repo.checkout import Checkouts
    from kimi_code.repo.snapshot import Snapshots


@frozen
class Opening:
    """How a session is to be opened. `resume` is an id or its beginning; `attended` says that somebody can answer.

    `branch` is where `--commit` commits (a new one, or the last turn's), "" for the one that is checked out.
    `first_map` is the map of its first message, if it has been started already.
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
    boundary, rules = _boundary(opening, root), _rules(settings)
    await _check_commit(opening)
    resumed = _resumed(opening)
    meta = resumed.meta if resumed else Store(settings.data_dir).create()
    boundary = Boundary(boundary.roots, boundary.own, (meta.path,))
    choice, notices = await _choose(settings)
    scrubber = Scrubber(settings.secrets)
    model = _model(choice, settings, scrubber)
    tree = root or opening.cwd
    bus = Bus(last_seq=resumed.last_seq if resumed else 0)
    requests = Requests(bus.publish)
    background = Background()
    sandbox = await asyncio.to_thread(_sandbox, settings, boundary)
    files = FileMemory()
    policy = Policy(settings.permission_mode, rules, boundary, confined=sandbox.usable, network=settings.net)
    first_map = opening.first_map or FirstMap(tree, settings.data_dir / "index", settings.map_tokens)
    if resumed is None and choice.provider.kind != "scripted":  # a script's words are known already
        first_map.start()
    # A copy of the tree is not indexed, and answers about the user's own would mislead there.
    indexed = () if settings.review == "turn" else boundary.roots
    indexes = Indexes(indexed, settings.data_dir / "index", watch=opening.attended, opening=first_map.end)
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

    def describe_permissions() -> str:
        return _permissions(opening, scope.policy, sandbox)

    instructions = gather(opening.config_dir, tree, opening.cwd, limit=settings.instructions_limit)
    file_mb = settings.checkpoints.file_mb
    checkpoints = HeldCheckpoints(
        meta.id, lambda: open_checkpoints(opening.cwd, settings.data_dir, opening.config_dir, file_mb=file_mb)
    )
    agent = Agent(
        model,
        Context(SYSTEM, toolset.schemas(), meta.id, resumed.history.messages if resumed else []),
        scope,
        _preface(opening, root, scope, describe_permissions, instructions, first_map),
        Limits(settings.max_steps, settings.max_tokens, settings.max_cost, settings.timeout),
        settings.thinking,
        settings.max_retries,
        settings.retry_wait,
        checkpoints=checkpoints,
        plan=resumed.history.plan if resumed else (),
        forget=files.forget,
        crash_file=meta.path / "crash.txt" if opening.keep else None,
        permissions=describe_permissions,
    )

    scope.sees = lambda: agent.model.profile.vision
    agent.stages = _stages(opening, agent, meta, background, boundary)

    def to_line(record: Record) -> str:
        return scrubber.scrub(encode(record))

    session = Session(
        agent,
        bus,
        requests,
        meta,
        history=resumed.history if resumed else None,
        journal=_journal(meta, to_line) if opening.keep else None,
        to_line=to_line,
        make_model=lambda name: _model(choose(replace(settings, model=name)), settings, scrubber),
        closers=(
            background.close,
            first_map.close,
            indexes.close,
            sandbox.aclose,
            lambda: agent.model.close(),
            checkpoints.close,
            *(() if opening.keep else (_forgetting(meta, agent),)),
            _tidying(settings.data_dir, opening.cwd),
        ),
    )
    if resumed:
        await session.catch_up()
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
    from kimi_code.repo.commit import CommitError, open_repository

    try:
        await open_repository(opening.cwd, branch=opening.branch)
    except CommitError as error:
        raise UsageError(f"--commit: {error.message}", hint=error.hint) from None


def _stages(
    opening: Opening, agent: Agent, meta: SessionMeta, background: Background, boundary: Boundary
) -> tuple[Stage, ...]:
    stages: list[Stage] = []
    settings = opening.settings
    if settings.review == "turn":
        from kimi_code.agent.review import TurnReview

        file_mb = settings.checkpoints.file_mb
        snapshots = open_snapshots(opening.cwd, settings.data_dir, opening.config_dir, file_mb=file_mb)
        freeze = partial(_freeze, opening, snapshots, meta, boundary)
        # What could not be applied must not go with a session that is not kept.
        patches = meta.path / "patches" if opening.keep else settings.data_dir / "patches" / meta.id
        stages.append(TurnReview(agent, snapshots, freeze, with_search, background.close, patches))
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


def _blocked(output: str, *, net: bool, enclosed: bool) -> str:
    from kimi_code.permissions.blocked import blocked

    return blocked(output, net=net, enclosed=enclosed)


def build_toolset(
    files: FileMemory,
    background: Background,
    command_timeout: float,
    sandbox: Sandbox | None = None,
    *,
    indexes: Indexes,
    attended: bool,
    patches: bool = False,
    enclosed: bool = False,
) -> Toolset:
    """The tools of a session; Ask only where somebody can answer, ApplyPatch only for models that write patches."""
    search = Search()
    tools: list[Tool] = [Read(files, indexes), Write(files), Edit(files), Grep(search, indexes), Glob(search)]
    if indexes.roots:
        tools += [Outline(indexes), Symbols(indexes), References(indexes), Rename(files, indexes)]
    tools += [ApplyPatch(files)] if patches else []
    blocked = partial(_blocked, net=sandbox is not None and sandbox.net, enclosed=enclosed)
    tools += [Bash(background, command_timeout, blocked), Todo()]
    return Toolset([*tools, Ask()] if attended else tools)


async def _freeze(opening: Opening, snapshots: "Snapshots", meta: SessionMeta, boundary: Boundary) -> "Checkouts":
    from kimi_code.permissions.confinement import Confinement, find_mounts
    from kimi_code.repo.checkout import Options, freeze

    settings = opening.settings
    found = await asyncio.to_thread(find, settings.sandbox, settings.data_dir)
    mounts = await asyncio.to_thread(find_mounts, found, settings.data_dir)
    confinement = Confinement(found, mounts, boundary.own, settings.caches, settings.net)
    options = Options(settings.checkouts.linked, settings.checkouts.copied, readable=(meta.path,))
    return await freeze(snapshots, settings.data_dir / "checkouts", confinement, options)


def with_search(tools: Toolset, search: Search) -> Toolset:
    """The same tools, looking for files by another search, in a tree that is not indexed."""
    found: dict[str, Tool] = {"Grep": Grep(search, Indexes((), Path())), "Glob": Glob(search)}
    return Toolset(found.get(tool.name, tool) for tool in tools.values())


def _boundary(opening: Opening, root: Path | None) -> Boundary:
    cwd = opening.cwd
    if cwd == Path(cwd.anchor):
        raise UsageError(f"{cwd} is no project folder.", hint="Go to your project, or name it: -C DIR.")
    roots, home = [cwd], Path(os.path.expanduser("~"))  # noqa: PTH111  (Path.home raises where there is none)
    # The whole repository is the workspace, unless it holds the home folder: dotfiles are not a project.
    if root is not None and root != cwd and root not in (home, *home.parents):
        roots.append(root)
    roots += [folder for folder in opening.settings.add_dirs if folder not in roots]
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


async def _choose(settings: Settings) -> tuple[Choice, list[Notice]]:
    if not is_unconfigured(settings):
        return choose(settings), []
    from kimi_code.llm.discovery import find_local

    for base_url, models in await find_local(settings.local_servers):
        if models:
            named = next((p for p in settings.providers.values() if p.base_url == base_url), None)
            provider = named or ProviderSettings("local", base_url, "local")
            words = f"No key is set: using {models[0]} of the local server at {base_url}."
            return Choice(provider, models[0]), [Notice("info", words)]
    return choose(settings), []


def _model(choice: Choice, settings: Settings, scrubber: Scrubber) -> Model:
    provider = choice.provider
    scrubber.learn(provider.api_key)  # which may come from where settings do not look
    if provider.kind == "scripted":
        from kimi_code.llm.scripted import ScriptedModel

        model: Model = ScriptedModel(Path(choice.model_id))
    else:
        from kimi_code.llm.openai_chat import OpenAIChat
        from kimi_code.llm.profiles import profile_for

        model = OpenAIChat(
            provider.base_url,
            provider.api_key,
            profile_for(choice.model_id, provider.kind, choice.profile),
            kind=provider.kind,
            headers=provider.headers,
            silence_timeout=settings.silence_timeout,
        )
    if settings.record is not None:
        from kimi_code.llm.recording import RecordingModel

        model = RecordingModel(model, settings.record, scrubber.scrub)
    return model


async def _model_ready(settings: Settings) -> None:
    """Until a first request could be sent: the import of the SDK takes longest."""
    if not settings.model.startswith("scripted:"):
        from kimi_code.llm.sdk import preload

        await asyncio.to_thread(preload)


def _relative(cwd: Path, path: Path) -> str:
    """A path as tools take it, also of what lies beside the working folder."""
    return quoted(os.path.relpath(path, cwd).replace(os.sep, "/"))


def _permissions(opening: Opening, policy: Policy, sandbox: Sandbox) -> str:
    words = [policy.describe(attended=opening.attended)]
    if policy.mode == "auto" and policy.confined:
        words.append(sandbox.describe())
    if opening.settings.review == "turn":
        from kimi_code.agent.review import IN_A_COPY

        words.append(IN_A_COPY)
    return " ".join(words)


def _preface(
    opening: Opening,
    root: Path | None,
    scope: CallScope,
    permissions: Callable[[], str],
    instructions: Instructions,
    first_map: FirstMap,
) -> Callable[[str], Awaitable[str]]:
    async def describe(prompt: str) -> str:
        policy, drawn = scope.policy, ""
        extra = () if opening.settings.review == "turn" else policy.boundary.roots[1:]
        if prompt:
            ready, show = partial(_model_ready, opening.settings), partial(_relative, opening.cwd)
            drawn = await first_map.take(prompt, ready, show, policy.may_read)
        state = (await git.state(root)).describe() if root is not None else ""
        return preface(
            Surroundings(
                cwd=str(scope.workspace.root),
                date=time.strftime("%Y-%m-%d"),
                platform=f"{platform.system()} {platform.machine()}, {os.environ.get('SHELL', '') or 'no shell set'}",
                git=state,
                extra_roots=tuple(str(folder) for folder in extra),
                instructions=instructions.text,
                permissions=permissions(),
                map=drawn,
            )
        )

    return describe

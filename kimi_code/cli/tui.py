"""`kimi-code` on a terminal: asks for its background while the screen is imported, then runs the screen."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from kimi_code.cli.output import fail, say
from kimi_code.cli.run import RunFlags, collect_garbage_again, import_sdk_meanwhile, working_folder
from kimi_code.errors import KimiError
from kimi_code.tui import terminal

if TYPE_CHECKING:
    from kimi_code.config import Settings
    from kimi_code.repo.indexing.indexes import Indexes
    from kimi_code.session.store import Store
    from kimi_code.tui.app import KimiApp
    from kimi_code.tui.host import Opened, Place, Preferences, Symbol, Which
    from kimi_code.tui.welcome import Household


_SYMBOLS = 12
_MAP_TOKENS = 4_000
_MAP_PATIENCE = 10.0  # seconds for a large folder to be read first


def show_at_once() -> int | None:
    """The screen as without any flag; None when there is no terminal for it."""
    if terminal.unusable(os.environ):
        return None
    # As the parser of flags does it: asking every package for plugins of pydantic takes long.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")
    try:
        return show(RunFlags())
    except KimiError as error:
        return fail(error, ())


def show(flags: RunFlags, prompt: str = "", *, note: str = "") -> int:
    """Run the screen until the user leaves; returns the exit code. Raises KimiError when it cannot begin.

    `prompt` is sent at once, `note` stands above it.
    """
    folder = working_folder(flags.directory)
    question = terminal.BackgroundQuestion()
    question.ask()
    try:
        from kimi_code.tui.app import KimiApp
        from kimi_code.tui.host import Which

        host = LocalHost(flags, folder)
    finally:
        dark = question.answer()
    collect_garbage_again()
    which = Which(newest=flags.continue_last, id=flags.resume)
    app = KimiApp(host, which, prompt=prompt, typed=question.typed, note=note, dark=dark)
    code = run(app)
    if app.wants_demo:
        from kimi_code.cli.demo import demo

        return demo(on_screen=True)
    return code


def run(app: "KimiApp") -> int:
    """Run it to its end, whatever that is: session closed, terminal restored, a bug reported; returns the exit code."""
    import asyncio

    from kimi_code.cli.signals import end_when_stopped

    resumable = ""

    async def run_and_close() -> int | None:
        nonlocal resumable
        try:
            return await app.run_async()
        finally:
            session = app.main.conversation.session or app.main.conversation.last
            if session is not None and session.meta.turns and session.kept:
                resumable = session.id
            await app.main.conversation.close()
            end_when_stopped()

    code = asyncio.run(run_and_close())
    if app.crash is not None:
        from kimi_code.cli.crash import report

        failed = report(app.crash, ())
        code = failed if code is None else code
    if resumable:
        say(f"Go on with: kimi-code -r {resumable}")
    return code or 0


class LocalHost:
    """This machine, for the screen."""

    def __init__(self, flags: RunFlags, folder: Path, env: Mapping[str, str] | None = None) -> None:
        """`env` is the environment that settings are read from, the process's if left out."""
        from kimi_code.config import find_places
        from kimi_code.config.screen import peek
        from kimi_code.tui.host import Preferences

        self._flags = flags
        self._env = os.environ if env is None else env
        self._folder = folder
        self._places = find_places(self._env, folder)
        chosen = peek(self._places.user_file)
        self._indexes: Indexes | None = None  # of the newest session
        self._preferences = Preferences(chosen.theme, chosen.keys, chosen.notify, chosen.reduced_motion, chosen.vim)

    @property
    def folder(self) -> Path:
        return self._folder

    @property
    def preferences(self) -> "Preferences":
        return self._preferences

    async def open(self, which: "Which") -> "Opened":
        import asyncio

        settings = await asyncio.to_thread(self._prepare)
        from kimi_code import assembly
        from kimi_code.cli.run import swarm_start
        from kimi_code.tui.host import Opened

        made = await assembly.open_session(
            assembly.Opening(
                settings,
                self._folder,
                self._places.user_file.parent,
                continue_last=which.newest,
                resume=which.id,
                keep=not self._flags.no_session,
                attended=True,
                trust=self._flags.trust,
                swarms=swarm_start(self._flags, self._folder),
            )
        )
        self._indexes = made.indexes
        return Opened(made.session, made.opened, made.notices, made.history)

    def _prepare(self) -> "Settings":
        """The settings; what sessions are made of is imported here, off the screen's loop."""
        settings = self._settings()
        import_sdk_meanwhile(settings)
        import_module("kimi_code.assembly")
        return settings

    def _settings(self) -> "Settings":
        from kimi_code.config import load

        settings = load(self._flags, self._env, self._folder, trusted=self._flags.trust)
        # Somebody is there to be asked, unless they have said that they need not be.
        return settings if "permission_mode" in settings.origins else replace(settings, permission_mode="ask")

    def store(self) -> "Store":
        from kimi_code.session.store import Store

        return Store(self._places.data_dir)

    def memory(self) -> Path:
        from hashlib import sha256

        name = sha256(os.fsencode(self._folder)).hexdigest()[:16]
        return self._places.data_dir / "projects" / name

    async def place(self) -> "Place":
        from kimi_code.repo import git, git_state
        from kimi_code.tui.host import Place, short_folder

        folder = short_folder(self._folder)
        if git.find_root(self._folder) is None:
            return Place(folder)
        state = await git_state.state(self._folder)
        changed = state.staged + state.modified + state.untracked + state.conflicted
        return Place(folder, state.branch or state.head[:10], changed)

    async def files(self) -> Sequence[str]:
        from kimi_code.repo.search import Search

        return (await Search().files(self._folder, "**")).paths

    async def symbols(self, query: str) -> "Sequence[Symbol]":
        from kimi_code.tui.host import Symbol

        indexes = self._indexes
        if indexes is None or not indexes.roots:
            return ()
        # Not announced: the map of the first message is still to come.
        index = indexes.at(self._folder, announce=False)
        found = await index.completions(query, _SYMBOLS)
        return [
            Symbol(each.qualified, each.kind, _relative(index.root / each.path, self._folder), each.line)
            for each in found
        ]

    async def draw_map(self, focus: Sequence[str]) -> str:
        from kimi_code.llm.model import estimate_tokens
        from kimi_code.repo.outline import Focus

        if self._indexes is None:
            raise KimiError("There is no open session yet.")
        index = self._indexes.at(self._folder)
        files = tuple(str(self._folder / each) for each in focus if (self._folder / each).exists())
        words = tuple(each for each in focus if not (self._folder / each).exists())
        await index.wait(_MAP_PATIENCE)
        drawn = await index.map(_MAP_TOKENS, estimate_tokens, Focus(words, files))
        partial = "\n\nNot all files have been read yet." if drawn.partial else ""
        return (drawn.text or "No definitions are known here.") + partial

    async def models(self) -> Sequence[str]:
        from kimi_code.cli.models import list_models
        from kimi_code.config import choose

        settings = self._settings()
        names = list(settings.models)
        try:
            choice = choose(settings)
            offered = await list_models(choice.provider, silence=3.0)
        except KimiError:
            return names
        return list(dict.fromkeys((*names, *(f"{choice.provider.name}/{listing.id}" for listing in offered))))

    async def examine(self) -> str:
        import asyncio

        from kimi_code.cli.doctor import examine

        checks = await asyncio.to_thread(lambda: list(examine(self._flags)))
        marks = {"ok": "✓", "note": "·", "broken": "✗"}
        return "\n".join(f"{marks[check.state]} {check.name:<14} {check.state:<7} {check.text}" for check in checks)

    def household(self) -> "Household":
        from kimi_code.cli.household import LocalHousehold

        return LocalHousehold(self._flags, self._env, self._folder, self._places)

    def note(self, text: str) -> Path:
        from kimi_code.repo import git

        file = (git.find_root(self._folder) or self._folder) / "AGENTS.md"
        before = file.read_text("utf-8") if file.exists() else ""
        gap = "" if not before or before.endswith("\n") else "\n"
        with file.open("a", encoding="utf-8") as out:
            out.write(f"{gap}- {text}\n")
        return file


def _relative(path: Path, folder: Path) -> str:
    return os.path.relpath(path, folder).replace(os.sep, "/")

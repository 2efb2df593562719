"""The slash commands: one registry, from which completion, the palette and /help are made."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar, cast

from textual.content import Content

from kimi_code.controls import clean
from kimi_code.errors import KimiError, UsageError
from kimi_code.session.session import Session
from kimi_code.session.standing import LEVELS, MODES, Mode, Thinking
from kimi_code.session.swarms import SWARM_MODES, SwarmMode, prompt_for
from kimi_code.tui import changes
from kimi_code.tui.conversation import Job
from kimi_code.tui.host import Host, Which
from kimi_code.tui.screens.picker import Row
from kimi_code.tui.strips.figures import money, short
from kimi_code.values import frozen

if TYPE_CHECKING:
    from textual.screen import Screen

T = TypeVar("T")


class Desk(Protocol):
    """What commands work with; the main screen is one."""

    @property
    def host(self) -> Host: ...
    @property
    def session(self) -> Session:
        """The open session. Raises KimiError while there is none."""
        ...

    async def settled(self) -> None:
        """Wait until a session is open, or could not be opened."""
        ...

    def say(self, text: str) -> None:
        """A line among the transcript's, for the person only."""
        ...

    def fail(self, error: Exception) -> None:
        """A line that says what went wrong."""
        ...

    def read(self, title: str, text: Content | Callable[[int], Content]) -> None:
        """A page over the screen: text, or what makes it for a width in cells."""
        ...

    async def pick(self, title: str, rows: Sequence[Row]) -> str | None:
        """One of several; None when the person closed the list."""
        ...

    async def ask_line(self, title: str) -> str | None: ...
    async def show(self, screen: "Screen[T]") -> T | None:
        """Put a screen over this one; what it returns."""
        ...

    def submit(self, job: Job) -> None: ...
    async def open(self, which: Which) -> None:
        """Put another session on the screen. Raises KimiError while something runs."""
        ...

    async def choose_session(self) -> None: ...
    def standing_changed(self) -> None: ...
    def files_changed(self) -> None:
        """Files or turns were put back: what the screen says of them is old."""
        ...

    def aside(self, question: str) -> None:
        """A page with the answer to a question that leaves no trace."""
        ...

    def enter_swarm(self) -> bool:
        """Go to the swarm that runs, or to the newest one's timeline; False where there was none."""
        ...

    async def set_up(self) -> None:
        """Choose a server and a key again."""
        ...

    def copy(self, text: str) -> None: ...
    def last_answer(self) -> str: ...
    def themes(self) -> Sequence[str]: ...
    def use_theme(self, name: str) -> None: ...
    def leave(self) -> None: ...


Run = Callable[[Desk, str], Awaitable[None]]


@frozen
class Command:
    """`argument` names what follows ("" for nothing); `choices` are what it can be, where that is known.

    One that is `early` needs no session; the others wait until it is open.
    """

    name: str
    what: str
    run: Run
    argument: str = ""
    choices: Callable[[Desk], Awaitable[Sequence[str]]] | None = None
    early: bool = False


def _fixed(*names: str) -> Callable[[Desk], Awaitable[Sequence[str]]]:
    async def give(_: Desk) -> Sequence[str]:
        return names

    return give


# --- Settings of the session ----------------------------------------------------------------------------------------


async def _model(desk: Desk, name: str) -> None:
    chosen = name or await desk.pick("Model", [Row(name, name) for name in await desk.host.models()])
    if chosen:
        # It may have to load the provider's SDK.
        await asyncio.to_thread(desk.session.change_model, chosen)
        desk.standing_changed()
        desk.say(f"The model is {desk.session.standing.model} from the next request on.")


async def _thinking(desk: Desk, level: str) -> None:
    chosen = level or await desk.pick("Thinking", [Row(level, level) for level in LEVELS])
    if chosen:
        desk.session.set_thinking(cast("Thinking", _one_of(chosen, LEVELS)))
        desk.standing_changed()


_MODE_WORDS = {
    "ask": "reads; all else is asked",
    "edits": "reads and edits in the folder; commands are asked",
    "auto": "edits, and commands confined to the folder",
    "plan": "reads only; no edits, no other commands",
    "yolo": "everything that no deny rule forbids",
}


async def _permissions(desk: Desk, mode: str) -> None:
    chosen = mode or await desk.pick("What runs without asking", [Row(mode, mode, _MODE_WORDS[mode]) for mode in MODES])
    if chosen:
        desk.session.set_permission_mode(cast("Mode", _one_of(chosen, MODES)))
        desk.standing_changed()


async def _plan(desk: Desk, prompt: str) -> None:
    desk.session.set_permission_mode("plan")
    desk.standing_changed()
    if prompt:
        desk.submit(Job("prompt", prompt))


async def _swarm(desk: Desk, words: str) -> None:
    swarms = desk.session.swarms
    if swarms is None:
        raise UsageError("This session can have no sub-agents.")
    if words in ("", *SWARM_MODES):
        if words:
            swarms.set_mode(words)
        elif desk.enter_swarm():
            return
        desk.say(f"Sub-agents: {_SWARM_WORDS[swarms.mode]}. /swarm GOAL has a goal reached by many at once.")
        return
    if swarms.mode != "on":
        swarms.set_mode("on")
    desk.submit(Job("prompt", prompt_for(words)))


_SWARM_WORDS: dict[SwarmMode, str] = {
    "auto": "auto, the model may use them",
    "on": "on, the model is told how to use them well",
    "off": "off, the model has none",
}


def _one_of(given: str, known: Sequence[str]) -> str:
    if given not in known:
        raise UsageError(f"{given!r} is none of {', '.join(known)}.")
    return given


# --- The conversation -----------------------------------------------------------------------------------------------


async def _compact(desk: Desk, _: str) -> None:
    desk.submit(Job("compact"))


async def _context(desk: Desk, _: str) -> None:
    standing, parts = desk.session.standing, desk.session.context_parts()
    from kimi_code.tui.overview import context_page

    limit = max(standing.context_limit, 1)
    shares = [(part.name, part.tokens) for part in parts]
    head = f"{standing.model}: {short(standing.context_used)} of {short(limit)} tokens, estimated"
    free = max(limit - standing.context_used, 0)
    desk.read("What fills the context", lambda width: context_page(head, shares, free, width))


async def _cost(desk: Desk, _: str) -> None:
    standing, meta = desk.session.standing, desk.session.meta
    cost = money(standing.cost_usd) or "unknown: the model has no price in the configuration"
    desk.say(f"{meta.turns} turn{'s' * (meta.turns != 1)} · {standing.tokens:,} tokens · {cost}")


async def _sessions(desk: Desk, _: str) -> None:
    await desk.choose_session()


async def _resume(desk: Desk, id: str) -> None:
    if id:
        await desk.open(Which(id=id))
    else:
        await desk.choose_session()


async def _new(desk: Desk, _: str) -> None:
    await desk.open(Which())


async def _rename(desk: Desk, title: str) -> None:
    given = title or await desk.ask_line("A title for this session")
    if given and given.strip():
        desk.session.rename(given.strip())
        desk.say(f"This session is called: {given.strip()}")


async def _export(desk: Desk, name: str) -> None:
    from kimi_code.session.export import markdown
    from kimi_code.session.journal import read

    session = desk.session
    file = desk.host.folder / os.path.expanduser(name or f"kimi-code-{session.id}.md")
    lines = markdown(session.meta, read(session.meta.journal).records)
    try:
        with file.open("x", encoding="utf-8", errors="backslashreplace") as out:
            out.writelines(f"{session.scrub(line)}\n" for line in lines)
    except FileExistsError:
        raise UsageError(f"{file} exists already.", hint="Give another name: /export FILE") from None
    desk.say(f"Written to {file}")


async def _copy(desk: Desk, _: str) -> None:
    answer = desk.last_answer()
    if not answer:
        raise UsageError("There is no answer to copy yet.")
    desk.copy(answer)
    desk.say("The last answer is in the clipboard.")


# --- The program ----------------------------------------------------------------------------------------------------


async def _doctor(desk: Desk, _: str) -> None:
    from kimi_code.tui.overview import checks_page

    found = await desk.host.examine()
    desk.read("Doctor", lambda width: checks_page(found, width))


async def _theme(desk: Desk, name: str) -> None:
    chosen = name or await desk.pick("Theme", [Row(name, name) for name in desk.themes()])
    if chosen:
        desk.use_theme(_one_of(chosen, desk.themes()))
        desk.say(f'To keep it: theme = "{chosen}" below [screen] in config.toml')


async def _keys(desk: Desk, _: str) -> None:
    from kimi_code.tui.overview import keys_page

    own = desk.host.preferences.keys
    desk.read("Keys", lambda width: keys_page(own, width))


async def _help(desk: Desk, _: str) -> None:
    from kimi_code.tui.overview import commands_page, keys_page

    own = desk.host.preferences.keys
    desk.read("Help", lambda width: Content("\n\n").join([commands_page(COMMANDS, width), keys_page(own, width)]))


async def _init(desk: Desk, focus: str) -> None:
    from kimi_code.tui.prompts import UPDATE_AGENTS, WRITE_AGENTS

    text = UPDATE_AGENTS if (desk.host.folder / "AGENTS.md").exists() else WRITE_AGENTS
    desk.submit(Job("prompt", f"{text}\n\nThe user adds: {focus}" if focus else text))


async def _map(desk: Desk, focus: str) -> None:
    about = f" of {focus}" if focus else ""
    desk.read(f"The map{about}", Content(clean(await desk.host.draw_map(focus.split()))))


async def _btw(desk: Desk, question: str) -> None:
    asked = question or await desk.ask_line("A side question, which leaves no trace")
    if asked and asked.strip():
        desk.aside(asked.strip())


async def _login(desk: Desk, _: str) -> None:
    await desk.set_up()


async def _quit(desk: Desk, _: str) -> None:
    desk.leave()


async def _model_names(desk: Desk) -> Sequence[str]:
    return await desk.host.models()


async def _session_ids(desk: Desk) -> Sequence[str]:
    here = str(desk.host.folder)
    return [meta.id for meta in desk.host.store().list() if meta.cwd == here]


async def _theme_names(desk: Desk) -> Sequence[str]:
    return desk.themes()


_undo_words = _fixed("files", "conversation", "merge", "force")

COMMANDS: tuple[Command, ...] = (
    Command("help", "Commands and keys", _help, early=True),
    Command("model", "Another model from the next request on", _model, "[NAME]", _model_names),
    Command("thinking", "How much the model thinks", _thinking, "[LEVEL]", _fixed(*LEVELS)),
    Command("permissions", "What runs without asking", _permissions, "[MODE]", _fixed(*MODES)),
    Command("plan", "Plan mode: reads only", _plan, "[PROMPT]"),
    Command(
        "swarm",
        "A goal for many; on, off, auto; alone: to the newest",
        _swarm,
        "[GOAL]",
        _fixed(*SWARM_MODES),
    ),
    Command("compact", "Sum the conversation up now, to make room", _compact),
    Command("context", "What fills the model's window", _context),
    Command("cost", "Tokens and money of this session", _cost),
    Command("undo", "Take back turns: files and conversation, after a look", changes.undo, "[N] [WHAT]", _undo_words),
    Command("redo", "Bring back what undo took", changes.redo, "[N]"),
    Command("checkpoints", "The timeline: look at, compare, restore earlier states", changes.checkpoints, "[ID]"),
    Command("review", "Decide on what changed: keep, take back, comment", changes.review, "[CHECKPOINT]"),
    Command("diff", "What changed since the session began, or a checkpoint", changes.diff, "[CHECKPOINT]"),
    Command("fork", "Go on in a new session with this one's history", changes.fork),
    Command("sessions", "Search, resume, rename, fork, export, delete", _sessions),
    Command("resume", "Go on with another session", _resume, "[ID]", _session_ids),
    Command("new", "Begin a new session", _new),
    Command("rename", "Give this session a title", _rename, "[TITLE]"),
    Command("export", "This session as a Markdown file", _export, "[FILE]"),
    Command("copy", "Copy the last answer", _copy),
    Command("btw", "A side question that leaves no trace", _btw, "[QUESTION]"),
    Command("init", "Write AGENTS.md from the repository, or bring it up to date", _init, "[WORDS]"),
    Command("map", "What matters in the repository", _map, "[FILES AND NAMES]"),
    Command("login", "Another server or key: the set-up of the first start", _login, early=True),
    Command("doctor", "Check what a run needs", _doctor, early=True),
    Command("theme", "Other colours", _theme, "[NAME]", _theme_names, early=True),
    Command("keys", "All keys", _keys, early=True),
    Command("quit", "Leave; the session can be resumed", _quit, early=True),
)


def find(name: str) -> Command:
    """The command of that name, or with that beginning. Raises UsageError when there is none, or more than one."""
    exact = [command for command in COMMANDS if command.name == name]
    found = exact or [command for command in COMMANDS if name and command.name.startswith(name)]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"/{name} could be {', '.join('/' + command.name for command in found)}.")
    raise UsageError(f"There is no command /{name}.", hint="/help shows all of them.")


async def run(desk: Desk, line: str) -> None:
    """Run `/name argument`; what goes wrong is said."""
    name, _, argument = line.removeprefix("/").partition(" ")
    try:
        command = find(name)
        if not command.early:
            await desk.settled()
        await command.run(desk, argument.strip())
    except (KimiError, OSError) as error:
        desk.fail(error)

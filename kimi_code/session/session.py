"""The facade: what a front end holds. `prompt`, `steer`, `reply`, `interrupt` go in, Records come out."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from kimi_code.agent.asking import Asker
from kimi_code.agent.budget import Spent
from kimi_code.agent.checks import Checks
from kimi_code.agent.environment import Agent
from kimi_code.agent.history import History
from kimi_code.agent.loop import Turn
from kimi_code.errors import CheckpointError, KimiError, UsageError
from kimi_code.events import (
    MessageCompleted,
    Notice,
    PlanUpdated,
    Record,
    Reply,
    SessionOpened,
    SessionRenamed,
    TodoItem,
    TurnEnded,
    TurnRedone,
    TurnUndone,
    UsageAdded,
)
from kimi_code.llm.model import Model, Thinking
from kimi_code.messages import Image, Message, Usage
from kimi_code.permissions.verdict import Mode
from kimi_code.session.bus import Bus, Listener
from kimi_code.session.chronicle import Chronicle
from kimi_code.session.codec import encode
from kimi_code.session.journal import Journal
from kimi_code.session.requests import Requests
from kimi_code.session.standing import ContextPart, Standing, context_parts
from kimi_code.session.store import SessionMeta, Store
from kimi_code.session.swarms import SwarmDesk
from kimi_code.values import frozen

if TYPE_CHECKING:
    from kimi_code.repo.checkpoints.checkpoint_log import Scope
    from kimi_code.session.rewind import Rewinder, Rewound, Wish
    from kimi_code.session.timeline import Timeline

T = TypeVar("T")


@frozen
class TurnChecks:
    """What a turn must satisfy before it ends: a command that exits 0, a JSON Schema that the answer fits."""

    verify: str | None = None
    output_schema: Mapping[str, object] | None = None


class Session:
    """One conversation. Made by assembly; owns the running turn, the journal and what must be closed."""

    def __init__(
        self,
        agent: Agent,
        bus: Bus,
        requests: Requests,
        meta: SessionMeta,
        *,
        history: History | None = None,
        unended: Usage | None = None,
        journal: Journal | None = None,
        to_line: Callable[[Record], str] = encode,
        make_model: Callable[[str], Model] | None = None,
        swarms: SwarmDesk | None = None,
        closers: Sequence[Callable[[], Awaitable[None]]] = (),
    ) -> None:
        self._agent = agent
        self._bus = bus
        self._requests = requests
        self._chronicle = Chronicle(meta, history or History(), journal)
        self._to_line = to_line
        self._make_model = make_model
        self._swarms = swarms
        self._closers = tuple(closers)
        self._steers: deque[str] = deque()
        self._running: asyncio.Task[Any] | None = None
        self._at_rest = asyncio.Event()  # not while files or turns are put back
        self._at_rest.set()
        self._unended = unended or Usage()  # what a killed turn took, not told yet
        self._shells = 0
        self._turns = meta.turns
        agent.check, agent.spent = self._chronicle.check, self._spent
        agent.touched = lambda: self._chronicle.history.touched
        bus.subscribe(self._hear)

    @property
    def id(self) -> str:
        return self._chronicle.meta.id

    @property
    def running(self) -> bool:
        """Whether something is under way: a turn, a compaction, a command of the user's."""
        return self._running is not None

    @property
    def kept(self) -> bool:
        """Whether there is a journal, so that it can be resumed."""
        return self._chronicle.journal is not None

    @property
    def meta(self) -> SessionMeta:
        return self._chronicle.meta

    @property
    def plan(self) -> tuple[TodoItem, ...]:
        """The agent's plan as it stands."""
        return self._agent.plan

    @property
    def swarms(self) -> SwarmDesk | None:
        """The way to the session's swarms; None where it cannot have any."""
        return self._swarms

    def line(self, record: Record) -> str:
        """The record as a line of JSON, as the journal keeps it: without secrets."""
        return self._to_line(record)

    def scrub(self, text: str) -> str:
        """`text` without secrets, for what is shown."""
        return self._agent.scope.scrub(text)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Hear every Record from now on, at once and in order; call what is returned to stop."""
        return self._bus.subscribe(listener)

    def open(self, opened: SessionOpened, notices: Sequence[Notice] = ()) -> None:
        """Publish the first records; after the front end has subscribed."""
        self._bus.publish(opened)
        if self._unended.total:
            price = self._agent.model.profile.price
            self._pay("unended", self._unended, None if price is None else price.cost(self._unended))
            self._unended = Usage()
        for notice in notices:
            self._bus.publish(notice)

    async def prompt(self, text: str, checks: TurnChecks | None = None, images: Sequence[Path] = ()) -> TurnEnded:
        """Run a turn to its end; `images` are files that are shown to the model, and copied, with the prompt.

        Raises KimiError, and nothing has begun, while a turn runs (use steer) and for images that cannot be sent.
        """
        self._be_idle()
        pictures = await self._pictures(images) if images else ()
        checks = checks or TurnChecks()
        self._turns += 1
        if news := self._chronicle.history.news():
            self._agent.notes.append(news)
        turn = Turn(self._agent, self._turns, text, Checks(checks.verify, checks.output_schema), self._steers, pictures)
        return await self._run(turn.run())

    async def _pictures(self, files: Sequence[Path]) -> tuple[Image, ...]:
        if not await self._agent.model.sees():
            raise UsageError(
                f"The model {self._agent.model.profile.id} cannot see images; nothing was sent.",
                hint="Choose one that can (/model or -m), or say that it can: [models.NAME] vision = true.",
            )
        from kimi_code.repo.images import read

        folder = self._chronicle.meta.path / "blobs"
        return tuple([await asyncio.to_thread(read, file, folder) for file in files])

    async def shell(self, command: str) -> None:
        """Run a command of the user's own, unasked and unconfined; the model learns of it with the next prompt.

        Raises CancelledError when interrupted, KimiError while something else runs.
        """
        self._be_idle()
        from kimi_code.session.shell import run_shell

        self._shells += 1
        await self._run(run_shell(self._agent, command, f"shell-{self._turns}-{self._shells}"))

    async def compact(self) -> None:
        """Replace the history by a summary now. Raises KimiError when the model cannot, CancelledError on interrupt."""
        self._be_idle()
        agent = self._agent
        budget = agent.new_budget()
        budget.check()
        try:
            await self._run(Asker(agent, budget).compact(agent.model.profile.context))
        finally:
            self._pay("compaction", budget.usage, budget.cost)

    async def aside(self, question: str, heard: Callable[[str], object] = lambda _: None) -> str:
        """The answer to a question about the conversation that leaves no trace but what it cost.

        It may be asked while a turn runs. `heard` gets the words as they come. Raises KimiError when there is none.
        """
        from kimi_code.session.aside import request_for

        agent = self._agent
        budget = agent.new_budget()
        budget.check()
        try:
            return self.scrub(await Asker(agent, budget).aside(request_for(agent, question), heard))
        finally:
            self._pay("aside", budget.usage, budget.cost)

    def _pay(self, why: Literal["aside", "compaction", "unended"], usage: Usage, cost_usd: float | None) -> None:
        if usage.total:
            self._bus.publish(UsageAdded(why, usage, cost_usd))

    async def _run(self, work: Coroutine[Any, Any, T]) -> T:
        task = self._running = asyncio.create_task(work)
        try:
            return await task
        finally:
            self._running = None

    async def catch_up(self) -> None:
        """Do what an undo that was killed half way left undone of the conversation."""
        from kimi_code.session.rewind import Conversation, catch_up

        if self._agent.checkpoints is not None:
            with contextlib.suppress(CheckpointError):
                turns = await self._agent.checkpoints().turns(self.id)
                catch_up(turns, Conversation(self._chronicle.history, self._bus.publish))

    async def undo(self, wish: "Wish") -> "Rewound":
        """Take turns of the folder back, files and conversation, of this session or another.

        Raises KimiError while a turn runs, when there is nothing to undo, or when another session concerned is open.
        """
        with self._alone():
            return await self._rewinder().run("undo", wish)

    async def redo(self, wish: "Wish") -> "Rewound":
        """Bring back what undo took; raises KimiError as undo does."""
        with self._alone():
            return await self._rewinder().run("redo", wish)

    @property
    def timeline(self) -> "Timeline":
        """The folder's checkpoints, and the ways back to them. Raises KimiError where there are none."""
        from kimi_code.session.timeline import Timeline

        rewinder = self._rewinder()
        return Timeline(self.id, rewinder.checkpoints, rewinder, self._alone, self._put_back)

    @property
    def prompts(self) -> dict[int, str]:
        """The prompts of the turns that are not taken back, by the turn's number, oldest first."""
        history = self._chronicle.history
        return {turn: text for turn, text in history.prompts.items() if turn not in history.undone}

    async def rewind(self, turn: int, scope: "Scope") -> "Rewound":
        """Take back `turn` of this session and all after it, as far as they are not; raises KimiError as undo does."""
        from kimi_code.repo.checkpoints.checkpoint_log import without
        from kimi_code.session.rewind import Wish

        states = await self._rewinder().checkpoints.turns(self.id)
        count = sum(state.turn >= turn and bool(without(scope, state.undone)) for state in states)
        return await self.undo(Wish(count, self.id, scope=scope))

    def _rewinder(self) -> "Rewinder":
        from kimi_code.session.rewind import Conversation, Rewinder

        if self._agent.checkpoints is None:
            raise KimiError("There are no checkpoints in this session, so nothing can be put back.")
        own = {self.id: Conversation(self._chronicle.history, self._bus.publish)}
        store = Store(self._chronicle.meta.path.parent.parent)
        return Rewinder(self._agent.checkpoints(), store, self._to_line, own)

    def _put_back(self, words: str) -> None:
        """Files are not as the model has seen them."""
        self._agent.forget()
        message = Message("user", self._agent.scope.scrub(f"{words} Read before you edit."), source="notice")
        self._agent.context.add(message)
        self._bus.publish(MessageCompleted(message))

    @contextlib.contextmanager
    def _alone(self) -> Generator[None]:
        self._be_idle()
        self._at_rest.clear()
        try:
            yield
        finally:
            self._at_rest.set()

    def _be_idle(self) -> None:
        if self._running is not None or not self._at_rest.is_set():
            what = "A turn is running." if self._running else "Files or turns are being put back."
            raise KimiError(what, hint="Wait for its end, or interrupt it.")

    def steer(self, text: str) -> None:
        """Say something to the running turn; the model reads it with its next step."""
        self._steers.append(text)
        self._agent.spoken_to.set()

    def reply(self, request_id: str, answer: Reply) -> bool:
        """Answer a RequestOpened; False when it was withdrawn or answered already."""
        return self._requests.reply(request_id, answer)

    def interrupt(self) -> None:
        """Stop the running turn: its commands are killed, its history made whole, TurnEnded published."""
        if self._running is not None:
            self._running.cancel()

    def retry_now(self) -> None:
        """Do not wait any longer before the next try of a request that failed."""
        self._agent.hurry.set()

    @property
    def standing(self) -> Standing:
        """The model and its settings, the context's size, what was spent."""
        agent, profile = self._agent, self._agent.model.profile
        meta, spent = self._chronicle.meta, self._chronicle.spent
        cost = meta.cost_usd
        if profile.price is not None:
            cost = (cost or 0.0) + profile.price.cost(spent)
        return Standing(
            profile.id,
            agent.thinking,
            agent.scope.policy.mode,
            agent.context.tokens,
            profile.context,
            meta.tokens + spent.total,
            cost,
        )

    def _spent(self) -> Spent:
        standing = self.standing
        return Spent(standing.tokens, standing.cost_usd or 0.0)

    def context_parts(self) -> tuple[ContextPart, ...]:
        """What fills the model's window."""
        return context_parts(self._agent.context)

    def change_model(self, name: str) -> None:
        """From the next request on, another model, named as with -m. Raises KimiError when it cannot be used."""
        if self._make_model is None:
            raise KimiError("The model of this session cannot be changed.")
        self._agent.model = self._make_model(name)

    def set_thinking(self, level: Thinking | None) -> None:
        """How much the model thinks, from the next request on; None leaves it to the model."""
        self._agent.thinking = level

    def set_permission_mode(self, mode: Mode) -> None:
        """What runs without asking, from the next call on; the model is told with the next prompt."""
        agent = self._agent
        agent.scope.policy = replace(agent.scope.policy, mode=mode)
        if agent.introduced:
            agent.notes[:] = [note for note in agent.notes if not note.startswith("<permissions>")]
            agent.notes.append(f"<permissions>\nThese hold from now on: {agent.permissions()}\n</permissions>")

    def rename(self, title: str) -> None:
        """Give the session a title of the user's own."""
        self._bus.publish(SessionRenamed(title))

    async def close(self) -> None:
        """Stop what runs, kill background commands, close the connection and the journal. Safe to call twice."""
        await self._come_to_rest()
        for close in self._closers:
            await close()
        self._chronicle.close()

    async def _come_to_rest(self) -> None:
        """How a turn ends, and what was put back, is still to be recorded."""
        self.interrupt()
        if self._running is not None:
            await asyncio.wait({self._running})
        await self._at_rest.wait()

    def _hear(self, record: Record) -> None:
        self._chronicle.keep(record)
        if record.agent != "main":
            return
        match record.event:
            case PlanUpdated(items=items):
                self._agent.plan = items
            case TurnUndone(conversation=True) | TurnRedone(conversation=True):
                self._see_again()
            case _:
                pass

    def _see_again(self) -> None:
        """The history is another than it was: so is what the model has seen, of the surroundings and of files."""
        agent, history = self._agent, self._chronicle.history
        agent.context.replace(history.messages)
        agent.plan = history.plan
        agent.introduced = False
        agent.forget()

"""The facade: what a front end holds. `prompt`, `steer`, `reply`, `interrupt` go in, Records come out."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from kimi_code.agent.asking import Asker
from kimi_code.agent.budget import Budget
from kimi_code.agent.checks import Checks
from kimi_code.agent.environment import Agent
from kimi_code.agent.loop import Turn
from kimi_code.errors import KimiError
from kimi_code.events import (
    Deny,
    Event,
    Notice,
    PlanUpdated,
    Record,
    Reply,
    Request,
    RequestClosed,
    RequestOpened,
    SessionOpened,
    SessionRenamed,
    StepEnded,
    TurnEnded,
)
from kimi_code.llm.model import Model, Thinking
from kimi_code.messages import Usage
from kimi_code.permissions.verdict import Mode
from kimi_code.session.bus import Bus, Listener
from kimi_code.session.codec import encode
from kimi_code.session.journal import Journal
from kimi_code.session.standing import ContextPart, Standing, context_parts
from kimi_code.session.store import SessionMeta, follow, save_meta
from kimi_code.values import frozen

T = TypeVar("T")


@frozen
class TurnChecks:
    """What a turn must satisfy before it ends: a command that exits 0, a JSON Schema that the answer fits."""

    verify: str | None = None
    output_schema: Mapping[str, object] | None = None


@dataclass(slots=True)
class Requests:
    """The slots for replies; a slot exists before anybody can see its request."""

    publish: Callable[[Event], object]
    _slots: dict[str, asyncio.Future[Reply]] = field(default_factory=dict[str, "asyncio.Future[Reply]"])
    _count: int = 0

    async def ask(self, request: Request) -> Reply:
        """Publish the request and wait for its reply; withdrawn with a Deny when cancelled."""
        self._count += 1
        request_id = f"r{self._count}"
        slot: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._slots[request_id] = slot
        answer: Reply = Deny("withdrawn")
        try:
            self.publish(RequestOpened(request_id, request))
            answer = await slot
            return answer
        finally:
            del self._slots[request_id]
            self.publish(RequestClosed(request_id, answer))

    def reply(self, request_id: str, answer: Reply) -> bool:
        """Fill the slot; False when nobody waits for it any more."""
        slot = self._slots.get(request_id)
        if slot is None or slot.done():
            return False
        slot.set_result(answer)
        return True


class Session:
    """One conversation. Made by assembly; owns the running turn, the journal and what must be closed."""

    def __init__(
        self,
        agent: Agent,
        bus: Bus,
        requests: Requests,
        meta: SessionMeta,
        *,
        journal: Journal | None = None,
        to_line: Callable[[Record], str] = encode,
        make_model: Callable[[str], Model] | None = None,
        closers: Sequence[Callable[[], Awaitable[None]]] = (),
    ) -> None:
        self._agent = agent
        self._bus = bus
        self._requests = requests
        self._meta = meta
        self._journal = journal
        self._to_line = to_line
        self._make_model = make_model
        self._closers = tuple(closers)
        self._steers: deque[str] = deque()
        self._running: asyncio.Task[Any] | None = None
        self._spent = Usage()  # by the turn that runs
        self._shells = 0
        self._broken: OSError | None = None
        self._turns = meta.turns
        agent.check = self._check
        bus.subscribe(self._keep)

    @property
    def id(self) -> str:
        return self._meta.id

    @property
    def running(self) -> bool:
        """Whether something is under way: a turn, a compaction, a command of the user's."""
        return self._running is not None

    @property
    def kept(self) -> bool:
        """Whether there is a journal, so that it can be resumed."""
        return self._journal is not None

    @property
    def meta(self) -> SessionMeta:
        return self._meta

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
        for notice in notices:
            self._bus.publish(notice)

    async def prompt(self, text: str, checks: TurnChecks | None = None) -> TurnEnded:
        """Run a turn to its end; a second prompt while one runs is refused with KimiError (use steer)."""
        self._be_idle()
        checks = checks or TurnChecks()
        self._turns += 1
        turn = Turn(self._agent, self._turns, text, Checks(checks.verify, checks.output_schema), self._steers)
        return await self._run(turn.run())

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
        budget = Budget(agent.limits, agent.model.profile.price)
        try:
            await self._run(Asker(agent, budget).compact(agent.model.profile.context))
        finally:
            cost = budget.cost
            spent = None if cost is None else (self._meta.cost_usd or 0.0) + cost
            self._meta = replace(self._meta, tokens=self._meta.tokens + budget.usage.total, cost_usd=spent)

    async def _run(self, work: Coroutine[Any, Any, T]) -> T:
        task = self._running = asyncio.create_task(work)
        try:
            return await task
        finally:
            self._running = None

    def _be_idle(self) -> None:
        if self._running is not None:
            raise KimiError("A turn is running.")

    def steer(self, text: str) -> None:
        """Say something to the running turn; the model reads it with its next step."""
        self._steers.append(text)

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
        cost = self._meta.cost_usd
        if profile.price is not None:
            cost = (cost or 0.0) + profile.price.cost(self._spent)
        return Standing(
            profile.id,
            agent.thinking,
            agent.scope.policy.mode,
            agent.context.tokens,
            profile.context,
            self._meta.tokens + self._spent.total,
            cost,
        )

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
            agent.notes[:] = [f"<permissions>\nThese hold from now on: {agent.permissions()}\n</permissions>"]

    def rename(self, title: str) -> None:
        """Give the session a title of the user's own."""
        self._bus.publish(SessionRenamed(title))

    async def close(self) -> None:
        """Kill background commands, close the connection and the journal. Safe to call twice."""
        self.interrupt()
        for close in self._closers:
            await close()
        if self._journal is not None:
            self._journal.close()
            if self._turns and self._broken is None:
                save_meta(self._meta)

    def _keep(self, record: Record) -> None:
        self._meta = follow(self._meta, record)
        if isinstance(record.event, StepEnded):
            self._spent += record.event.usage
        elif isinstance(record.event, TurnEnded):
            self._spent = Usage()
        if isinstance(record.event, PlanUpdated):
            self._agent.plan = record.event.items
        if self._journal is None or self._broken is not None:
            return
        try:
            self._journal.write(record)
        except OSError as error:
            # Work that cannot be recorded must stop, but the front end has still to hear how it ended.
            self._broken = error

    def _check(self) -> None:
        if self._broken is not None:
            reason = self._broken.strerror or str(self._broken)
            raise KimiError(
                f"The session cannot be saved any more: {reason}.",
                hint="Nothing that was done is lost; make room, or use --no-session.",
            )

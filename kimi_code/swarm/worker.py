"""One sub-agent: a session whose front end is the swarm. Its records go out under its path, its journal is its own."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from kimi_code.agent.budget import Limits
from kimi_code.agent.call import CallScope
from kimi_code.agent.context import Context
from kimi_code.agent.environment import Agent
from kimi_code.agent.history import fold
from kimi_code.agent.prompt import SYSTEM
from kimi_code.agent.review import policy_inside
from kimi_code.events import (
    AgentFinished,
    AgentSpawned,
    AgentWaiting,
    ContextCompacted,
    Effect,
    Event,
    Outcome,
    Record,
    Reply,
    Request,
    StepEnded,
    TextDelta,
    ThoughtDelta,
    ToolEnded,
    ToolStarted,
    TurnEnded,
)
from kimi_code.llm.limiter import Waiting
from kimi_code.llm.model import Model
from kimi_code.permissions.policy import Policy
from kimi_code.repo.checkout import Checkout
from kimi_code.repo.workspace import Workspace
from kimi_code.session import journal
from kimi_code.session.bus import Bus
from kimi_code.session.journal import Journal
from kimi_code.session.requests import Requests
from kimi_code.session.session import Session, TurnChecks
from kimi_code.session.store import SessionMeta
from kimi_code.swarm.agents import AgentType
from kimi_code.swarm.ledger import Ledger, Metered
from kimi_code.swarm.plan import Mode, Task
from kimi_code.swarm.prompts import child
from kimi_code.swarm.remains import Until, held, to_go_on_with
from kimi_code.swarm.seat import Cores, Seat, environment_for
from kimi_code.swarm.split import Split
from kimi_code.swarm.states import Cause, Effort
from kimi_code.swarm.tools import Note
from kimi_code.tools.background import Background
from kimi_code.tools.toolset import Toolset
from kimi_code.values import frozen

if TYPE_CHECKING:
    from kimi_code.swarm.control import Director

_SAME_CALLS_NUDGE, _SAME_CALLS_STOP = 6, 12
_SEEN_AFTER = 0.3  # seconds of waiting after which it is told
_NUDGE = (
    "You have made the same call {count} times in a row. It will not come out differently: take another way, or finish "
    "with what you have and say what stops you."
)
_SILENCE = "Nothing has come from you for {minutes:g} minutes. Finish what you are at, or say what stops you."


@frozen
class Parent:
    """What sub-agents get from the agent that starts them. `path` is its own: "main".

    `publish` and `ask` take the path of who speaks, `note` too, which tells the others. `equip` makes a toolset for a
    checkout, `describe` the preface for a workspace and a policy, `model_of` the model by its name ("" is the
    parent's own) for an agent's path; what its last argument makes is entered while requests wait.
    """

    agent: Agent
    path: str
    session_id: str
    folder: Path
    keep: bool
    publish: Callable[[Event, str], object]
    ask: Callable[[Request, str], Awaitable[Reply]]
    note: Callable[[str, str, str], int]
    equip: Callable[[Background, Checkout], Toolset]
    describe: Callable[[Workspace, Policy], Awaitable[str]]
    model_of: Callable[[str, str, Waiting], Model]
    to_line: Callable[[Record], str]
    cores: Cores
    numbers: Iterator[int] = field(default_factory=count)  # of the agents of the process

    def tell(self, event: Event) -> None:
        """Publish an event of its own."""
        self.publish(event, self.path)

    async def request(self, request: Request) -> Reply:
        """Ask in its own name."""
        return await self.ask(request, self.path)


@frozen
class Post:
    """What one sub-agent is hired for. `name` is the last part of its path. `split` makes who runs its own swarms.

    `patience` are the seconds without a sign of life after which it is nudged, and stopped after as many again.
    `take` has its files kept as they are now. `until`: with the conversation of its journal.
    """

    name: str
    task: Task
    kind: AgentType
    checkout: Checkout
    mode: Mode
    ledger: Ledger
    patience: float
    spent: Callable[[Effort], None] = lambda _: None
    waited: Callable[[Cause, float], None] = lambda cause, seconds: None
    answered: Callable[[], None] = lambda: None
    take: Callable[[], Awaitable[None]] | None = None
    until: Until | None = None
    split: "Callable[[Worker], Director] | None" = None


@dataclass(slots=True)
class Worker:
    """Made by `hire`. `work` may be called again: the conversation goes on."""

    parent: Parent
    post: Post
    path: str
    agent: Agent
    session: Session
    background: Background
    said: str = ""
    stuck: str = ""
    refused: list[str] = field(default_factory=list[str])
    _last: TurnEnded | None = None
    _total: TurnEnded = field(default_factory=lambda: TurnEnded(0, Outcome.DONE))
    _before: Effort = field(default_factory=Effort)
    _same: tuple[object, int] = (None, 0)
    _seen: float = field(default_factory=time.monotonic)
    _calls: int = 0
    _changed: bool = False
    _changing: set[str] = field(default_factory=set[str])

    async def work(self, prompt: str) -> TurnEnded:
        """One turn to its end; the swarm's deadline and the watch over its progress may cut it short."""
        self.stuck = ""
        self.agent.limits = replace(self.agent.limits, seconds=self.post.ledger.seconds_left)
        checks = TurnChecks(output_schema=self.post.task.output_schema)
        watch = asyncio.create_task(self._watch())
        try:
            ended = await self.session.prompt(prompt, checks)
        finally:
            watch.cancel()
        self._last = ended
        self.said = ended.text
        self._total = replace(
            ended,
            steps=self._total.steps + ended.steps,
            tool_calls=self._total.tool_calls + ended.tool_calls,
            usage=self._total.usage + ended.usage,
        )
        if ended.outcome is Outcome.INTERRUPTED and not self.stuck:
            # A turn that is cancelled comes to its own end, and whoever cancelled it has still to hear of it.
            raise asyncio.CancelledError
        return ended

    def steer(self, text: str) -> None:
        """Say something to it; it reads it with its next step."""
        self.session.steer(text)

    def take_changed(self) -> bool:
        """Whether its files may have changed since this was asked last."""
        changed, self._changed = self._changed, False
        return changed

    def touch(self) -> None:
        """There is a sign of life from it."""
        self._seen = time.monotonic()

    async def settle(self) -> None:
        """End the commands that still run in its checkout."""
        await self.background.close()

    async def close(self) -> None:
        """End it, and say so."""
        await self.session.close()
        total = self._total
        price = self.agent.model.profile.price
        outcome = self._last.outcome if self._last else Outcome.INTERRUPTED
        self.parent.publish(
            AgentFinished(
                outcome,
                self.said,
                self._last.error if self._last else "",
                total.steps,
                total.tool_calls,
                total.usage,
                None if price is None else round(price.cost(total.usage), 6),
            ),
            self.path,
        )

    def hear(self, record: Record) -> None:
        """Pass a record of its session on, and learn from it."""
        event = record.event
        self.touch()
        self.parent.publish(event, self.path + record.agent.removeprefix("main"))
        if record.agent != "main":
            return
        match event:
            case TextDelta() | ThoughtDelta():
                self.post.answered()
            case ToolStarted(call_id=id, tool=tool, params=params, effect=effect):
                self.post.answered()
                if effect is not Effect.READ:
                    self._changing.add(id)
                    self._changed = True
                self._note_call((tool, repr(params)))
            case ToolEnded(call_id=id, status=status, tool=tool, title=title, summary=summary):
                self._changed = self._changed or id in self._changing
                self._changing.discard(id)
                self._calls += 1
                if status == "denied":
                    self.refused.append(f"{tool} {title}: {summary}")
            case StepEnded(usage=usage):
                price = self.agent.model.profile.price
                cost = None if price is None else price.cost(usage)
                self.post.spent(Effort(1, 1, self._calls, usage, cost))
                self._calls = 0
            case _:
                pass

    def _note_call(self, call: object) -> None:
        before, count = self._same
        count = count + 1 if call == before else 1
        self._same = call, count
        if count == _SAME_CALLS_NUDGE:
            self.steer(_NUDGE.format(count=count))
        elif count >= _SAME_CALLS_STOP:
            self._stop(f"it made the same call {count} times in a row")

    async def _watch(self) -> None:
        patience, nudged = self.post.patience, False
        while True:
            silent = time.monotonic() - self._seen
            if silent < patience:
                nudged = False
                await asyncio.sleep(patience - silent)
            elif not nudged:
                nudged = True
                self.steer(_SILENCE.format(minutes=patience / 60))
                await asyncio.sleep(patience)
            else:
                self._stop(f"there was no sign of life from it for {2 * patience:g} s")
                return

    def _stop(self, why: str) -> None:
        self.stuck = why
        self.session.interrupt()


def hire(parent: Parent, post: Post) -> Worker:
    """A sub-agent in its checkout, ready to work. Raises BudgetExceeded when there may be no more agents."""
    post.ledger.hire()
    path = f"{parent.path}/{post.name}"
    folder = parent.folder / "agents" / post.name
    meta = SessionMeta(post.name, folder)
    records = journal.read(meta.journal).records if post.until else ()
    before = held(records, post.until) if post.until else []
    messages = fold(record.event for record in before).messages
    background, bus = Background(), Bus(last_seq=max((record.seq for record in records), default=0))
    checkout, above = post.checkout, parent.agent.scope
    policy = worker_policy(above.policy, checkout, above.workspace, post.mode)
    scratch = folder / "tmp" if checkout.isolation == "copy only" else None
    reads = replace(policy, mode="plan", confined=False)

    def heavy(command: str) -> bool:
        # What only reads is over at once and need not queue with test runs.
        return reads.decide("Bash", Effect.EXECUTE, (command,)).decision != "allow"

    seat = Seat(
        checkout.workspace,
        parent.cores,
        environment_for(next(parent.numbers), scratch),
        heavy,
        partial(_wait, post, bus, lambda: "cpu"),
        above.workspace.root if checkout.isolation == "copy only" else None,
    )
    inner = parent.model_of(post.task.model or post.kind.model, path, partial(_wait, post, bus))
    model = Metered(inner, post.ledger)
    equipment = [*parent.equip(background, checkout).values(), Note(partial(parent.note, path))]
    toolset = _allowed(Toolset(equipment), post.kind, post.mode)

    async def ask(request: Request) -> Reply:
        asked = time.monotonic()
        try:
            return await parent.ask(request, path)
        finally:
            post.waited("person", time.monotonic() - asked)

    scope = CallScope(toolset, policy, seat, folder / "outputs", bus.publish, ask, above.scrub)
    agent = Agent(
        model,
        Context("", session_id=f"{parent.session_id}.{post.name}"),
        scope,
        lambda _: parent.describe(seat, scope.policy),
        Limits(tokens=post.task.budget.tokens, cost=post.task.budget.cost),
        post.task.thinking or parent.agent.thinking,
        parent.agent.max_retries,
        parent.agent.retry_base,
        crash_file=folder / "crash.txt" if parent.keep else None,
    )
    scope.sees = model.sees
    session = Session(
        agent,
        bus,
        Requests(bus.publish),
        meta,
        # Its files are not on the disk before its task ends either: to sync each step of a hundred agents wins nothing.
        journal=Journal(folder, parent.to_line, sync_steps=False) if parent.keep else None,
        to_line=parent.to_line,
        closers=(background.close,),
    )
    worker = Worker(parent, post, path, agent, session, background)
    system = f"{SYSTEM}\n\n{child(post.kind.instructions)}"
    agent.context = Context(system, scope.tools.schemas(), f"{parent.session_id}.{post.name}", messages)
    if post.split is not None and (not post.kind.tools or "Swarm" in post.kind.tools):
        left = to_go_on_with(folder, post.until, before[-1].at if before else 0.0) if post.until else ()
        split = Split(agent, partial(post.split, worker), tuple(left))
        agent.stages = (split,)
        split.offer()
    bus.subscribe(worker.hear)
    parent.publish(
        AgentSpawned(
            post.task.task,
            post.kind.name,
            post.mode,
            model.profile.id,
            post.task.id,
            checkout.isolation if post.mode == "write" else "",
        ),
        path,
    )
    if records:
        # What is left out here must stay out when yet another process goes on.
        bus.publish(ContextCompacted(0, agent.context.tokens, tuple(messages)))
    return worker


@contextmanager
def _wait(post: Post, bus: Bus, ask: Callable[[], Literal["rate_limit", "slow_start", "cpu"]]) -> Generator[None]:
    """A wait: noted when it is over, and told while it lasts if it lasts for long enough to be seen.

    `ask` tells what for: the slow start may have ended by then, with the first refusal.
    """
    began, cause, told = time.monotonic(), ask(), False

    def tell() -> None:
        nonlocal told
        told = True
        bus.publish(AgentWaiting(ask()))

    timer = asyncio.get_running_loop().call_later(_SEEN_AFTER, tell)
    try:
        yield
    finally:
        timer.cancel()
        if told:
            bus.publish(AgentWaiting(""))
        post.waited(ask() if cause == "slow_start" else cause, time.monotonic() - began)


def worker_policy(policy: Policy, checkout: Checkout, outside: Workspace, mode: Mode) -> Policy:
    """What an agent may do in its checkout, from what its parent may."""
    inside = policy_inside(policy, checkout, outside)
    if mode == "read" or policy.mode == "plan":
        return replace(inside, mode="plan")
    # What was allowed to everything is allowed everything in a copy; confined it is there anyway.
    return replace(inside, mode="yolo") if policy.mode == "yolo" else inside


_CHANGING = (Effect.EDIT,)


def _allowed(tools: Toolset, kind: AgentType, mode: Mode) -> Toolset:
    names = frozenset(kind.tools) if kind.tools else frozenset(tools)
    return Toolset(
        tool for name, tool in tools.items() if name in names and not (mode == "read" and tool.effect in _CHANGING)
    )

"""One limiter for every request of the process to one provider: as many at once as it takes, and no waves of refusals.

`Limiter` queues, a `Governor` decides who may go; `Limited` is a Model whose requests pass one.
"""

import asyncio
import math
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import TypeAlias

from kimi_code.errors import ModelError, RateLimited
from kimi_code.llm.governor import Governor, Held, Rates
from kimi_code.llm.model import Chunk, Completion, Model, ModelRequest, Profile, estimate_tokens

# Makes what is entered while a request waits; it is given whom to ask what for.
Waiting: TypeAlias = Callable[[Callable[[], Held]], AbstractContextManager[None]]


@dataclass(slots=True)
class Place:
    """A request's leave to go out. `waited` is in seconds, `tokens` what the answer took, once that is known."""

    waited: float
    accept: Callable[[], None]
    taken: bool = False
    tokens: int | None = None

    def take(self) -> None:
        """The provider began to answer; to say it again means nothing."""
        if not self.taken:
            self.taken = True
            self.accept()


@dataclass(slots=True, eq=False)
class _Waiter:
    leave: asyncio.Future[None]
    agent: str
    urgent: bool
    tokens: int


class Limiter:
    """The queue before a provider, in one event loop. Urgent requests first, then agents with the fewest under way."""

    def __init__(self, rates: Rates | None = None, *, random: Random | None = None) -> None:
        self.governor = Governor(rates or Rates(), random or Random())
        # Each in the order of arrival.
        self._waiting: list[_Waiter] = []
        self._urgent: list[_Waiter] = []
        self._active: Counter[str] = Counter()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def waiting(self) -> int:
        """How many requests are in the queue."""
        return len(self._waiting) + len(self._urgent)

    @asynccontextmanager
    async def place(self, agent: str, *, urgent: bool = False, tokens: int = 0) -> AsyncGenerator[Place]:
        """Wait for leave to make one request; it is over when the block is.

        A RateLimited that leaves the block is a refusal, as is an overloaded server (503, 529); other errors are not.

        Raises:
            RateLimited: the provider has refused for so long that those who wait are sent away.
        """
        loop = asyncio.get_running_loop()
        arrived = loop.time()
        await self._leave(agent, urgent, tokens)
        governor, started = self.governor, loop.time()
        place = Place(started - arrived, partial(governor.accept, started))
        try:
            yield place
        except BaseException as error:
            if not place.taken and (refusal := _refusal(error)) is not None:
                governor.refuse(loop.time(), started, refusal.retry_after)
            else:
                governor.abandon(accepted=place.taken)
            raise
        else:
            place.take()
            governor.finish(loop.time(), started, estimated=tokens, tokens=place.tokens)
        finally:
            self._active[agent] -= 1
            self._pump()

    def held_by(self) -> Held:
        """What those in the queue wait for now."""
        return self.governor.held_by(asyncio.get_running_loop().time())

    def observe(self, headers: Mapping[str, str]) -> None:
        """Take what an answer's headers say; `headers` must find names in lower case."""
        self.governor.observe(asyncio.get_running_loop().time(), headers, time.time())

    async def _leave(self, agent: str, urgent: bool, tokens: int) -> None:
        leave = asyncio.get_running_loop().create_future()
        waiter = _Waiter(leave, agent, urgent, tokens)
        queue = self._urgent if urgent else self._waiting
        queue.append(waiter)
        self._pump()
        try:
            await leave
        except asyncio.CancelledError:
            if waiter in queue:
                queue.remove(waiter)
            elif not leave.cancelled() and leave.exception() is None:
                # Leave was given in the same moment: hand it on.
                self._active[agent] -= 1
                self.governor.abandon(accepted=False)
            self._pump()
            raise

    def _pump(self) -> None:
        """Give leave to all who may go, and see to it that the next are looked at in time."""
        due = math.inf
        if self._timer is not None:
            due = self._timer.when()
            self._timer.cancel()
            self._timer = None
        loop = asyncio.get_running_loop()
        while queue := self._urgent or self._waiting:
            if self.governor.hopeless and self.governor.held_until > loop.time():
                self._send_away()
                return
            waiter = self._first(queue)
            delay = self.governor.delay(loop.time(), waiter.tokens, urgent=waiter.urgent)
            if delay > 0:
                if delay < math.inf:
                    self._timer = loop.call_later(delay, self._pump)
                return
            queue.remove(waiter)
            if not waiter.leave.done():
                self.governor.start(loop.time(), waiter.tokens, due=due)
                self._active[waiter.agent] += 1
                waiter.leave.set_result(None)

    def _first(self, queue: list[_Waiter]) -> _Waiter:
        """Whose agent has the fewest under way, of these who came first."""
        first, fewest = queue[0], self._active[queue[0].agent]
        for waiter in queue:
            if fewest == 0:  # as good as always: most agents ask one thing at a time
                break
            if (active := self._active[waiter.agent]) < fewest:
                first, fewest = waiter, active
        return first

    def _send_away(self) -> None:
        waiting = (*self._urgent, *self._waiting)
        self._urgent.clear()
        self._waiting.clear()
        for waiter in waiting:
            if not waiter.leave.done():
                waiter.leave.set_exception(
                    RateLimited("The provider refuses every request.", hint="Wait a while, then resume.")
                )


def _refusal(error: BaseException) -> RateLimited | None:
    if isinstance(error, RateLimited):
        return error
    return RateLimited(error.message) if isinstance(error, ModelError) and error.status in (503, 529) else None


class Limited:
    """A Model whose requests pass a limiter. What `waiting` makes is entered as long as one waits for its place."""

    def __init__(
        self,
        model: Model,
        limiter: Limiter,
        agent: str,
        *,
        urgent: bool = False,
        waiting: Waiting | None = None,
    ) -> None:
        self._model = model
        self._limiter = limiter
        self._agent = agent
        self._urgent = urgent
        self._waiting = waiting

    @property
    def profile(self) -> Profile:
        return self._model.profile

    async def sees(self) -> bool:
        return await self._model.sees()

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Chunk]:
        """As `Model.stream`, once there is a place for it."""
        tokens = _size(request) if self._limiter.governor.counts_tokens else 0
        async with AsyncExitStack() as stack:
            with self._waiting(self._limiter.held_by) if self._waiting else nullcontext():
                place = await stack.enter_async_context(
                    self._limiter.place(self._agent, urgent=self._urgent, tokens=tokens)
                )
            chunks = self._model.stream(request)
            try:
                async for chunk in chunks:
                    place.take()
                    if isinstance(chunk, Completion) and chunk.usage is not None:
                        place.tokens = chunk.usage.total
                    yield chunk
            finally:
                close = getattr(chunks, "aclose", None)
                if close is not None:
                    await close()

    async def close(self) -> None:
        await self._model.close()


def _size(request: ModelRequest) -> int:
    said = (message.text + (message.thought or "") for message in request.messages)
    return sum(map(estimate_tokens, (request.system, *said)))

"""What a swarm and its agents may spend: reserved before each request, settled after it, at every level at once."""

import time
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

from kimi_code.errors import BudgetExceeded
from kimi_code.llm.model import Chunk, Completion, Model, ModelRequest, Price, Profile, estimate_tokens
from kimi_code.messages import Usage
from kimi_code.swarm.plan import Allowance

_FIRST_ANSWER = 500  # tokens that an answer is expected to take before one has been seen


@dataclass(slots=True)
class Ledger:
    """One account: an agent's, whose `parent` is the swarm's. `owner` is how it is named when it is used up.

    `spent` hears of every usage and `forbid` may raise BudgetExceeded: how the turn's own limits come in.
    """

    owner: str
    allowance: Allowance
    price: Price | None
    parent: "Ledger | None" = None
    spent: Callable[[Usage], None] = lambda _: None
    forbid: Callable[[], None] = lambda: None
    usage: Usage = field(default_factory=Usage)
    tool_calls: int = 0
    agents: int = 0
    refusal: str = ""  # the last one, by a limit of this account
    started: float = field(default_factory=time.monotonic)
    _reserved: int = 0

    def reserve(self, tokens: int) -> None:
        """Set `tokens` aside for a request. Raises BudgetExceeded where they, or anything else, is no longer there."""
        for ledger in self._chain():
            with ledger._refusing():
                ledger._check(tokens)
        for ledger in self._chain():
            ledger._reserved += tokens

    def settle(self, reserved: int, usage: Usage, tool_calls: int) -> None:
        """A reserved request is over and took `usage`; its answer asks for `tool_calls`."""
        for ledger in self._chain():
            ledger._reserved -= reserved
            ledger.usage += usage
            ledger.tool_calls += tool_calls
            ledger.spent(usage)

    def call(self, calls: int) -> None:
        """See that an answer's tool calls may be made. Raises BudgetExceeded before any of them is."""
        for ledger in self._chain():
            with ledger._refusing():
                ledger._limit("calls", ledger.tool_calls + calls, ledger.allowance.tool_calls, "tool calls")

    def hire(self) -> None:
        """Count an agent's start. Raises BudgetExceeded when there may be no more."""
        for ledger in self._chain():
            with ledger._refusing():
                ledger._limit("agents", ledger.agents + 1, ledger.allowance.agents, "agents")
        for ledger in self._chain():
            ledger.agents += 1

    @property
    def seconds_left(self) -> float | None:
        """Wall time until the nearest limit; None without one."""
        left = [
            ledger.allowance.seconds - (time.monotonic() - ledger.started)
            for ledger in self._chain()
            if ledger.allowance.seconds is not None
        ]
        return min(left) if left else None

    def exhausted(self, *, starting: bool = False) -> str:
        """Which limit would forbid a further request, and with `starting` a further agent; "" when none would."""
        try:
            for ledger in self._chain():
                ledger._check(1)
                ledger._limit("calls", ledger.tool_calls + 1, ledger.allowance.tool_calls, "tool calls")
                if starting:
                    ledger._limit("agents", ledger.agents + 1, ledger.allowance.agents, "agents")
        except BudgetExceeded as error:
            return error.message
        return ""

    def refused(self) -> str:
        """What it, or an account above it, has refused; "" when nothing yet."""
        return next((ledger.refusal for ledger in self._chain() if ledger.refusal), "")

    @property
    def cost(self) -> float | None:
        """US dollars so far; None when the price is not known."""
        return None if self.price is None else self.price.cost(self.usage)

    def _chain(self) -> "list[Ledger]":
        return [self, *(self.parent._chain() if self.parent else ())]

    @contextmanager
    def _refusing(self) -> Generator[None]:
        try:
            yield
        except BudgetExceeded as error:
            self.refusal = error.message
            raise

    def _check(self, tokens: int) -> None:
        self.forbid()
        self._limit("tokens", self.usage.total + self._reserved + tokens, self.allowance.tokens, "tokens")
        # The last call still needs an answer to it.
        self._limit("calls", self.tool_calls, self.allowance.tool_calls, "tool calls")
        if self.allowance.seconds is not None:
            self._limit("time", time.monotonic() - self.started, self.allowance.seconds, "seconds")
        if self.allowance.cost is not None:
            self._check_cost(self.allowance.cost, tokens)

    def _check_cost(self, limit: float, tokens: int) -> None:
        if self.price is None:
            raise BudgetExceeded(
                f"The cost limit of {self.owner} cannot be kept: the price of its model is not known.", budget="cost"
            )
        expected = self.price.cost(self.usage) + (self._reserved + tokens) * self.price.input / 1e6
        if expected > limit:
            raise BudgetExceeded(f"{self.owner} may spend ${limit:.4f}, which is used up.", budget="cost")

    def _limit(self, budget: str, wanted: float, limit: float | None, words: str) -> None:
        if limit is not None and wanted > limit:
            used_up = f"1 {words.removesuffix('s')}, which is" if limit == 1 else f"{limit:,g} {words}, which are"
            raise BudgetExceeded(f"{self.owner} may use {used_up} used up.", budget=budget)


class Metered:
    """A Model whose requests are paid from a ledger. Raises BudgetExceeded, besides what the model raises."""

    def __init__(self, inner: Model, ledger: Ledger) -> None:
        self._inner = inner
        self._ledger = ledger
        self._expected = 0

    @property
    def profile(self) -> Profile:
        return self._inner.profile

    async def sees(self) -> bool:
        return await self._inner.sees()

    async def stream(self, request: ModelRequest) -> AsyncIterator[Chunk]:
        """The inner model's chunks."""
        reserved = self._expected or _estimate(request)
        self._ledger.reserve(reserved)
        usage, calls = Usage(), 0
        chunks = self._inner.stream(request)
        try:
            async for chunk in chunks:
                if isinstance(chunk, Completion):
                    usage, calls = (
                        chunk.usage or Usage(reserved - _FIRST_ANSWER, output=_FIRST_ANSWER),
                        len(chunk.tool_calls),
                    )
                    self._ledger.call(calls)
                    self._expected = usage.total + _FIRST_ANSWER
                yield chunk
        finally:
            self._ledger.settle(reserved, usage, calls)
            close = getattr(chunks, "aclose", None)
            if close is not None:
                await close()

    async def close(self) -> None:
        """The inner model is its owner's."""


def _estimate(request: ModelRequest) -> int:
    texts = [request.system, *(f"{message.preface}{message.text}" for message in request.messages)]
    return sum(map(estimate_tokens, texts)) + _FIRST_ANSWER

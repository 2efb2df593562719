"""The limiter against simulated providers, in virtual time: 100 agents x 15 calls take milliseconds of ours."""

import asyncio
import math
from collections import deque
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kimi_code.errors import ModelUnavailable, RateLimited
from kimi_code.llm.governor import Bucket, Governor, Held, Rates
from kimi_code.llm.limiter import Limited, Limiter
from kimi_code.llm.model import Chunk, Completion, ModelRequest, Profile, TextChunk
from kimi_code.llm.openai_chat import OpenAIChat
from kimi_code.messages import Usage
from tests.server import FakeServer, plain
from tests.virtual_time import play


def now() -> float:
    return asyncio.get_running_loop().time()


# --- Providers ------------------------------------------------------------------------------------------------------


class Rule(Protocol):
    def admit(self, at: float, active: int) -> float | None:
        """None: taken; else the seconds after which to come again."""
        ...


@dataclass
class Sliding:
    """So many in any minute."""

    limit: int
    taken: deque[float] = field(default_factory=deque[float])

    def admit(self, at: float, active: int) -> float | None:
        while self.taken and self.taken[0] <= at - 60:
            self.taken.popleft()
        if len(self.taken) >= self.limit:
            return self.taken[0] + 60 - at
        self.taken.append(at)
        return None


@dataclass
class Fixed:
    """So many in each minute of the clock."""

    limit: int
    minute: int = 0
    count: int = 0

    def admit(self, at: float, active: int) -> float | None:
        if int(at // 60) != self.minute:
            self.minute, self.count = int(at // 60), 0
        if self.count >= self.limit:
            return 60 - at % 60
        self.count += 1
        return None


@dataclass
class Leaky:
    """So many a minute, and a burst."""

    limit: int
    burst: float
    level: float = 0.0
    at: float = 0.0

    def admit(self, at: float, active: int) -> float | None:
        self.level = max(self.level - (at - self.at) * self.limit / 60, 0.0)
        self.at = at
        if self.level + 1 > self.burst:
            return (self.level + 1 - self.burst) * 60 / self.limit
        self.level += 1
        return None


@dataclass
class AtOnce:
    limit: int

    def admit(self, at: float, active: int) -> float | None:
        return 1.0 if active >= self.limit else None


class Free:
    def admit(self, at: float, active: int) -> float | None:
        return None


@dataclass
class Provider:
    """A model whose answers take about 7 s, the first piece of them 1 s; a refusal comes after 0.1 s."""

    rule: Rule
    tells: bool = True
    random: Random = field(default_factory=lambda: Random(7))
    active: int = 0
    most: int = 0
    served: int = 0
    refused: int = 0
    profile: Profile = field(default_factory=lambda: Profile("simulated"))

    async def sees(self) -> bool:
        return False

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Chunk]:
        await asyncio.sleep(0.05)
        wait = self.rule.admit(now(), self.active)
        if wait is not None:
            self.refused += 1
            await asyncio.sleep(0.05)
            raise RateLimited("slow down", retry_after=wait if self.tells else None)
        self.active += 1
        self.most = max(self.most, self.active)
        try:
            await asyncio.sleep(1.0)
            yield TextChunk("well")
            await asyncio.sleep(self.random.lognormvariate(math.log(5.4), 0.4))
            self.served += 1
            yield Completion("well", usage=Usage(100, 0, 10))
        finally:
            self.active -= 1

    async def close(self) -> None:
        pass


REQUEST = ModelRequest("", ())


async def ask(model: Limited) -> None:
    async for _ in model.stream(REQUEST):
        pass


async def swarm(provider: Provider, limiter: Limiter, agents: int = 100, calls: int = 15) -> float:
    """Every agent asks again until it has its answers, as the agent loop does; returns the seconds it took."""

    async def work(agent: int) -> None:
        model = Limited(provider, limiter, f"main/{agent}")
        for _ in range(calls):
            attempt = 0
            while True:
                try:
                    await ask(model)
                    break
                except RateLimited as error:
                    attempt += 1
                    full = min(0.5 * 2.0**attempt, 60.0)
                    wait = full / 2 + provider.random.uniform(0, full / 2)
                    await asyncio.sleep(wait if error.retry_after is None else error.retry_after)

    start = now()
    async with asyncio.TaskGroup() as tasks:
        for agent in range(agents):
            tasks.create_task(work(agent))
    return now() - start


PROVIDERS = {
    "500 in any minute": (lambda: Sliding(500), 285),
    "500 a minute": (lambda: Fixed(500), 260),
    "500 a minute and a burst of 50": (lambda: Leaky(500, 50), 260),
    "500 a minute and a burst of 5": (lambda: Leaky(500, 5), 285),
    "50 at once": (lambda: AtOnce(50), 285),
    "no limit": (Free, 160),
}


@pytest.mark.parametrize(
    ("name", "tells"),
    [
        *((name, True) for name in PROVIDERS),
        # Without Retry-After, where refusals come by the rate at its hardest, in bursts, and by the number at once.
        ("500 in any minute", False),
        ("500 a minute and a burst of 5", False),
        ("50 at once", False),
    ],
)
def test_fewer_than_one_percent_of_a_swarms_requests_are_refused(name: str, tells: bool) -> None:
    make, seconds = PROVIDERS[name]
    provider = Provider(make(), tells)
    took = play(swarm(provider, Limiter(random=Random(1))))
    print(f"{name}: {took:.0f} s, {provider.refused} refused, {provider.most} at once")
    assert provider.served == 1500
    assert provider.refused < 15
    assert took < seconds


def test_where_the_rate_is_known_nothing_is_refused_at_all() -> None:
    provider = Provider(Sliding(500))
    took = play(swarm(provider, Limiter(Rates(requests=500))))
    assert (provider.served, provider.refused) == (1500, 0)
    assert took < 240


def test_where_the_number_at_once_is_known_nothing_is_refused_at_all() -> None:
    provider = Provider(AtOnce(50))
    took = play(swarm(provider, Limiter(Rates(at_once=50))))
    assert (provider.served, provider.refused, provider.most) == (1500, 0, 50)
    assert took < 230


def test_a_provider_that_only_refuses_is_given_up_by_all_who_wait() -> None:
    @dataclass
    class Never:
        asked: list[float] = field(default_factory=list[float])

        def admit(self, at: float, active: int) -> float | None:
            self.asked.append(at)
            return 0.0

    async def one(limiter: Limiter, provider: Provider, agent: int) -> int:
        for attempt in range(8):
            try:
                await ask(Limited(provider, limiter, f"main/{agent}"))
            except RateLimited:
                await asyncio.sleep(0.1 * 2**attempt)
        return agent

    async def all_of_them() -> float:
        start, limiter = now(), Limiter(random=Random(1))
        async with asyncio.TaskGroup() as tasks:
            for agent in range(100):
                tasks.create_task(one(limiter, provider, agent))
        return now() - start

    rule = Never()
    provider = Provider(rule)
    assert play(all_of_them()) < 60
    assert len(rule.asked) < 25


# --- What is said is heeded -----------------------------------------------------------------------------------------


def test_retry_after_holds_back_everybody_from_the_first_refusal_on() -> None:
    governor = Governor()
    for _ in range(2):
        assert governor.delay(0.0) == 0
        governor.start(0.0)
    governor.refuse(0.1, 0.0, 20.0)
    governor.refuse(0.1, 0.0, 20.0)
    assert 20 <= governor.delay(0.1) <= 21
    assert governor.delay(0.1, urgent=True) >= 20
    assert math.isclose(governor.window, 2.8)


def test_after_a_refusal_one_request_tries_before_the_rest_follow() -> None:
    governor = Governor()
    governor.start(0.0)
    governor.refuse(0.1, 0.0, None)
    then = governor.held_until
    assert 0.5 <= then - 0.1 <= 1.0
    assert governor.delay(then) == 0
    governor.start(then)
    assert math.isclose(governor.delay(then + 0.2), 0.8)
    governor.accept(then)
    assert governor.delay(then + 0.2) == 0


def test_the_headers_of_an_answer_say_when_the_next_may_go() -> None:
    governor = Governor()
    headers = {"x-ratelimit-limit": "500", "x-ratelimit-remaining": "2", "x-ratelimit-reset": "30"}
    governor.observe(10.0, headers, unix=0.0)
    for _ in range(2):
        assert governor.delay(10.0) == 0
        governor.start(10.0)
    assert governor.delay(10.0) == 30
    assert governor.delay(40.0) == 0


def test_tokens_that_are_left_count_for_large_requests_and_small_ones() -> None:
    governor = Governor()
    assert not governor.counts_tokens
    governor.observe(0.0, {"x-ratelimit-remaining-tokens": "1000", "x-ratelimit-reset-tokens": "1m0s"}, unix=0.0)
    assert governor.counts_tokens
    assert governor.delay(0.0, 2000) == 60
    assert governor.delay(0.0, 900) == 0


def test_headers_that_make_no_sense_are_passed_over() -> None:
    governor = Governor()
    governor.observe(0.0, {"x-ratelimit-remaining": "many", "x-ratelimit-reset": "soon"}, unix=0.0)
    governor.observe(0.0, {"x-ratelimit-remaining": "0"}, unix=0.0)
    assert governor.delay(0.0) == 0


@given(st.integers(10, 1000), st.lists(st.tuples(st.floats(0, 30), st.integers(1, 50)), max_size=60))
def test_a_bucket_never_lets_more_through_than_its_limit_in_any_minute(
    limit: int, asked: list[tuple[float, int]]
) -> None:
    bucket, at, taken = Bucket(limit), 0.0, list[tuple[float, int]]()
    for pause, amount in asked:
        amount = min(amount, limit // 10)
        at += pause
        at += bucket.delay(at, amount)
        bucket.take(at, amount)
        taken.append((at, amount))
    for start, _ in taken:
        assert sum(amount for when, amount in taken if start <= when < start + 59.9) <= limit + 1


# --- Who goes first -------------------------------------------------------------------------------------------------


async def _queue(limiter: Limiter, names: list[str], *, urgent: str = "main") -> list[str]:
    """The order in which `names` get a place that is free again only after each; the first holds it meanwhile."""
    order: list[str] = []

    async def one(name: str) -> None:
        async with limiter.place(name, urgent=name == urgent):
            order.append(name)
            await asyncio.sleep(1)

    async with asyncio.TaskGroup() as tasks:
        for name in names:
            tasks.create_task(one(name))
    return order


def test_the_orchestrator_goes_before_all_that_wait() -> None:
    order = play(_queue(Limiter(Rates(at_once=2)), ["a", "b", "c", "d", "e", "main"]))
    assert order == ["a", "b", "main", "c", "d", "e"]


def test_an_agent_with_many_requests_does_not_crowd_out_the_others() -> None:
    order = play(_queue(Limiter(Rates(at_once=2)), ["a", "a", "a", "a", "b", "c"]))
    assert order == ["a", "a", "b", "a", "c", "a"]


def test_who_is_cancelled_while_waiting_or_at_work_leaves_nothing_behind() -> None:
    async def story() -> Limiter:
        limiter, provider = Limiter(Rates(at_once=3)), Provider(Free())
        random = Random(5)
        tasks = [asyncio.create_task(ask(Limited(provider, limiter, f"{n % 7}"))) for n in range(60)]
        for task in random.sample(tasks, 40):
            await asyncio.sleep(random.random() / 4)
            task.cancel()
        await asyncio.wait(tasks)
        assert provider.active == 0
        # The place that is given in the moment of a cancellation is handed on.
        first = asyncio.create_task(_hold(limiter))
        second = asyncio.create_task(_hold(limiter))
        await asyncio.sleep(0)
        first.cancel()
        await second
        return limiter

    limiter = play(story())
    assert (limiter.governor.active, limiter.governor.in_air, limiter.waiting) == (0, 0, 0)


async def _hold(limiter: Limiter) -> None:
    async with limiter.place("x"):
        await asyncio.sleep(0.1)


def test_other_failures_are_no_refusals_but_an_overloaded_server_is() -> None:
    async def fail(limiter: Limiter, error: Exception) -> None:
        with pytest.raises(type(error)):
            async with limiter.place("a"):
                raise error

    limiter = Limiter()
    play(fail(limiter, ModelUnavailable("cut off", status=500)))
    assert limiter.governor.window == 4
    play(fail(limiter, ModelUnavailable("overloaded", status=529)))
    assert limiter.governor.window < 4


def test_what_waits_for_its_place_is_told_while_it_waits() -> None:
    waits: list[float] = []

    @contextmanager
    def waiting(held_by: Callable[[], Held]) -> Generator[None]:
        began = asyncio.get_running_loop().time()
        assert held_by() == "rate_limit"  # it was told how many may be under way
        yield
        waits.append(asyncio.get_running_loop().time() - began)

    async def story() -> None:
        limiter = Limiter(Rates(at_once=1))
        model = Limited(Provider(Free()), limiter, "a", waiting=waiting)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(ask(model))
            tasks.create_task(ask(model))

    play(story())
    assert len(waits) == 2
    assert waits[0] == 0
    assert waits[1] > 1


def test_what_nobody_has_limited_yet_is_a_slow_start_and_no_rate_limit() -> None:
    governor = Governor()
    for _ in range(4):
        governor.start(0.0)
    assert (governor.delay(0.0), governor.held_by(0.0)) == (math.inf, "slow_start")
    governor.observe(0.0, {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "2"}, 0.0)
    assert governor.held_by(1.0) == "rate_limit"
    assert governor.held_by(3.0) == "slow_start"
    governor.refuse(3.0, 0.0, None)
    assert governor.held_by(3.0) == governor.held_by(99.0) == "rate_limit"
    assert Governor(Rates(tokens=1_000)).held_by(0.0) == "rate_limit"


async def test_a_server_that_refuses_tells_the_limiter_with_its_first_429() -> None:
    limiter = Limiter()
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "30", "Retry-After": "2"}
    with FakeServer() as server:
        server.script(plain({"error": {"message": "slow down"}}, status=429, headers=headers))
        model = OpenAIChat(server.url, "sk-test", Profile("kimi-k3"), observe=limiter.observe)
        with pytest.raises(RateLimited):
            await ask(Limited(model, limiter, "main"))
        await model.close()
    assert 29 < limiter.governor.delay(asyncio.get_running_loop().time()) <= 30


def test_a_loop_that_comes_by_late_lets_go_what_was_due_and_an_idle_one_does_not() -> None:
    def goes_at_once(due: float) -> int:
        governor = Governor(window=100.0)
        governor.start(0.0)
        governor.accept(0.0)
        governor.finish(1.0, 0.0)  # a round trip of a second: a start every 5 ms
        governor.start(2.0, due=due)
        started = 0
        while governor.delay(2.0) == 0:
            governor.start(2.0, due=due)
            started += 1
        return started

    assert goes_at_once(math.inf) == 0
    assert goes_at_once(1.9) == 20
    assert goes_at_once(1.0) == 50  # a quarter of a second is made up for, not a pause of any length

"""When may the next request to a provider start? As many at once as it takes, and no waves of refusals. Pure.

`Governor` decides, from times it is given; `limiter` has the queue before it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Literal

from kimi_code.llm.kimi import reset_in
from kimi_code.values import frozen

# AIMD as TCP has it (RFC 5681, 9438): double per round trip until the first refusal, then x0.7 and slowly up again.
_FIRST_WINDOW = 4.0
_CUT = 0.7
_CUT_PAUSE = 2.0  # refusals closer together than this tell of one overload
_CAUTION = 0.9  # of the size that was refused: below it the window grows faster
_FAST, _SLOW = 3.0, 1.0
# Starts are spread over a round trip, a little faster than they would come by themselves.
_PACE, _PACE_AT_FIRST = 1.25, 2.0
_LATE = 0.25  # seconds of starts that are made up for: a busy loop comes by too late for one start after the other
_SMOOTHING = 0.1
_BACKOFF, _LONGEST_BACKOFF = 0.5, 8.0
_PROBE = 1.0  # between two requests that try whether the provider takes any again: a refusal comes sooner
_HOPELESS = 5  # probes refused one after the other


# What a request waits for: what the provider allows, or our own start, slow until it has shown what it takes.
Held = Literal["rate_limit", "slow_start"]


@frozen
class Rates:
    """What a provider allows, where it is known: requests and tokens a minute, requests at once. None: find out."""

    requests: int | None = None
    tokens: int | None = None
    at_once: int | None = None


@dataclass(slots=True)
class Bucket:
    """So much a minute: never more than `limit` in any minute, whichever way the provider counts."""

    limit: float
    level: float = 0.0
    at: float = 0.0

    def __post_init__(self) -> None:
        self.level = self._size

    def delay(self, now: float, amount: float) -> float:
        """Seconds until `amount` may be taken."""
        # What is larger than the whole bucket goes when it is full.
        missing = min(amount, self._size) - self._now(now)
        return max(missing, 0.0) / self._rate

    def take(self, now: float, amount: float) -> None:
        """Take `amount`, also below zero: what was underestimated is paid back. A negative one gives back."""
        self.level, self.at = min(self._now(now) - amount, self._size), now

    @property
    def _size(self) -> float:
        return self.limit / 10

    @property
    def _rate(self) -> float:
        return (self.limit - self._size) / 60

    def _now(self, now: float) -> float:
        return min(self.level + max(now - self.at, 0.0) * self._rate, self._size)


@dataclass(slots=True)
class Quota:
    """What the provider's headers said is left of something until `reset`; what starts meanwhile is counted off."""

    left: float = math.inf
    reset: float = 0.0

    def delay(self, now: float, amount: float) -> float:
        return self.reset - now if self.left < amount and now < self.reset else 0.0


@dataclass(slots=True)
class Governor:
    """When may the next request start? Pure but for `random`: every time is given, in seconds of one clock.

    A request is in the air from its start until the provider's first sign that it takes or refuses it.
    """

    rates: Rates = field(default_factory=Rates)
    random: Random = field(default_factory=Random)
    window: float = _FIRST_WINDOW
    active: int = 0
    in_air: int = 0
    held_until: float = 0.0
    requests: Quota = field(default_factory=Quota)
    tokens: Quota = field(default_factory=Quota)
    _buckets: tuple[Bucket | None, Bucket | None] = field(init=False)
    _slow_start: bool = True
    _refused_at: float = math.inf  # the window that was too large
    _last_cut: float = -math.inf
    _probing: bool = False
    _failed_probes: int = 0
    _held_since: float = -math.inf
    _round_trip: float = 0.0
    _last_start: float = -math.inf
    _paced: float = -math.inf  # when the last start was due

    def __post_init__(self) -> None:
        rates = self.rates
        self._buckets = (
            Bucket(rates.requests) if rates.requests else None,
            Bucket(rates.tokens) if rates.tokens else None,
        )
        if rates.at_once:
            self.window = float(rates.at_once)

    @property
    def hopeless(self) -> bool:
        """Whether the provider has refused for so long that waiting for it makes no sense any more."""
        return self._failed_probes >= _HOPELESS

    @property
    def counts_tokens(self) -> bool:
        """Whether an estimate of a request's tokens makes a difference."""
        return self._buckets[1] is not None or self.tokens.left < math.inf

    def held_by(self, now: float) -> Held:
        """Why a request that waits now does: nobody has been refused yet, nor told a limit, in a slow start."""
        told = self.requests.delay(now, 1) > 0 or self.tokens.delay(now, 1) > 0
        started = self._slow_start and not self._probing and now >= self.held_until
        return "slow_start" if started and not told and self.rates == Rates() else "rate_limit"

    def delay(self, now: float, tokens: int = 0, *, urgent: bool = False) -> float:
        """Seconds until a request may start, 0 for now, infinity for when another ends or is taken.

        An urgent one waits neither for a place nor for its pace, only for what the provider said.
        """
        if self.active >= self._places + (1 if urgent else 0):
            return math.inf
        requests, spent = self._buckets
        wait = max(
            self.held_until - now,
            self.requests.delay(now, 1),
            self.tokens.delay(now, tokens),
            requests.delay(now, 1) if requests else 0.0,
            spent.delay(now, tokens) if spent else 0.0,
            self._last_start + _PROBE - now if self._probing and self._last_start >= self._held_since else 0.0,
            0.0 if urgent else self._paced + self._gap - now,
        )
        # Less than a clock can tell is nothing, or a timer may be set for a moment that is over before it is reached.
        return wait if wait > 1e-6 else 0.0

    def start(self, now: float, tokens: int = 0, *, due: float = math.inf) -> None:
        """A request goes out, which was `due` earlier where the loop came by too late for it."""
        self.active += 1
        self.in_air += 1
        self._last_start = now
        self._paced = max(self._paced + self._gap, min(due, now), now - _LATE)
        self.requests.left -= 1
        self.tokens.left -= tokens
        for bucket, amount in zip(self._buckets, (1, tokens), strict=True):
            if bucket is not None:
                bucket.take(now, amount)

    def accept(self, started: float) -> None:
        """The first piece of an answer came to the request that was started then."""
        self.in_air -= 1
        if started >= self._held_since:
            self._probing, self._failed_probes = False, 0

    def finish(self, now: float, started: float, *, estimated: int = 0, tokens: int | None = None) -> None:
        """An accepted request has its whole answer, which took `tokens` where that is known."""
        self.active -= 1
        took = now - started
        self._round_trip += (took - self._round_trip) * (_SMOOTHING if self._round_trip else 1.0)
        if tokens is not None:
            self.tokens.left -= tokens - estimated
            if self._buckets[1] is not None:
                self._buckets[1].take(now, tokens - estimated)
        # A window that is not used says nothing about what the provider would take.
        if self.active + 1 >= self.window * 0.5:
            self.window += self._growth()
            self.window = min(self.window, float(self.rates.at_once or math.inf))

    def abandon(self, *, accepted: bool) -> None:
        """A request was cancelled, or failed for a reason that has nothing to do with how many there are."""
        self.active -= 1
        self.in_air -= 0 if accepted else 1

    def refuse(self, now: float, started: float, retry_after: float | None) -> None:
        """The provider said that it is too much, and perhaps for how many seconds."""
        self.active -= 1
        self.in_air -= 1
        # What was in the air when another was refused tells nothing new.
        new = started >= self._held_since
        if new and self._probing:
            self._failed_probes += 1
        elif new and now - self._last_cut >= _CUT_PAUSE:
            self._last_cut, self._slow_start = now, False
            self._refused_at = self.window
            self.window = max(self.window * _CUT, 1.0)
        backoff = min(_BACKOFF * 2.0**self._failed_probes, _LONGEST_BACKOFF)
        wait = max(retry_after or 0.0, backoff if new else 0.0)
        # Other processes were told the same second: do not all come back in it.
        until = now + wait + self.random.uniform(0.0, min(wait / 4, 1.0))
        if until > self.held_until:
            self.held_until, self._held_since = until, now
        self._probing = True

    def observe(self, now: float, headers: Mapping[str, str], unix: float) -> None:
        """Take what the headers of an answer say is left: X-RateLimit-Remaining and -Reset, also by kind.

        `unix` is the Unix time, in which some providers tell the reset.
        """
        for quota, kinds in ((self.requests, ("", "-requests")), (self.tokens, ("-tokens",))):
            for kind in kinds:
                left = _number(headers.get(f"x-ratelimit-remaining{kind}", ""))
                reset = reset_in(headers.get(f"x-ratelimit-reset{kind}", ""), unix)
                if left is not None and reset is not None:
                    # What is in the air may not have been counted yet.
                    quota.left = left - (self.in_air if quota is self.requests else 0)
                    quota.reset = now + max(reset, 0.0)

    @property
    def _places(self) -> int:
        return max(int(self.window), 1)

    @property
    def _gap(self) -> float:
        """Seconds between two starts."""
        return self._round_trip / self.window / (_PACE_AT_FIRST if self._slow_start else _PACE)

    def _growth(self) -> float:
        if self._slow_start:
            return 1.0
        return (_FAST if self.window < self._refused_at * _CAUTION else _SLOW) / self.window


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None

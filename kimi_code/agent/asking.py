"""Ask the model once, whatever it takes: retries, a strict history, compaction. Emits the step's deltas."""

import asyncio
import contextlib
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from kimi_code.agent import compaction
from kimi_code.agent.budget import Budget
from kimi_code.agent.context import estimate, strict
from kimi_code.agent.environment import Agent
from kimi_code.errors import BadRequest, BudgetExceeded, ContextFull, ModelError, ModelUnavailable, RateLimited
from kimi_code.events import ContextCompacted, Notice, StepRetried, TextDelta, ThoughtDelta
from kimi_code.llm.model import Completion, ModelRequest, TextChunk, ThoughtChunk, estimate_tokens
from kimi_code.messages import Usage

_LONGEST_WAIT = 60.0
# A server that asks for more patience than this is down for now: say so instead of sitting there.
_LONGEST_RETRY_AFTER = 300.0
_AFTER_REFUSAL = 0.7
# Seconds of an answer that came at once, after which others have their turn: keys that are typed, other agents.
_SLICE = 0.003
_HOPS = 4  # turns of the loop that others get then: a key goes through several tasks before it is seen
_STRUCTURE_WORDS = ("message", "role", "tool_call", "content")


@dataclass(slots=True)
class Asker:
    """Asks on behalf of one turn. `retrying` is true between a failed request and the next answer."""

    agent: Agent
    budget: Budget
    retrying: bool = False
    _compacted: bool = field(default=False)

    async def ask(self, response_schema: dict[str, object] | None = None) -> Completion:
        """The model's whole answer; its usage is spent. Raises ModelError or BudgetExceeded when there is none."""
        self._compacted = False
        limit = self.agent.model.profile.context
        if self.agent.context.tokens > limit * compaction.THRESHOLD:
            await self.compact(limit)
        attempt = 0
        while True:
            request = self.agent.context.request(thinking=self.agent.thinking, response_schema=response_schema)
            try:
                completion = await self._stream(request)
            except ContextFull as error:
                if self._compacted:
                    raise BudgetExceeded(
                        f"The conversation does not fit the model's context even when compacted: {error.message}",
                        budget="context",
                        hint="Start a new session, or use a model with a longer context.",
                    ) from error
                # The server's limit is below what we believe it to be: aim well below what it just refused.
                await self.compact(min(limit, int(self.agent.context.tokens * _AFTER_REFUSAL)))
            except BadRequest as error:
                if not self._make_strict(error):
                    raise
            except ModelError as error:
                attempt += 1
                wait = self._wait(error, attempt)
                if wait is None:
                    raise
                self.retrying = True
                self.agent.publish(StepRetried(attempt, round(wait, 3), self.agent.scope.scrub(error.message)))
                await self._pause(wait)
            else:
                self.retrying = False
                return self._account(completion)

    async def aside(self, request: ModelRequest, heard: Callable[[str], object] = lambda _: None) -> str:
        """The answer to a question beside the conversation, asked once; its usage is spent.

        Nothing of it is published; `heard` gets its words as they come.
        """
        return self._account(await self._stream(request, heard), calibrate=False).text

    async def _pause(self, seconds: float) -> None:
        self.agent.hurry.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.agent.hurry.wait()

    def _wait(self, error: ModelError, attempt: int) -> float | None:
        """Seconds until the next try; None when there is none."""
        if not error.retryable or attempt > self.agent.max_retries:
            return None
        if isinstance(error, RateLimited) and error.retry_after is not None:
            return None if error.retry_after > _LONGEST_RETRY_AFTER else error.retry_after
        # Half fixed, half random: clients that failed together do not come back together.
        full = min(self.agent.retry_base * 2.0 ** (attempt - 1), _LONGEST_WAIT)
        return full / 2 + random.uniform(0, full / 2)

    def _make_strict(self, error: BadRequest) -> bool:
        context = self.agent.context
        text = error.message.lower()
        if error.status != 400 or not any(word in text for word in _STRUCTURE_WORDS):
            return False
        history = strict(context.messages)
        if history == context.messages:
            return False
        self.agent.publish(
            Notice("warning", f"The server refused the history, sending a stricter one: {error.message}")
        )
        before = context.tokens
        context.replace(history)
        self.agent.publish(ContextCompacted(before, context.tokens, tuple(history)))
        return True

    async def _stream(self, request: ModelRequest, heard: Callable[[str], object] | None = None) -> Completion:
        """The whole answer; published as it comes, unless somebody else is to hear it."""
        publish = self.agent.publish
        stream = self.agent.model.stream(request)
        completion: Completion | None = None
        until = time.monotonic() + _SLICE
        try:
            async for chunk in stream:
                if time.monotonic() > until:
                    await _let_others_work()
                    until = time.monotonic() + _SLICE
                match chunk:
                    case TextChunk(text=text):
                        if heard is None:
                            publish(TextDelta(text))
                        else:
                            heard(text)
                    case ThoughtChunk(text=text):
                        if heard is None:
                            publish(ThoughtDelta(text))
                    case Completion():
                        completion = chunk
        finally:
            # End the request at once when we are cancelled, not when the garbage collector comes by.
            close = getattr(stream, "aclose", None)
            if close is not None:
                await close()
        if completion is None:
            raise ModelUnavailable("the answer ended before it was complete")
        return completion

    def _account(self, completion: Completion, *, calibrate: bool = True) -> Completion:
        usage = completion.usage
        if usage is None:
            calls = sum(estimate_tokens(call.arguments) for call in completion.tool_calls)
            output = estimate_tokens(completion.text) + estimate_tokens(completion.thought or "") + calls
            usage = Usage(input=self.agent.context.tokens, output=output)
        elif calibrate:
            self.agent.context.calibrate(usage)
        self.budget.spend(usage)
        return completion

    async def compact(self, room: int) -> None:
        """Replace the history by one that leaves space in `room` tokens.

        Raises BudgetExceeded when what must stay is longer than the model's context.
        """
        self._compacted = True
        context, limit = self.agent.context, self.agent.model.profile.context
        ratio = context.tokens / max(context.estimated, 1)
        self._refuse_hopeless(limit / ratio)
        state = await self._ask_for_state(int(room * 0.9 / ratio) - context.fixed)
        history = compaction.compact(
            context.messages,
            state=state,
            todo=self.agent.plan,
            touched=self.agent.touched(),
            limit=int(room / ratio),
            preface=await self.agent.preface(""),
        )
        if context.size_of(history) > room * compaction.THRESHOLD:
            history = compaction.shorten_results(history)
        if context.size_of(history) > limit:
            raise _too_long(context.size_of(history), limit)
        before = context.tokens
        context.replace(history)
        self.agent.publish(ContextCompacted(before, context.tokens, tuple(history)))

    def _refuse_hopeless(self, limit: float) -> None:
        # What the user said is kept word for word: if that alone is too long, no summary helps, and none is paid for.
        context = self.agent.context
        own = sum(estimate(m) for m in context.messages if m.role == "user" and m.source == "prompt")
        if context.fixed + own > limit * 0.95:
            raise _too_long(context.fixed + own, int(limit))

    async def _ask_for_state(self, limit: int) -> str:
        context = self.agent.context
        messages = compaction.ask_for_state(context.messages, limit)
        request = ModelRequest(context.system, messages, context.tools, self.agent.thinking, context.session_id)
        try:
            completion = await self._stream(request, lambda _: None)
        except ModelError as error:
            self.agent.publish(Notice("warning", f"The model could not sum up the conversation: {error.message}"))
            return ""
        return self._account(completion, calibrate=False).text


async def _let_others_work() -> None:
    for _ in range(_HOPS):
        await asyncio.sleep(0)


def _too_long(tokens: float, limit: int) -> BudgetExceeded:
    return BudgetExceeded(
        f"What was asked takes about {int(tokens):,} tokens; the model's context holds {limit:,}.",
        budget="context",
        hint="Shorten the prompt (name files instead of pasting them), or use a model with a longer context.",
    )

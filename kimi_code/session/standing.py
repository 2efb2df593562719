"""Where a session stands, as plain values: for a status line, and for the question what fills the context."""

from collections.abc import Iterable
from typing import get_args

from kimi_code.agent.context import Context, estimate
from kimi_code.llm.model import Thinking
from kimi_code.messages import Message
from kimi_code.permissions.verdict import Mode
from kimi_code.values import frozen

MODES: tuple[Mode, ...] = get_args(Mode)
LEVELS: tuple[Thinking, ...] = get_args(Thinking)


@frozen
class Standing:
    """What holds now, and what was spent since the session began.

    `context_used` and `context_limit` are tokens of the next request and of the model's window; `tokens` counts input
    and output, `cost_usd` is None when the model's price is not known.
    """

    model: str
    thinking: Thinking | None
    permission_mode: Mode
    context_used: int
    context_limit: int
    tokens: int = 0
    cost_usd: float | None = None


@frozen
class ContextPart:
    """A share of the context window, in tokens."""

    name: str
    tokens: int


def context_parts(context: Context) -> tuple[ContextPart, ...]:
    """What the next request is made of, in the order it is sent; the parts add up to about `context.tokens`."""
    ratio = context.tokens / max(context.estimated, 1)
    sizes = {"system prompt and tools": context.fixed, **_by_author(context.messages)}
    return tuple(ContextPart(name, int(size * ratio)) for name, size in sizes.items())


def _by_author(messages: Iterable[Message]) -> dict[str, int]:
    sizes = {"your words": 0, "instructions and notes": 0, "answers and calls": 0, "tool results": 0}
    for message in messages:
        size = estimate(message)
        if message.role == "tool":
            sizes["tool results"] += size
        elif message.role == "assistant":
            sizes["answers and calls"] += size
        elif message.source == "prompt":
            own = estimate(Message("user", message.text, images=message.images))
            sizes["your words"] += own
            sizes["instructions and notes"] += size - own
        else:
            sizes["instructions and notes"] += size
    return sizes

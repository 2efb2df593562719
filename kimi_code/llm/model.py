"""What a model is to the rest of the program: a Profile, and a stream of chunks that ends in one Completion."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import field
from typing import Literal, Protocol

from kimi_code.llm.tokens import estimate_tokens as estimate_tokens
from kimi_code.messages import Message, ToolCall, Usage
from kimi_code.values import frozen

Thinking = Literal["off", "on", "low", "high", "max"]

# How a provider is told to think: which body field carries the setting ("none": it cannot be told).
ThinkingStyle = Literal["none", "thinking", "reasoning_effort", "thinking_effort", "chat_template_kwargs"]


@frozen
class Price:
    """US dollars per million tokens, and the day (YYYY-MM-DD) they were noted."""

    input: float
    cached: float
    output: float
    noted: str

    def cost(self, usage: Usage) -> float:
        """Dollars for `usage`; cached input is paid at its own rate."""
        fresh = max(usage.input - usage.cached, 0)
        return (fresh * self.input + usage.cached * self.cached + usage.output * self.output) / 1e6


@frozen
class Profile:
    """What one model can do and how it is asked. `context` and `max_output` are in tokens."""

    id: str
    context: int = 131_072
    max_output: int | None = None
    tools: bool = True
    vision: bool = False
    thinking: ThinkingStyle = "none"
    # What the server's effort setting may say, from least to most.
    efforts: tuple[str, ...] = ("low", "medium", "high")
    always_thinks: bool = False
    # With thinking on, assistant messages with tool calls go back with their reasoning, else the server answers 400.
    echo_thought: bool = False
    # Ask the server to keep the reasoning of earlier turns too; then every assistant message goes back with its own.
    keep_thoughts: bool = False
    # Whether `response_format` with a JSON Schema is understood.
    response_format: bool = False
    prompt_cache_key: bool = False
    # Whether it was trained to write patches, and is offered ApplyPatch beside Edit.
    apply_patch: bool = False
    price: Price | None = None


@frozen
class ToolSchema:
    """A tool as the model sees it; `parameters` is a JSON Schema of type object."""

    name: str
    description: str
    parameters: Mapping[str, object]


@frozen
class ModelRequest:
    """One question to a model. `system` and `tools` stay byte-stable over a session, for the prefix cache."""

    system: str
    messages: Sequence[Message]
    tools: Sequence[ToolSchema] = ()
    thinking: Thinking | None = None
    session_id: str = ""
    response_schema: Mapping[str, object] | None = None


@frozen
class ThoughtChunk:
    """A piece of reasoning; adapters join what arrives at once."""

    text: str


@frozen
class TextChunk:
    """A piece of the answer; adapters join what arrives at once."""

    text: str


FinishReason = Literal["stop", "tool_calls", "length", "content_filter"]


@frozen
class Completion:
    """The last chunk: the whole answer. `usage` is None when the server told none.

    Tool calls have ids that are unique in their message and at most 64 characters long.
    """

    text: str
    thought: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    finish: FinishReason = "stop"
    usage: Usage | None = None
    trace_id: str = ""


Chunk = ThoughtChunk | TextChunk | Completion


@frozen
class ModelListing:
    """One entry of a server's list of models; unknown values are None."""

    id: str
    context: int | None = None
    display_name: str = ""
    reasoning: bool | None = None
    vision: bool | None = None
    raw: Mapping[str, object] = field(default_factory=dict[str, object])


class Model(Protocol):
    """Something that answers a ModelRequest. Errors are ModelError and its children, nothing else."""

    @property
    def profile(self) -> Profile: ...

    def stream(self, request: ModelRequest) -> AsyncIterator[Chunk]:
        """Chunks as they come; the last one is a Completion. Closing the iterator ends the request."""
        ...

    async def sees(self) -> bool:
        """Whether it can be shown images; where its profile does not say so, the server may be asked, once."""
        ...

    async def close(self) -> None: ...

"""What the model sees: system prompt, tools, history, and how many tokens that is."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from kimi_code.llm.model import ModelRequest, Thinking, ToolSchema, estimate_tokens
from kimi_code.messages import Message, Usage

# Every message costs a few tokens of framing whatever it says.
_FRAME = 4
_IMAGE = 2_000  # tokens; providers count by size, and none of the usual sizes costs more
LOST_RESULT = (
    "No result: the call was interrupted before it ended. It may have taken effect in part; check before repeating."
)


def estimate(message: Message) -> int:
    """Tokens in a message, roughly."""
    texts = [message.text, message.preface, message.thought or ""]
    texts += [call.name + call.arguments for call in message.tool_calls]
    return _FRAME + _IMAGE * len(message.images) + sum(estimate_tokens(text) for text in texts if text)


@dataclass(slots=True)
class Context:
    """One conversation as it is sent. Counting is incremental: a step costs no walk over the history."""

    system: str
    tools: tuple[ToolSchema, ...] = ()
    session_id: str = ""
    messages: list[Message] = field(default_factory=list[Message])
    _fixed: int = 0
    _estimated: int = 0
    _ratio: float = 1.0
    _whole: int = 0  # messages from the first that are known to be whole

    def __post_init__(self) -> None:
        self.offer(self.tools)
        self._estimated = sum(estimate(message) for message in self.messages)

    def offer(self, tools: tuple[ToolSchema, ...]) -> None:
        """Put other tools in place of the present ones. Costs the provider's cache: for what lasts."""
        self.tools = tools
        self._fixed = estimate_tokens(self.system) + sum(_estimate_schema(tool) for tool in tools)

    def add(self, message: Message) -> None:
        """Append to the history."""
        self.messages.append(message)
        self._estimated += estimate(message)

    def replace(self, messages: Iterable[Message]) -> None:
        """Put another history in place of the present one."""
        self.messages = list(messages)
        self._whole = 0
        self._estimated = sum(estimate(message) for message in self.messages)

    @property
    def tokens(self) -> int:
        """How much of the context the next request takes: an estimate, calibrated by what servers reported."""
        return int(self.estimated * self._ratio)

    @property
    def fixed(self) -> int:
        """Estimated tokens of the system prompt and the tools."""
        return self._fixed

    @property
    def estimated(self) -> int:
        """Tokens by estimate alone, not calibrated."""
        return self._fixed + self._estimated

    def size_of(self, messages: Iterable[Message]) -> int:
        """Calibrated tokens of a request with another history."""
        return int((self._fixed + sum(estimate(message) for message in messages)) * self._ratio)

    def calibrate(self, usage: Usage) -> None:
        """Learn from the reported input tokens of a request made with the history as it is now."""
        if usage.input > 0 and self.estimated > 0:
            self._ratio = min(max(usage.input / self.estimated, 0.3), 3.0)

    def request(
        self, *, thinking: Thinking | None = None, response_schema: dict[str, object] | None = None
    ) -> ModelRequest:
        """The next request; the history is repaired first if an interruption left it in pieces."""
        if not is_whole(self.messages[self._whole :]):
            self.replace(repair(self.messages))
        self._whole = len(self.messages)
        return ModelRequest(self.system, self.messages, self.tools, thinking, self.session_id, response_schema)


def _estimate_schema(tool: ToolSchema) -> int:
    import json

    return estimate_tokens(tool.name + tool.description + json.dumps(tool.parameters))


def is_whole(messages: Sequence[Message]) -> bool:
    """Whether every call has exactly one result, right behind it, and no message is empty."""
    open_calls: set[str] = set()
    for message in messages:
        if message.role == "tool":
            if message.call_id not in open_calls:
                return False
            open_calls.discard(message.call_id)
            continue
        if open_calls or not (message.text or message.tool_calls or message.preface or message.images):
            return False
        if message.tool_calls:
            open_calls.update(call.id for call in message.tool_calls)
    return not open_calls


def repair(messages: Iterable[Message]) -> list[Message]:
    """The history as any provider accepts it: lost results made up, orphaned results and empty messages dropped."""
    whole: list[Message] = []
    waiting: dict[str, Message | None] = {}

    def settle() -> None:
        for call_id, result in waiting.items():
            whole.append(result or Message("tool", LOST_RESULT, call_id=call_id))
        waiting.clear()

    for message in messages:
        if message.role == "tool":
            if message.call_id in waiting and waiting[message.call_id] is None:
                waiting[message.call_id] = message
            continue
        settle()
        if message.text or message.tool_calls or message.preface or message.images:
            whole.append(message)
            waiting.update({call.id: None for call in message.tool_calls})
    settle()
    return whole


def strict(messages: Iterable[Message]) -> list[Message]:
    """For servers that refuse the repaired history too: user messages in a row become one, reasoning is left out."""
    merged: list[Message] = []
    for message in repair(messages):
        message = replace(message, thought="" if message.tool_calls and message.thought is not None else None)
        if merged and message.role == "user" and merged[-1].role == "user":
            before = merged.pop()
            joined = [before.text, message.preface, message.text]
            images = (*before.images, *message.images)
            message = replace(before, text="\n\n".join(text for text in joined if text), images=images)
        merged.append(message)
    return merged

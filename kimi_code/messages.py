"""What is said to a model and by it, as plain data; no provider's dialect."""

from typing import Literal

from kimi_code.values import frozen

Role = Literal["user", "assistant", "tool"]

# Who wrote a user message: the person ("prompt"), the harness about the run ("notice"), a command that the person ran
# ("shell"), or a compaction ("summary").
Source = Literal["prompt", "notice", "shell", "summary"]


@frozen
class ToolCall:
    """A call the model made. `arguments` is its JSON text as the model wrote it, broken or not."""

    id: str
    name: str
    arguments: str


@frozen
class Image:
    """A picture in a user message. `file` is an absolute path to a copy of the session's own; sizes are in pixels."""

    file: str
    media_type: str
    name: str
    width: int = 0
    height: int = 0


@frozen
class Message:
    """One entry of the conversation.

    `preface` is what the harness puts before the user's own words (date, git state, instructions).
    `thought` is the model's reasoning; None means none was sent, "" that an empty one was (some servers want it back).
    `call_id` names the tool call that a tool message answers. `images` belong to user messages.
    """

    role: Role
    text: str = ""
    preface: str = ""
    source: Source = "prompt"
    thought: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    call_id: str = ""
    images: tuple[Image, ...] = ()


@frozen
class Usage:
    """Tokens. `input` includes `cached`, `output` includes `reasoning`."""

    input: int = 0
    cached: int = 0
    output: int = 0
    reasoning: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.input + other.input,
            self.cached + other.cached,
            self.output + other.output,
            self.reasoning + other.reasoning,
        )

    @property
    def total(self) -> int:
        return self.input + self.output

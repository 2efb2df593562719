"""What is going on, in a few words, as the events say."""

from kimi_code.controls import clean
from kimi_code.events import (
    ContextCompacted,
    Event,
    StepRetried,
    StepStarted,
    TextDelta,
    ThoughtDelta,
    ToolEnded,
    ToolStarted,
    TurnEnded,
)
from kimi_code.values import frozen


@frozen
class Words:
    """`words` are "" when nothing goes on any more; `wait` is the seconds until it goes on by itself.

    `rests` when nothing happens until the person does something: then nothing moves, either.
    """

    words: str
    hint: str = "Esc interrupts"
    wait: float | None = None
    rests: bool = False


WAITING = Words("Waiting for you", rests=True)  # while a request is open, whatever else goes on
ASKING = Words("Asking the model")
_THINKING, _WRITING = Words("Thinking"), Words("Writing")


def describe(event: Event) -> Words | None:
    """None when the event changes nothing about it."""
    match event:
        case StepStarted() | ToolEnded() | ContextCompacted():
            return ASKING
        case ThoughtDelta():
            return _THINKING
        case TextDelta():
            return _WRITING
        case ToolStarted(tool=tool, title=title):
            return Words(f"{tool} {_cut(title)}")
        case StepRetried(attempt=attempt, wait=wait):
            # The reason stands above it.
            return Words(f"Try {attempt + 1}", "Ctrl+T tries now, Esc interrupts", wait)
        case TurnEnded():
            return Words("")
        case _:
            return None


def _cut(text: str) -> str:
    line = " ".join(clean(text).split())
    return line if len(line) <= 60 else line[:59] + "…"

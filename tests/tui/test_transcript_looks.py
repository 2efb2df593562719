"""How the transcript looks: pictures of a conversation with everything in it."""

from typing import Protocol

import pytest
from textual.app import App, ComposeResult

from kimi_code.events import (
    ContextCompacted,
    Diff,
    Event,
    FileChange,
    Hunk,
    MessageCompleted,
    Notice,
    Outcome,
    Output,
    Record,
    StepRetried,
    TextDelta,
    ThoughtDelta,
    ToolEnded,
    TurnEnded,
    TurnStarted,
)
from kimi_code.messages import Message, Usage
from kimi_code.tui.theme import THEMES
from kimi_code.tui.widgets.transcript import TranscriptView

ANSWER = """\
The failing assertion is about the **new exception tree**, see `llm/chat.py:118` and [the notes](https://example.org).

## What changed

1. `httpx2` renamed *its errors*:
   - `ConnectError` is ~~kept~~ gone
2. The SDK wraps them, 中文 and all.

- [x] map the errors
- [ ] say so

| Error | after |
|:--|--:|
| refused | `APIConnectionError` |
| 超时 | `APITimeoutError` |

> Quoted words.

```python
def wait(seconds: float) -> None:
    \"""Wait, and say why.\"""
    print(f"{seconds} s")  # not more
```
"""
DIFF = Diff(
    "llm/chat.py",
    "modified",
    2,
    1,
    (
        Hunk(
            117,
            117,
            (
                "     try:",
                "-        raise Gone(str(error))",
                "+        raise Gone(str(error)) from error",
                "+        # why",
                " ",
            ),
        ),
    ),
)
EVENTS: tuple[Event, ...] = (
    TurnStarted(1, "the retry test fails, can you fix it?"),
    MessageCompleted(Message("user", "the retry test fails, can you fix it?")),
    ThoughtDelta("Let me see."),
    TextDelta(ANSWER),
    MessageCompleted(Message("assistant", ANSWER, thought="Let me see.")),
    ToolEnded("c1", "Read", "llm/chat.py", "done", "212 lines"),
    MessageCompleted(Message("tool", "1\tx", call_id="c1")),
    ToolEnded("c2", "Edit", "llm/chat.py", "done", "+2 −1", (DIFF,)),
    ToolEnded("c3", "Bash", "pytest -q", "failed", "exit 1", (Output("pytest -q", "..F.\n[1 failed]", 1),), 4.2),
    ToolEnded("c4", "Bash", "git push", "denied", "asked: leaves this machine"),
    StepRetried(1, 2.0, "429 Too Many Requests"),
    ContextCompacted(182_000, 21_000, ()),
    Notice("warning", "2 torn lines of the journal were left out."),
    TurnEnded(
        1,
        Outcome.DONE,
        "ok",
        usage=Usage(41_000, 0, 900),
        cost_usd=0.031,
        files_changed=(FileChange("a", "modified", 2, 1),),
    ),
)


class Picture(App[None]):
    """The conversation, in a theme."""

    def __init__(self, theme: str) -> None:
        super().__init__()
        for known in THEMES:
            self.register_theme(known)
        self.theme = theme

    def compose(self) -> ComposeResult:
        yield TranscriptView()

    def on_mount(self) -> None:
        self.query_one(TranscriptView).load(
            Record(seq, "main", 6.0 * seq, event) for seq, event in enumerate(EVENTS, 1)
        )


class Compare(Protocol):
    """The fixture of pytest-textual-snapshot."""

    def __call__(self, app: App[None], *, terminal_size: tuple[int, int]) -> bool: ...


@pytest.mark.parametrize(
    ("theme", "size"), [("kimi-dark", (80, 56)), ("kimi-light", (160, 52)), ("kimi-contrast", (44, 60))]
)
def test_a_conversation_looks_as_it_did(snap_compare: Compare, theme: str, size: tuple[int, int]) -> None:
    assert snap_compare(Picture(theme), terminal_size=size)

"""The transcript under load: an answer streamed, a long session opened and scrolled.

python -m benchmarks.tui_stream
"""

import asyncio
import gc
import random
import resource
import sys
import time
from collections.abc import Iterator
from statistics import median

from textual.app import App, ComposeResult

from kimi_code.events import (
    Diff,
    Event,
    Hunk,
    MessageCompleted,
    Outcome,
    Output,
    Record,
    StepStarted,
    TextDelta,
    ToolEnded,
    TurnEnded,
    TurnStarted,
)
from kimi_code.messages import Message
from kimi_code.tui.widgets.transcript import TranscriptView

SIZE = (120, 40)
PARAGRAPH = (
    "The adapter raises `ModelUnavailable` when the *transport* fails, see `llm/openai_chat.py:118`, and the caller "
    "waits **twice as long** each time before it asks again. That is what the [notes](https://example.org) say.\n\n"
)
LIST = "- the first point, with `code` in it\n- the second one\n  - nested, with **bold** words\n\n1. one\n2. two\n\n"
FENCE = '''```python
def wait(seconds: float, attempts: int = 3) -> None:
    """Wait, and say why."""
    for attempt in range(attempts):  # not for ever
        print(f"waiting {seconds} s", attempt)
```

'''
TABLE = "| name | before | after |\n|---|---:|---|\n| one | 1 | `x` |\n| two | 22 | `yy` |\n\n"


def answer(tokens: int) -> list[str]:
    """Markdown of every kind in pieces of about four characters, as tokens are."""
    parts: list[str] = []
    size = count = 0
    while size < tokens * 4:
        count += 1
        for part in (f"## Part {count}\n\n", PARAGRAPH, LIST, PARAGRAPH, FENCE, TABLE):
            parts.append(part)
            size += len(part)
    text = "".join(parts)[: tokens * 4]
    return [text[at : at + 4] for at in range(0, len(text), 4)]


class Stage(App[None]):
    """Nothing but the transcript; counts how often it is drawn."""

    def compose(self) -> ComposeResult:
        yield TranscriptView()

    @property
    def view(self) -> TranscriptView:
        return self.query_one(TranscriptView)


class Records:
    """Stamps events."""

    def __init__(self) -> None:
        self.seq = 0

    def __call__(self, event: Event) -> Record:
        self.seq += 1
        return Record(self.seq, "main", time.time(), event)


async def stream(tokens: int, per_second: float | None = None, one_block: str = "") -> None:
    """Feed an answer and report what it cost; all at once, or at a rate."""
    pieces = [one_block] * tokens if one_block else answer(tokens)
    app, record = Stage(), Records()
    async with app.run_test(size=SIZE) as pilot:
        view = app.view
        view.append(record(TurnStarted(1, "go on")))
        view.append(record(StepStarted(1)))
        await pilot.pause()
        gc.collect()
        drawn = view.flushes
        cpu, wall = time.process_time(), time.perf_counter()
        for number, piece in enumerate(pieces):
            view.append(record(TextDelta(piece)))
            if per_second is not None:
                if number % 20 == 0:
                    await asyncio.sleep(max(wall + number / per_second - time.perf_counter(), 0))
            elif number % 8 == 0:
                await asyncio.sleep(0)
        view.append(record(MessageCompleted(Message("assistant", "".join(pieces)))))
        await pilot.pause()
        while view.has_pending:
            await asyncio.sleep(0.005)
        await pilot.pause()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        drawn = view.flushes - drawn
    kind = f"{len(one_block)}-character lines of one block" if one_block else "Markdown"
    rate = f"at {per_second:,.0f}/s" if per_second else "at full speed"
    limited = tokens >= 20_000 and not one_block and per_second is None
    limit = f" (limit {1.2 * tokens / 20_000:.1f})" if limited else ""
    print(
        f"{tokens:>7,} tokens of {kind} {rate}: {cpu:.2f} s CPU{limit}, {wall:.2f} s wall, "
        f"{drawn / wall:.1f} repaints/s (limit 15), {megabytes():.0f} MB"
    )


def session(turns: int) -> Iterator[Event]:
    """A long session: words, an answer, reads, an edit, a command in every turn; about 50 lines each."""
    dice = random.Random(1)
    for turn in range(1, turns + 1):
        yield TurnStarted(turn, f"Please do part {turn} of the work, and see that the tests pass.")
        yield MessageCompleted(Message("user", f"Please do part {turn} of the work."))
        text = "".join("".join(answer(dice.randint(200, 400))))
        yield MessageCompleted(Message("assistant", text, thought="Let me see. " * 20))
        for call in range(3):
            yield ToolEnded(f"r{turn}-{call}", "Read", f"src/module_{call}.py", "done", "200 lines")
            yield MessageCompleted(Message("tool", "1\tx = 1\n" * 50, call_id=f"r{turn}-{call}"))
        lines = tuple(f"{dice.choice(' +-')}    value_{number} = {number}" for number in range(18))
        yield ToolEnded(
            f"e{turn}",
            "Edit",
            "src/module.py",
            "done",
            "+6 −6",
            (Diff("src/module.py", "modified", 6, 6, (Hunk(10, 10, lines),)),),
        )
        output = "\n".join(f"tests/test_{number}.py ...." for number in range(10))
        yield ToolEnded(f"b{turn}", "Bash", "pytest -q", "done", "done", (Output("pytest -q", output, 0),), 3.0)
        yield MessageCompleted(Message("assistant", "All tests pass now."))
        yield TurnEnded(turn, Outcome.DONE, "ok")


async def open_session(turns: int) -> None:
    """Open a long session, go up through it, and to its beginning."""
    record = Records()
    records = [record(event) for event in session(turns)]
    gc.collect()
    before = megabytes()
    app = Stage()
    async with app.run_test(size=SIZE) as pilot:
        view = app.view
        began = time.perf_counter()
        view.load(records)
        await pilot.pause()
        opened = time.perf_counter() - began
        lines = view.virtual_size.height
        ups: list[float] = []
        for _ in range(60):
            began = time.perf_counter()
            view.scroll_page_up()
            await pilot.pause()
            ups.append(time.perf_counter() - began)
        began = time.perf_counter()
        view.scroll_home()
        await pilot.pause()
        home = time.perf_counter() - began
        print(
            f"{turns:>7,} turns, about {lines:,} lines: open {opened * 1000:.0f} ms (limit 1000), page up "
            f"{median(ups) * 1000:.0f} ms, at most {max(ups) * 1000:.0f}, home {home * 1000:.0f} ms; "
            f"{megabytes():.0f} MB, {before:.0f} before it was opened (limit 250)"
        )


def megabytes() -> float:
    """The largest resident size so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


def main() -> None:
    """All figures, each beside its limit."""
    asyncio.run(stream(2_000))
    asyncio.run(stream(20_000))
    asyncio.run(stream(20_000, per_second=4_000))
    asyncio.run(stream(100_000))
    asyncio.run(stream(5_000, one_block="word and word "))
    asyncio.run(stream(5_000, one_block="- a list item of some words\n"))
    asyncio.run(open_session(2_000))


if __name__ == "__main__":
    main()

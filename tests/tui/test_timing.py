"""What is done once, a moment later."""

import asyncio

from textual.app import App

from kimi_code.tui.timing import after


async def test_what_is_due_before_anybody_looks_at_the_clock_is_done_too_and_once_unless_it_is_cancelled() -> None:
    app, done = App[None](), list[str]()
    async with app.run_test():
        # Textual's own timers never call for so short a delay, nor for one that was over when they began.
        after(1e-9, app, lambda: done.append("first"))
        after(0.0, app, lambda: done.append("never")).cancel()
        last = asyncio.Event()
        after(0.001, app, last.set)
        async with asyncio.timeout(30):
            await last.wait()
    assert done == ["first"]

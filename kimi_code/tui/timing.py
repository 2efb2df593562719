"""Something to be done once, a moment from now."""

import asyncio
from collections.abc import Callable

from textual.message_pump import MessagePump


def after(delay: float, pump: MessagePump, callback: Callable[[], object]) -> asyncio.TimerHandle:
    """Call back once, in `delay` seconds and among the messages of `pump`, unless the handle is cancelled.

    Textual's `set_timer` (8.2) never does when the process is held up for longer than the delay just as the timer
    begins: on a busy machine one of a millisecond is lost now and then, and all that waits for it stands still.
    """
    return asyncio.get_running_loop().call_later(delay, pump.call_next, callback)

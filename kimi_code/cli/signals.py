"""Signals while no turn runs: before it, a process ends with a result; after it, at once."""

import os
import signal
from types import FrameType


class Stopped(KeyboardInterrupt):
    """A signal other than Ctrl-C's that asks the process to end; `number` is the signal's."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def raise_when_stopped() -> None:
    """From now on SIGTERM and SIGHUP raise Stopped, as SIGINT raises KeyboardInterrupt."""
    for number in _stopping():
        # A program started by nohup is to outlive its terminal.
        if number is not signal.SIGINT and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _raise)


def end_when_stopped() -> None:
    """From now on these signals end the process without a word: the last one has been said."""
    for number in _stopping():
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


def cancel_when_stopped(numbers: list[int]) -> None:
    """From now on, while this loop runs, SIGTERM and SIGHUP cancel the task that called, and are noted in `numbers`.

    Ctrl-C does so by itself. Where there are no such signals, or in another thread than the main one, nothing changes.
    """
    import asyncio
    import threading

    task = asyncio.current_task()
    if os.name == "nt" or task is None or threading.current_thread() is not threading.main_thread():
        return

    def cancel(number: int) -> None:
        numbers.append(number)
        task.cancel()

    for number in _stopping():
        if number is not signal.SIGINT and signal.getsignal(number) is not signal.SIG_IGN:
            asyncio.get_running_loop().add_signal_handler(number, cancel, number)


def _stopping() -> list[signal.Signals]:
    names = ("SIGINT", "SIGTERM", "SIGHUP")
    return [getattr(signal, name) for name in names if hasattr(signal, name)]


def _raise(number: int, _frame: FrameType | None) -> None:
    raise Stopped(number)

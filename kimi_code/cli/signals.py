"""Signals while no turn runs: before it, a process ends with a result; after it, at once."""

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


def _stopping() -> list[signal.Signals]:
    names = ("SIGINT", "SIGTERM", "SIGHUP")
    return [getattr(signal, name) for name in names if hasattr(signal, name)]


def _raise(number: int, _frame: FrameType | None) -> None:
    raise Stopped(number)

"""The shell's job that this process is part of: stopping as Ctrl+Z does, until the shell goes on with it."""

import os
import signal
import time

_NEWS = 0.1  # seconds for another thread to pass on that we were continued


def stop(*, group: bool) -> bool:
    """Stop this process, with all of its group if wanted; returns whether somebody has continued us.

    False, and nothing stopped, where no shell could: the system drops the signal there. POSIX only, main thread only.
    """
    continued: list[int] = []
    before = signal.signal(signal.SIGCONT, lambda number, _: continued.append(number)), signal.getsignal(signal.SIGTSTP)
    # A shell that saw the others stop may continue us all before we have stopped; and then we must not any more. The
    # system sees to that: SIGCONT takes back every stop that is still pending, and ours is until it is unblocked.
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTSTP,))
    try:
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        signal.raise_signal(signal.SIGTSTP)
        if group:
            os.killpg(os.getpgrp(), signal.SIGTSTP)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTSTP,))  # here we stop
        until = time.monotonic() + _NEWS
        while not continued and time.monotonic() < until:
            time.sleep(_NEWS / 20)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTSTP,))
        signal.signal(signal.SIGCONT, before[0])
        signal.signal(signal.SIGTSTP, before[1])
    return bool(continued)


def is_behind(terminal: int) -> bool:
    """Whether the terminal is somebody else's now (`bg`)."""
    try:
        return os.tcgetpgrp(terminal) != os.getpgrp()
    except OSError:
        return False

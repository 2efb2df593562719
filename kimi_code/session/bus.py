"""Stamps events into records and hands them to whoever listens, in order."""

import time
from collections.abc import Callable

from kimi_code.events import Event, Record

Listener = Callable[[Record], None]


class Bus:
    """One per session. Listeners are called at once and in the order they came; they must not block."""

    def __init__(self, *, last_seq: int = 0, clock: Callable[[], float] = time.time) -> None:
        self._seq = last_seq
        self._clock = clock
        self._listeners: list[Listener] = []

    def publish(self, event: Event, agent: str = "main") -> Record:
        """Stamp and fan out; returns the record."""
        self._seq += 1
        record = Record(self._seq, agent, self._clock(), event)
        for listener in tuple(self._listeners):
            listener(record)
        return record

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Listen from now on; call what is returned to stop."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

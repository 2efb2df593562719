"""Long outputs: the model gets head, tail and the path of a file with all; never a silent cut, never much memory."""

import re
from collections import deque
from pathlib import Path

from kimi_code.controls import overwrite

LIMIT = 30_000  # characters of one result that the model gets
_SPILL_MOST = 200_000_000  # characters of one spill file
_LINE_MOST = 65_536  # characters of a line without an end that are held back


class Transcript:
    """Takes output as it comes, cleaned of control sequences, and keeps what the model will see of it.

    `spill` is the file that gets everything once it is more than `limit` characters.
    """

    def __init__(self, spill: Path, *, limit: int = LIMIT) -> None:
        self._spill_path = spill
        self._limit = limit
        self._spilled = 0
        self._trouble = ""
        self._start()

    def feed(self, text: str) -> None:
        """More output; lone carriage returns rewrite their line, as on a terminal."""
        whole, newline, self._line = (self._line + text).rpartition("\n")
        if newline:
            self._keep(overwrite(whole) + "\n")
        if len(self._line) > _LINE_MOST:
            self._line = overwrite(self._line)
        if len(self._line) > _LINE_MOST:
            self._keep(self._line)
            self._line = ""

    def take(self) -> str:
        """What came since the last `take`, cut in the middle if it is too long."""
        if self._line:
            self._keep(overwrite(self._line))
        head, tail, dropped = "".join(self._head), "".join(self._tail), self._dropped
        surplus = len(tail) - self._limit // 2
        if surplus > 0:
            tail, dropped = tail[surplus:], dropped + surplus
        text = f"{head}\n[... {dropped} characters left out; {self._rest()} ...]\n{tail}" if dropped else head + tail
        self._start()
        return text

    def _start(self) -> None:
        self._line = ""
        self._head: list[str] = []
        self._room = self._limit // 2
        self._tail: deque[str] = deque()
        self._tail_size = 0
        self._dropped = 0

    def _keep(self, text: str) -> None:
        if self._dropped:
            self._spill(text)
        if self._room > 0:
            self._head.append(text[: self._room])
            text, self._room = text[self._room :], self._room - len(text)
        if not text:
            return
        self._tail.append(text)
        self._tail_size += len(text)
        half = self._limit // 2
        if self._tail_size > half and not self._dropped:
            self._spill("".join(self._head) + "".join(self._tail))
        while self._tail_size > half:
            self._shorten(self._tail_size - half)

    def _shorten(self, surplus: int) -> None:
        oldest = self._tail.popleft()
        gone = min(surplus, len(oldest))
        if gone < len(oldest):
            self._tail.appendleft(oldest[gone:])
        self._tail_size -= gone
        self._dropped += gone

    def _spill(self, text: str) -> None:
        """Write to the file; when it cannot be written the command goes on and the model is told."""
        if self._trouble or self._spilled > _SPILL_MOST:
            return
        try:
            if not self._spilled:
                self._spill_path.parent.mkdir(parents=True, exist_ok=True)
            with self._spill_path.open("a", encoding="utf-8", newline="\n") as file:
                file.write(text)
            self._spilled += len(text)
        except OSError as error:
            self._trouble = error.strerror or str(error)

    def _rest(self) -> str:
        if self._trouble:
            return f"they could not be kept: {self._trouble}"
        if self._spilled > _SPILL_MOST:
            return f"the first {_SPILL_MOST // 1_000_000} MB are in {self._spill_path}"
        return f"everything is in {self._spill_path}"


def spill_file(folder: Path, name: str) -> Path:
    """The file for a call's surplus output; a call's id is the model's word and no file name."""
    return folder / f"{re.sub(r'[^A-Za-z0-9_-]', '_', name)[:80] or 'output'}.txt"

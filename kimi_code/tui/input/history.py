"""What was asked in a project before, and the draft that is being written: both outlive a crash."""

import contextlib
import json
from pathlib import Path
from typing import cast

_KEPT = 2_000
_HISTORY = "history.jsonl"
_DRAFT = "draft.txt"


class History:
    """The prompts of a project, oldest first; a file that cannot be written is done without."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.entries: list[str] = _read(folder / _HISTORY)
        self._at = len(self.entries)
        self._present = ""

    def add(self, text: str) -> None:
        """Remember a prompt; the same again in a row counts once."""
        if text.strip() and (not self.entries or self.entries[-1] != text):
            self.entries.append(text)
            with contextlib.suppress(OSError):
                _private(self._folder)
                with (self._folder / _HISTORY).open("a", encoding="ascii") as file:
                    file.write(json.dumps(text) + "\n")
        self._at = len(self.entries)

    def older(self, present: str) -> str | None:
        """The prompt before the one that is shown; `present` is kept for the way back. None at the beginning."""
        if self._at == len(self.entries):
            self._present = present
        if self._at == 0:
            return None
        self._at -= 1
        return self.entries[self._at]

    def newer(self) -> str | None:
        """The prompt after the one that is shown, at last what was being written. None at the end."""
        if self._at >= len(self.entries):
            return None
        self._at += 1
        return self._present if self._at == len(self.entries) else self.entries[self._at]


def _read(file: Path) -> list[str]:
    try:
        lines = file.read_text("ascii", "replace").splitlines()[-_KEPT:]
    except OSError:
        return []
    entries: list[str] = []
    for line in lines:
        with contextlib.suppress(ValueError):  # a torn last line
            value = cast("object", json.loads(line))
            if isinstance(value, str):
                entries.append(value)
    return entries


class Draft:
    """The unsent text of a project."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self) -> str:
        """What was not sent; "" when there is nothing."""
        try:
            return (self._folder / _DRAFT).read_text("utf-8", "replace")
        except OSError:
            return ""

    def save(self, text: str) -> None:
        """Keep the text, or nothing when it is empty."""
        file = self._folder / _DRAFT
        with contextlib.suppress(OSError):
            if not text.strip():
                file.unlink(missing_ok=True)
                return
            _private(self._folder)
            temporary = file.with_suffix(".new")
            temporary.write_text(text, "utf-8", "replace")
            temporary.replace(file)


def _private(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)

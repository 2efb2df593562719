"""What was found out about this machine by trying, kept in a file for as long as its key holds."""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


def recall(memory: Path, key: str, read: Callable[[dict[str, Any]], T]) -> T | None:
    """What `read` makes of what is kept; None where nothing is, or under another key."""
    try:
        stored = json.loads(memory.read_bytes())
        return read(stored) if stored["key"] == key else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def remember(memory: Path, key: str, found: Mapping[str, object]) -> None:
    """Keep it in place of what was kept; where that cannot be written, it is found out again the next time."""
    fresh = memory.with_name(f"{memory.name}.{os.getpid()}")
    try:
        memory.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_text(json.dumps({"key": key, **found}), encoding="utf-8")
        fresh.replace(memory)
    except OSError:
        pass

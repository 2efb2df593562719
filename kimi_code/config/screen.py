"""What the user chose for the screen, read before anything else: the first paint waits for it."""

import tomllib
from pathlib import Path
from typing import Any, cast

from kimi_code.config.settings import ScreenSettings


def peek(user_file: Path) -> ScreenSettings:
    """The file's [screen]; what is wrong in it is left out here, and told when the settings are loaded."""
    try:
        tables = tomllib.loads(user_file.read_bytes().decode("utf-8-sig"))
    except (OSError, ValueError):
        return ScreenSettings()
    given = tables.get("screen")
    table = cast("dict[str, Any]", given) if isinstance(given, dict) else {}
    chosen: dict[str, Any] = {}
    for name, kind in (("theme", str), ("notify", bool), ("reduced_motion", bool), ("vim", bool)):
        if isinstance(table.get(name), kind):
            chosen[name] = table[name]
    keys = table.get("keys")
    if isinstance(keys, dict):
        pairs = cast("dict[str, Any]", keys).items()
        chosen["keys"] = {id: key for id, key in pairs if isinstance(key, str)}
    return ScreenSettings(**chosen)

"""Put allow rules into the user's config.toml: a line is added, everything else stays as its owner wrote it."""

import os
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kimi_code.errors import ConfigError

_ALLOW = re.compile(r"^allow[ \t]*=[ \t]*\[", re.MULTILINE)


def remember(user_file: Path, rules: Sequence[str]) -> tuple[str, ...]:
    """Add `rules` to the file's `allow`; returns those that were not there yet.

    Raises ConfigError when the file cannot be read, written, or changed safely; then it is as it was.
    """
    try:
        text = user_file.read_bytes().decode() if user_file.exists() else ""
        before = tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{user_file} cannot be read: {error}") from None
    known = before.get("allow", [])
    fresh = tuple(rule for rule in dict.fromkeys(rules) if rule not in known)
    if not fresh:
        return ()
    changed = _with(text, fresh)
    if not _is_that_and_no_more(before, changed, fresh):
        listing = ", ".join(_quoted(rule) for rule in fresh)
        raise ConfigError(f"{user_file} has an unusual form.", hint=f"Add this to its `allow` by hand: {listing}")
    try:
        user_file.parent.mkdir(parents=True, exist_ok=True)
        temporary = user_file.with_name(f"{user_file.name}.{os.getpid()}")
        temporary.write_bytes(changed.encode())
        temporary.replace(user_file.resolve())
    except OSError as error:
        raise ConfigError(f"{user_file} cannot be written: {error.strerror or error}.") from None
    return fresh


def _with(text: str, rules: Sequence[str]) -> str:
    lines = "".join(f"\n    {_quoted(rule)}," for rule in rules)
    opening = _ALLOW.search(text)
    if opening is not None:
        return text[: opening.end()] + lines + text[opening.end() :]
    # Keys of the top level stand before the first table.
    return f"allow = [{lines}\n]\n{text}"


def _is_that_and_no_more(before: dict[str, Any], changed: str, rules: Sequence[str]) -> bool:
    try:
        after = tomllib.loads(changed)
    except ValueError:
        return False
    return after == {**before, "allow": [*rules, *before.get("allow", [])]}


def _quoted(rule: str) -> str:
    import json

    # A JSON string is a TOML basic string, but for DEL.
    return json.dumps(rule, ensure_ascii=False).replace("\x7f", "\\u007f")

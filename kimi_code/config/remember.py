"""Put allow rules and choices into the user's config.toml: everything else stays as its owner wrote it."""

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from kimi_code.errors import ConfigError

_ALLOW = re.compile(r"^allow[ \t]*=[ \t]*\[", re.MULTILINE)
_TABLE = re.compile(r"^[ \t]*\[", re.MULTILINE)


def remember(user_file: Path, rules: Sequence[str]) -> tuple[str, ...]:
    """Add `rules` to the file's `allow`; returns those that were not there yet.

    Raises ConfigError when the file cannot be read, written, or changed safely; then it is as it was.
    """
    text, before = _read(user_file)
    known = before.get("allow", [])
    fresh = tuple(rule for rule in dict.fromkeys(rules) if rule not in known)
    if not fresh:
        return ()
    changed = _with_rules(text, fresh)
    if not _is_that_and_no_more(before, changed, fresh):
        listing = ", ".join(_quoted(rule) for rule in fresh)
        raise ConfigError(f"{user_file} has an unusual form.", hint=f"Add this to its `allow` by hand: {listing}")
    _write(user_file, changed)
    return fresh


def choose_in(user_file: Path, values: Mapping[tuple[str, ...], str]) -> None:
    """Set keys to strings: ("model",), or ("screen", "theme") for a key of a table.

    Raises ConfigError when the file cannot be read, written, or changed safely; then it is as it was.
    """
    text, before = _read(user_file)
    changed, wanted = text, before
    for path, value in values.items():
        changed, wanted = _with_value(changed, path, value), _set(wanted, path, value)
    try:
        safe = tomllib.loads(changed) == wanted
    except ValueError:
        safe = False
    if not safe:
        listing = ", ".join(f"{'.'.join(path)} = {_quoted(value)}" for path, value in values.items())
        raise ConfigError(f"{user_file} has an unusual form.", hint=f"Set this by hand: {listing}")
    if wanted != before:
        _write(user_file, changed)


def _set(tables: dict[str, Any], path: tuple[str, ...], value: str) -> dict[str, Any]:
    head, *rest = path
    if not rest:
        return {**tables, head: value}
    inner = tables.get(head)
    table = cast("dict[str, Any]", inner) if isinstance(inner, dict) else {}
    return {**tables, head: _set(table, tuple(rest), value)}


def _with_value(text: str, path: tuple[str, ...], value: str) -> str:
    *tables, key = path
    line = f"{key} = {_quoted(value)}"
    start = 0
    if tables:
        header = ".".join(part if re.fullmatch(r"[\w-]+", part) else _quoted(part) for part in tables)
        found = re.search(rf"^[ \t]*\[[ \t]*{re.escape(header)}[ \t]*\][^\n]*(?:\n|\Z)", text, re.MULTILINE)
        if found is None:
            gap = "" if not text or text.endswith("\n") else "\n"
            return f"{text}{gap}\n[{header}]\n{line}\n".lstrip("\n")
        start = found.end()
        if not text[:start].endswith("\n"):
            text, start = f"{text}\n", start + 1
    following = _TABLE.search(text, start)
    end = following.start() if following else len(text)
    own = re.compile(rf"^[ \t]*{re.escape(key)}[ \t]*=[ \t]*(\"(?:[^\"\\\n]|\\.)*\"|'[^'\n]*')", re.MULTILINE)
    old = own.search(text, start, end)
    if old is not None:
        return text[: old.start(1)] + _quoted(value) + text[old.end(1) :]
    return f"{text[:start]}{line}\n{text[start:]}"


def _read(user_file: Path) -> tuple[str, dict[str, Any]]:
    try:
        text = user_file.read_bytes().decode() if user_file.exists() else ""
        return text, tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{user_file} cannot be read: {error}", hint="Mend it; nothing in it was changed.") from None


def _write(user_file: Path, text: str) -> None:
    try:
        user_file.parent.mkdir(parents=True, exist_ok=True)
        temporary = user_file.with_name(f"{user_file.name}.{os.getpid()}")
        temporary.write_bytes(text.encode())
        temporary.replace(user_file.resolve())
    except OSError as error:
        raise ConfigError(
            f"{user_file} cannot be written: {error.strerror or error}.",
            hint="Make room or mend the folder's permissions; the file is as it was.",
        ) from None


def _with_rules(text: str, rules: Sequence[str]) -> str:
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

"""Rules in the syntax people know: `Bash(git log *)`, `Edit(src/**)`, `Read(.env*)`, `Write`."""

import os
import re
from functools import lru_cache
from pathlib import Path, PurePath
from typing import Literal

from kimi_code.errors import UsageError
from kimi_code.events import Effect
from kimi_code.values import frozen

Decision = Literal["allow", "ask", "deny"]

_RULE = re.compile(r"^\s*([A-Za-z_*][\w*.-]*)\s*(?:\((.*)\))?\s*$", re.DOTALL)
_FAMILIES = {"Read": Effect.READ, "Edit": Effect.EDIT, "Bash": Effect.EXECUTE}


@frozen
class Rule:
    """One rule. `tool` is a tool's name or the family Read, Edit or Bash; `pattern` None covers every call of it."""

    decision: Decision
    tool: str
    pattern: str | None

    def __str__(self) -> str:
        return self.tool if self.pattern is None else f"{self.tool}({self.pattern})"


def parse(text: str, decision: Decision) -> Rule:
    """The rule written as `text`. Raises UsageError that shows the syntax."""
    match = _RULE.match(text)
    if match is None or (match[2] is not None and not match[2].strip()):
        raise UsageError(
            f"{text!r} is no permission rule.",
            hint="Write a tool and what it covers: Bash(npm test), Edit(src/**), Read(.env*).",
        )
    return Rule(decision, match[1], None if match[2] is None else match[2].strip())


def covers_tool(rule: Rule, tool: str, effect: Effect) -> bool:
    """Whether the rule speaks of this tool: by its name (`*` stands for any characters), or by its family."""
    if _FAMILIES.get(rule.tool) is effect:
        return True
    return _name_pattern(rule.tool).fullmatch(tool) is not None


@lru_cache(maxsize=256)
def _name_pattern(name: str) -> re.Pattern[str]:
    return re.compile(re.escape(name).replace(r"\*", ".*"))


def covers_path(rule: Rule, real: Path, root: Path) -> bool:
    """Whether the rule covers the file. Patterns are relative to `root` unless they start with / or ~.

    `*` stays within a folder, `**` crosses folders, a pattern without a slash matches the name in any folder, and a
    pattern that covers a folder covers what is below it.
    """
    pattern = rule.pattern
    if pattern is None:
        return True
    if pattern.startswith("~"):
        pattern = os.path.expanduser(pattern)
    path = real.as_posix()
    if not PurePath(pattern).is_absolute():
        try:
            path = real.relative_to(root).as_posix()
        except ValueError:
            if "/" in pattern:
                return False
    # On file systems without case, SRC/x is src/x: what forbids must not be slipped by that.
    return _path_pattern(pattern, rule.decision != "allow").fullmatch(path) is not None


@lru_cache(maxsize=256)
def _path_pattern(pattern: str, any_case: bool) -> re.Pattern[str]:
    text = pattern.removeprefix("./").rstrip("/").removesuffix("/**")  # a folder covers what is below it anyway
    prefix = "" if "/" in text else "(?:.*/)?"
    out: list[str] = []
    position = 0
    while position < len(text):
        if text.startswith("**/", position):
            out.append("(?:.*/)?")
            position += 3
        elif text.startswith("**", position):
            out.append(".*")
            position += 2
        else:
            out.append({"*": "[^/]*", "?": "[^/]"}.get(text[position], re.escape(text[position])))
            position += 1
    return re.compile(prefix + "".join(out) + "(?:/.*)?", re.DOTALL | (re.IGNORECASE if any_case else 0))

"""The one object that says how a run ended; the last line of `jsonl`, all of `json`."""

import json
from dataclasses import asdict, field

from kimi_code.errors import ExitCode
from kimi_code.events import FileChange
from kimi_code.messages import Usage
from kimi_code.values import frozen


@frozen
class DeniedCall:
    """A tool call that was not allowed to run, and why."""

    tool: str
    title: str
    reason: str


@frozen
class Reviewed:
    """What the turn made in its isolated copy. `patch` is a git patch of all of it, UTF-8 with stray bytes escaped."""

    status: str
    files: tuple[FileChange, ...]
    patch: str
    problems: tuple[str, ...] = ()


@frozen
class Committed:
    """The commit of the agent's changes, and what is not in it."""

    id: str
    branch: str
    files: tuple[str, ...]
    left_out: tuple[str, ...] = ()


@frozen
class RunResult:
    """How `kimi-code -p` ended. `status` is a word for programs, `error` a sentence for people or None."""

    status: str
    exit_code: int
    text: str = ""
    session_id: str | None = None
    turns: int = 0
    steps: int = 0
    tool_calls: int = 0
    usage: Usage = field(default_factory=Usage)
    cost_usd: float | None = None
    duration_s: float = 0.0
    files_changed: tuple[FileChange, ...] = ()
    denied: tuple[DeniedCall, ...] = ()
    error: str | None = None
    output: object | None = None
    has_output: bool = False
    review: Reviewed | None = None
    commit: Committed | None = None

    def to_json(self) -> str:
        """One line of JSON; `output`, `review` and `commit` are there only where they were asked for."""
        fields: dict[str, object] = {"type": "result", **asdict(self)}
        fields["duration_s"] = round(self.duration_s, 3)
        if not fields.pop("has_output"):
            del fields["output"]
        for name in ("review", "commit"):
            if fields[name] is None:
                del fields[name]
        return json.dumps(fields, ensure_ascii=True)


def usage_error(message: str) -> RunResult:
    """The result of a run that could not begin because of its flags or configuration."""
    return RunResult(status="usage_error", exit_code=ExitCode.USAGE, error=message)

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

    def to_json(self) -> str:
        """One line of JSON; `output` is there only when a schema was asked for."""
        fields: dict[str, object] = {"type": "result", **asdict(self)}
        fields["duration_s"] = round(self.duration_s, 3)
        if not fields.pop("has_output"):
            del fields["output"]
        return json.dumps(fields, ensure_ascii=True)


def usage_error(message: str) -> RunResult:
    """The result of a run that could not begin because of its flags or configuration."""
    return RunResult(status="usage_error", exit_code=ExitCode.USAGE, error=message)

"""Progress for people: one short line per tool call on standard error."""

import os
import sys
from collections.abc import Callable
from typing import TextIO

from kimi_code.controls import clean
from kimi_code.counting import counted
from kimi_code.events import (
    CallStatus,
    CommitCreated,
    ContextCompacted,
    MessageCompleted,
    Notice,
    PlanUpdated,
    Record,
    StepRetried,
    SwarmEnded,
    SwarmPlanned,
    TaskState,
    TaskStateChanged,
    ToolEnded,
    TurnReviewed,
)
from kimi_code.headless.streams import discard
from kimi_code.messages import Message

_MARKS: dict[CallStatus, str] = {"done": "✓", "failed": "✗", "invalid": "✗", "denied": "⊘", "interrupted": "✗"}
_PLAIN_MARKS: dict[CallStatus, str] = {
    "done": "ok",
    "failed": "failed",
    "invalid": "failed",
    "denied": "denied",
    "interrupted": "stopped",
}
_COLOURS: dict[CallStatus, str] = {"done": "32", "failed": "31", "invalid": "31", "denied": "33", "interrupted": "31"}

# What a person follows of a swarm: starts, and ends.
_TOLD = frozenset(TaskState) - {TaskState.WAITING, TaskState.READY, TaskState.CHECKING, TaskState.MERGING}


def wants_colour(stream: TextIO) -> bool:
    """Colour only on a terminal, never with NO_COLOR or TERM=dumb."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


class TextProgress:
    """Listens to records and writes a line where a person wants one."""

    def __init__(self, stream: TextIO | None = None, scrub: Callable[[str], str] = str) -> None:
        self._scrub = scrub
        self._stream = stream or sys.stderr
        self._colour = wants_colour(self._stream)
        fancy = _can_print("✓⊘✗●", self._stream)
        self._marks = _MARKS if fancy else _PLAIN_MARKS
        self._bullet = "●" if fancy else "*"

    def __call__(self, record: Record) -> None:
        if record.agent != "main":
            return  # of a hundred sub-agents nobody reads every step
        match record.event:
            case SwarmPlanned(swarm_id=id, tasks=tasks, warnings=warnings):
                self._line(self._paint(f"… swarm {id}: {counted(len(tasks), 'task')}", "2"))
                for warning in warnings:
                    self._line(self._paint(f"  {_fit(warning, 160)}", "33"))
            case TaskStateChanged(task_id=task, state=state, attempt=attempt, reason=reason) if state in _TOLD:
                again = f" (attempt {attempt})" if attempt > 1 else ""
                colour = "31" if state is TaskState.FAILED else "2"
                tail = f": {_fit(reason, 120)}" if reason else ""
                self._line(self._paint(f"  {_fit(task, 40):<12} {state.value}{again}{tail}", colour))
            case SwarmEnded(swarm_id=id, outcome=outcome, metrics=metrics):
                self._line(self._paint(f"… swarm {id} {outcome} after {metrics.wall_s:.1f} s", "2"))
            case ToolEnded() as ended:
                mark = self._paint(self._marks[ended.status], _COLOURS[ended.status])
                tail = f" · {_fit(ended.summary, 120)}" if ended.summary else ""
                self._line(f"{mark} {_fit(ended.tool, 40):<7} {_fit(ended.title, 100)}{self._paint(tail, '2')}")
            case MessageCompleted(message=Message(role="assistant", text=text, tool_calls=(_, *_))) if text.strip():
                self._line(f"{self._bullet} {_fit(text, 200)}")
            case StepRetried(attempt=attempt, wait=wait, reason=reason):
                self._line(
                    self._paint(f"… trying again in {wait:.1f} s (attempt {attempt + 1}): {_fit(reason, 160)}", "33")
                )
            case ContextCompacted(before_tokens=before, after_tokens=after):
                self._line(self._paint(f"… context compacted: {before:,} → {after:,} tokens", "2"))
            case PlanUpdated(items=items):
                done = sum(item.status == "done" for item in items)
                now = next((item.text for item in items if item.status == "in_progress"), "")
                self._line(self._paint(f"… plan: {done}/{len(items)} done{f' · {_fit(now, 80)}' if now else ''}", "2"))
            case TurnReviewed() as reviewed:
                self._reviewed(reviewed)
            case CommitCreated(commit=commit, branch=branch, message=message):
                where = f" on {_fit(branch, 60)}" if branch else ""
                self._line(self._paint(f"… committed {commit[:10]}{where}: {_fit(_first(message), 80)}", "2"))
            case Notice(level=level, text=text):
                said = clean(text)
                self._line(
                    self._paint(f"{level}: {said}" if level != "info" else said, "2" if level == "info" else "33")
                )
            case _:
                pass

    def _reviewed(self, reviewed: TurnReviewed) -> None:
        how = "applied" if reviewed.status == "applied" else "not applied"
        self._line(self._paint(f"… changed in the copy, {how}:", "2"))
        for file in reviewed.files:
            self._line(self._paint(f"  {file.change:<8} {_fit(file.path, 100)}  +{file.added} −{file.removed}", "2"))

    def _paint(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._colour and text else text

    def _line(self, text: str) -> None:
        try:
            self._stream.write(self._scrub(text) + "\n")
            self._stream.flush()
        except OSError:
            # Progress that nobody can read is no reason to stop the work.
            discard(self._stream)


def _can_print(text: str, stream: TextIO) -> bool:
    try:
        text.encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _first(message: str) -> str:
    return message.partition("\n")[0]


def _fit(text: str, width: int) -> str:
    # What models and commands say must not steer the terminal, however long it is.
    line = " ".join(clean(text[: width * 20]).split())
    return line if len(line) <= width else line[: width - 1] + "…"

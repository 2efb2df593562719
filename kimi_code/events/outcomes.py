"""How calls and turns end, and what came of them."""

from enum import StrEnum
from typing import Literal

from kimi_code.events.blocks import Change
from kimi_code.values import frozen


class Outcome(StrEnum):
    """How a turn ended."""

    DONE = "done"
    FAILED = "failed"
    VERIFY_FAILED = "verify_failed"
    INVALID_OUTPUT = "invalid_output"
    BUDGET = "budget_exceeded"
    AUTH = "auth_failed"
    UNAVAILABLE = "unavailable"
    CONFLICT = "conflict"
    COMMIT_FAILED = "commit_failed"
    PARTIAL = "partial"  # a swarm of the turn came to its end in part
    INTERRUPTED = "interrupted"


class Effect(StrEnum):
    """What a tool can do to the world; decides what must be asked."""

    READ = "read"
    EDIT = "edit"
    EXECUTE = "execute"
    DELEGATE = "delegate"  # others do it, under rules of their own
    NONE = "none"


CallStatus = Literal["done", "failed", "denied", "invalid", "interrupted"]


@frozen
class FileChange:
    """A file that differs from the turn's beginning; added and removed count lines (0 for binary files)."""

    path: str
    change: Change
    added: int = 0
    removed: int = 0


@frozen
class TodoItem:
    """One line of the agent's plan."""

    text: str
    status: Literal["pending", "in_progress", "done"] = "pending"

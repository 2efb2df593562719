"""What undo, redo and restore say they did, or would do; and what retention did. Plain values."""

from typing import Literal

from kimi_code.repo.checkpoints.checkpoint_log import Scope, TurnState
from kimi_code.values import frozen

Resolve = Literal["refuse", "force", "merge"]
Verb = Literal["create", "overwrite", "merge", "delete", "chmod"]


@frozen
class Action:
    """What is, or would be, done to a path; folders end with `/`."""

    path: str
    verb: Verb


@frozen
class Conflict:
    """Why a path cannot be brought back as asked."""

    path: str
    reason: str


@frozen
class Report:
    """What undo, redo or restore did, or would do.

    With any of `conflicts` nothing was done at all. `saved` is the checkpoint of how everything was just before, by
    which this can be taken back; empty when no file was looked at, or nothing done. `turns` are those undone or brought
    back, in the order in which it happened, each as it is afterwards; `scopes` goes with them: what of each was undone
    or is redone.
    """

    turns: tuple[TurnState, ...] = ()
    scopes: tuple[Scope, ...] = ()
    actions: tuple[Action, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    notes: tuple[str, ...] = ()
    saved: str = ""
    applied: bool = False


@frozen
class Pruned:
    """What retention did: checkpoints dropped, bytes freed on the disk."""

    checkpoints: int = 0
    freed: int = 0

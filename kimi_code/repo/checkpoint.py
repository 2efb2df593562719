"""Checkpoints of a working tree: take them, compare them, and bring files back, without ever losing any.

One store per working tree, shared by all sessions in it. The user's repository lends objects and is never written.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Literal

from kimi_code.events import FileChange
from kimi_code.repo.snapshot import Snapshots
from kimi_code.values import frozen

Scope = Literal["both", "code", "conversation"]
Resolve = Literal["refuse", "force", "merge"]


@frozen
class Checkpoint:
    """A state of the working tree that can be had back.

    `at` is in Unix seconds; `files` are the changes since the checkpoint before it, relative to the folder that was
    asked from (`../x` above it); `notes` name what it does not hold, a sentence each.
    """

    id: str
    at: float
    session: str
    turn: int
    label: str
    files: tuple[FileChange, ...] = ()
    notes: tuple[str, ...] = ()


@frozen
class TurnState:
    """A turn as undo sees it: `before` and `after` are ids of checkpoints.

    `before` is empty when it took none (it changed no file), `after` until it ended, and for ever when it was killed.
    `undone` says in what scope it was taken back, empty when it is in force.
    """

    session: str
    turn: int
    at: float
    prompt: str
    before: str = ""
    after: str = ""
    undone: Scope | Literal[""] = ""


@frozen
class Action:
    """What is, or would be, done to a path; folders end with `/`."""

    path: str
    verb: Literal["create", "overwrite", "merge", "delete", "chmod"]


@frozen
class Conflict:
    """Why a path cannot be brought back as asked."""

    path: str
    reason: str


@frozen
class Report:
    """What undo, redo or restore did, or would do.

    With any of `conflicts` nothing was done at all. `saved` is the checkpoint of how everything was just before, by
    which this can be taken back; empty when nothing was changed. `turns` are those undone or brought back, in the order
    in which it happened, each with its `undone` as it is afterwards; `scope` as it was asked (for redo: as it was
    undone, turn by turn).
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


class Checkpoints:
    """The checkpoints of the working tree that `snapshots` looks at.

    Every method waits at most `wait` seconds for another process at work in the same tree, and cleans up first after
    one that was killed. All raise CheckpointError with a sentence for the person; nothing is half done then.
    """

    def __init__(self, snapshots: Snapshots, *, wait: float = 20.0) -> None:
        self._snapshots = snapshots
        self._wait = wait

    # --- Recording, by sessions

    def hold(self, session: str) -> AbstractContextManager[None]:
        """Say that `session` is alive until the context ends (or the process dies): its checkpoints are not pruned,
        and while it has a turn that has not ended, other processes do not undo or restore."""
        raise NotImplementedError

    async def begin_turn(self, session: str, turn: int, prompt: str) -> None:
        """A turn begins. Looks at no file: its first `take` says what it started from."""
        raise NotImplementedError

    async def take(self, session: str, turn: int, label: str) -> Checkpoint | None:
        """Keep the files as they are; None when they are as they were at the folder's newest checkpoint."""
        raise NotImplementedError

    async def end_turn(self, session: str, turn: int) -> tuple[FileChange, ...]:
        """A turn is over, in whatever way: what it changed; empty, without a look, when it took no checkpoint."""
        raise NotImplementedError

    # --- Asking

    async def turns(self, session: str = "") -> tuple[TurnState, ...]:
        """The turns on record, oldest first; only one session's when named."""
        raise NotImplementedError

    async def list(self) -> tuple[Checkpoint, ...]:
        """All checkpoints, oldest first."""
        raise NotImplementedError

    async def show(self, id: str) -> Checkpoint:
        """The checkpoint whose id begins with `id`."""
        raise NotImplementedError

    async def changes(self, a: str, b: str = "") -> tuple[FileChange, ...]:
        """What differs from checkpoint `a` to `b`, or to the files as they are now."""
        raise NotImplementedError

    async def patch(self, a: str, b: str = "", paths: Sequence[str] = ()) -> bytes:
        """The same as a patch that `git apply` takes at the top of the working tree."""
        raise NotImplementedError

    # --- Bringing back

    async def undo(
        self,
        count: int = 1,
        *,
        session: str = "",
        paths: Sequence[str] = (),
        scope: Scope = "both",
        resolve: Resolve = "refuse",
        dry_run: bool = False,
    ) -> Report:
        """Take back the newest `count` turns that are not undone yet, of any session unless one is named.

        A file comes back where it is still as the turn left it. One that was changed since is a conflict, unless
        `resolve` is "force" (it is overwritten) or "merge" (three-way; lines that clash are conflicts). With `paths`,
        files or folders relative to the folder, the rest stays, and the turn counts as not undone. The scope
        "conversation" touches no file, it is only noted. Raises when there is nothing to undo.
        """
        raise NotImplementedError

    async def redo(
        self, count: int = 1, *, session: str = "", resolve: Resolve = "refuse", dry_run: bool = False
    ) -> Report:
        """Bring back what the last `count` undos took; impossible once a later turn has changed files."""
        raise NotImplementedError

    async def restore(
        self, id: str, paths: Sequence[str] = (), *, resolve: Resolve = "refuse", dry_run: bool = False
    ) -> Report:
        """Make all files, or `paths`, as they were at checkpoint `id`. What was changed by hand since is a conflict;
        files that no turn created are never deleted."""
        raise NotImplementedError

    # --- Retention

    async def prune(self, keep_seconds: float, keep_bytes: int) -> Pruned:
        """Drop checkpoints older than `keep_seconds`, then the oldest until the store is within `keep_bytes`.

        The newest, and all of sessions that are alive, stay.
        """
        raise NotImplementedError

    async def prune_if_due(self, keep_seconds: float, keep_bytes: int) -> Pruned | None:
        """The same, at most once a day; None when it was not due or another process is at work."""
        raise NotImplementedError

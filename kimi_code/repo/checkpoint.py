"""Checkpoints of a working tree: take them, compare them, and bring files back, without ever losing any.

One store per working tree, shared by all sessions in it. The user's repository lends objects and is never written.
"""

import asyncio
import time
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager, suppress
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from kimi_code.errors import CheckpointError
from kimi_code.events import FileChange
from kimi_code.repo.checkpoints.checkpoint_log import (
    Began,
    Ended,
    Entry,
    Kept,
    Paused,
    Resumed,
    Scope,
    Started,
    TurnState,
)
from kimi_code.repo.checkpoints.ledger import Doorway, Ledger, new_id
from kimi_code.repo.checkpoints.pauses import leave_out, while_paused
from kimi_code.repo.checkpoints.report import Action, Conflict, Pruned, Report, Resolve
from kimi_code.repo.checkpoints.states import Letters, letters, quiet_letters
from kimi_code.repo.shadow import Shadow, ShadowError, missing
from kimi_code.repo.snapshot import Snapshot, Snapshots
from kimi_code.values import frozen

if TYPE_CHECKING:
    from kimi_code.repo.checkpoints.reversal import Since

__all__ = [
    "Action",
    "Checkpoint",
    "CheckpointError",
    "Checkpoints",
    "Conflict",
    "Pruned",
    "Report",
    "Resolve",
    "Scope",
    "Span",
    "TurnState",
]

_TIDYING = 3.0  # seconds at most that a command waits for what it was not asked for
_CHANGES: dict[str, Literal["created", "deleted"]] = {"A": "created", "D": "deleted"}


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
class Span:
    """Two states of the working tree, as the ids of trees in its shadow repository."""

    shadow: Shadow
    before: str
    after: str


class Checkpoints:
    """The checkpoints of the working tree that `snapshots` looks at.

    Every method waits at most `wait` seconds for another process at work in the same tree, and cleans up first after
    one that was killed. All raise CheckpointError with a sentence for the person; nothing is half done then.
    """

    def __init__(self, snapshots: Snapshots, *, wait: float = 20.0) -> None:
        self._snapshots = snapshots
        self._door = Doorway(snapshots, wait)

    # --- Recording, by sessions

    def hold(self, session: str) -> AbstractContextManager[None]:
        """Say that `session` is alive until the context ends (or the process dies): its checkpoints are not pruned,
        and while it has a turn that has not ended, nobody undoes or restores."""
        return self._door.holds.hold(session)

    async def begin_turn(self, session: str, turn: int, prompt: str) -> None:
        """A turn begins. Looks at no file: its first `take` says what it started from."""
        async with self._door.open() as ledger:
            self._begin(ledger, session, turn, prompt)

    async def take(self, session: str, turn: int, label: str, *, changing: bool = True) -> Checkpoint | None:
        """Keep the files as they are; None when they are as they were at the folder's newest checkpoint.

        The `files` of the new one come without counts of lines, and a renamed one as deleted and created.

        The turn starts from the first state before which it may be `changing` something: what the user edits while the
        model only thinks and reads is not the turn's.
        """
        async with self._door.open() as ledger:
            begun = ledger.history.turn(session, turn)
            if begun is None or begun.ended:
                begun = self._begin(ledger, session, turn, "")
            before = ledger.history.newest
            # What a turn starts from, and what it ends with, is looked at thoroughly: undo depends on it.
            state, notes = await ledger.look(quick=bool(begun.before))
            kept, found = await ledger.record(state, session=session, turn=turn, label=label, notes=notes)
            entries: list[Entry] = [kept] if kept is not before else []
            if changing and not begun.before:
                entries.append(Started(begun.id, kept.id))
            if ledger.history.is_paused(begun.id):
                entries.append(Resumed(begun.id, kept.id))
            if entries:
                ledger.log.append(*entries)
            if kept is before:
                return None
            if before is None:
                return _shown(kept)
            return _shown(kept, _named(ledger, found) if found else await self._changes(ledger, before, kept))

    async def pause(self, session: str, turn: int, label: str) -> None:
        """A person is about to be asked: what changes until the turn's next `take`, or its end, is not its own.

        Without a look while nothing can have changed yet.
        """
        async with self._door.open() as ledger:
            begun = ledger.history.turn(session, turn)
            if begun is None or begun.ended or not begun.before:
                return
            newest = ledger.history.newest
            state, notes = await ledger.look(quick=True)
            kept, _ = await ledger.record(state, session=session, turn=turn, label=label, notes=notes)
            entries: list[Entry] = [kept] if kept is not newest else []
            if ledger.history.is_paused(begun.id):
                entries.append(Resumed(begun.id, kept.id))
            ledger.log.append(*entries, Paused(begun.id, kept.id))

    async def end_turn(self, session: str, turn: int) -> tuple[FileChange, ...]:
        """A turn is over, in whatever way: what it changed; empty, without a look, when it took no checkpoint."""
        async with self._door.open() as ledger:
            begun = ledger.history.turn(session, turn)
            if begun is None or begun.ended:
                return ()
            if not begun.before:
                ledger.log.append(Ended(begun.id))
                return ()
            newest = ledger.history.newest
            state, notes = await ledger.look()
            label = f"end of turn {turn}"
            kept, _ = await ledger.record(state, session=session, turn=turn, label=label, notes=notes)
            entries: list[Entry] = [kept] if kept is not newest else []
            if ledger.history.is_paused(begun.id):
                entries.append(Resumed(begun.id, kept.id))
            ledger.log.append(*entries, Ended(begun.id, kept.id))
            changes = await self._changes(ledger, ledger.find(begun.before), kept)
            apart = await while_paused(ledger, begun, kept.tree)
            theirs = {ledger.display(path) for path in apart.others}
            return tuple(change for change in changes if change.path not in theirs)

    async def span(self, session: str, turn: int) -> Span | None:
        """What the turn that is under way has changed so far; None when it took no checkpoint.

        What changed only while it was paused is left out.
        """
        async with self._door.open() as ledger:
            begun = ledger.history.turn(session, turn)
            if begun is None or not begun.before:
                return None
            before, (state, _) = ledger.find(begun.before), await ledger.look()
            apart = await while_paused(ledger, begun, state.tree)
            if not apart.others:
                return Span(ledger.shadow, before.tree, state.tree)
            return Span(
                ledger.shadow, before.tree, await leave_out(ledger.shadow, apart.others, ledger.state(before), state)
            )

    @staticmethod
    def _begin(ledger: Ledger, session: str, turn: int, prompt: str) -> TurnState:
        id = new_id()
        ledger.log.append(Began(id, time.time(), session, turn, prompt[:200], ledger.holds.name(session)))
        return ledger.history.turns[id]

    # --- Asking

    async def turns(self, session: str = "") -> tuple[TurnState, ...]:
        """The turns on record, oldest first; only one session's when named."""
        async with self._door.open() as ledger:
            return tuple(turn for turn in ledger.history.turns.values() if not session or turn.session == session)

    async def list(self) -> tuple[Checkpoint, ...]:
        """All checkpoints, oldest first; their `files` without counts of lines."""
        async with self._door.open() as ledger:
            kept = list(ledger.history.checkpoints.values())
            changes = await letters(ledger.shadow, [(a.tree, b.tree) for a, b in pairwise(kept)])
            listed = [_shown(kept[0])] if kept else []
            for before, checkpoint, found in zip(kept, kept[1:], changes, strict=False):
                files = _named(ledger, found) if found else await self._changes(ledger, before, checkpoint)
                listed.append(_shown(checkpoint, files))
            return tuple(listed)

    async def damaged(self) -> tuple[str, ...]:
        """The ids of those whose objects are not all there any more, as after a power cut; oldest first."""
        async with self._door.open() as ledger:
            kept = list(ledger.history.checkpoints.values())
            if await _is_whole(ledger.shadow, *(each.tree for each in kept)):
                return ()
            return tuple([each.id for each in kept if not await _is_whole(ledger.shadow, each.tree)])

    async def show(self, id: str) -> Checkpoint:
        """The checkpoint whose id begins with `id`."""
        async with self._door.open() as ledger:
            kept = ledger.find(id)
            all_kept = [*ledger.history.checkpoints.values()]
            before = all_kept[all_kept.index(kept) - 1] if kept is not all_kept[0] else None
            return _shown(kept, await self._changes(ledger, before, kept) if before else ())

    async def changes(self, a: str, b: str = "") -> tuple[FileChange, ...]:
        """What differs from checkpoint `a` to `b`, or to the files as they are now."""
        async with self._door.open() as ledger:
            before = ledger.find(a)
            tree = ledger.find(b).tree if b else (await ledger.look())[0].tree
            return await self._snapshots.changes(Snapshot(before.tree), Snapshot(tree))

    async def patch(self, a: str, b: str = "", paths: Sequence[str] = ()) -> bytes:
        """The same as a patch that `git apply` takes at the top of the working tree."""
        async with self._door.open() as ledger:
            before = ledger.find(a)
            tree = ledger.find(b).tree if b else (await ledger.look())[0].tree
            wanted = ledger.within(paths)
            diff = ("--literal-pathspecs", "diff-tree", "-r", "-p", "--binary", "--full-index", "--no-renames")
            named = ("--", *(path.rstrip("/") or "." for path in wanted)) if wanted else ()
            return await ledger.shadow.ask(*diff, "--no-ext-diff", "--no-textconv", before.tree, tree, *named)

    async def since(self, id: str) -> "Since":
        """What differs from checkpoint `id` to the files as they are now, as diffs to pick from."""
        from kimi_code.repo.checkpoints.reversal import look_since

        async with self._door.open() as ledger:
            return await look_since(ledger, id)

    async def _changes(self, ledger: Ledger, before: Kept, after: Kept) -> tuple[FileChange, ...]:
        if before.kept == after.kept and before.tree == after.tree:
            return ()
        if before.tree == after.tree:
            with suppress(CheckpointError):  # a damaged record is told by whoever needs it
                return _named(ledger, await quiet_letters(ledger.shadow, ledger.state(before), ledger.state(after)))
        return await self._snapshots.changes(Snapshot(before.tree), Snapshot(after.tree))

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
        from kimi_code.repo.checkpoints.rewind import Rewind

        async with self._door.open() as ledger:
            rewind = Rewind(ledger, resolve=resolve, dry_run=dry_run)
            return await rewind.undo(count, session=session, paths=paths, scope=scope)

    async def redo(
        self, count: int = 1, *, session: str = "", resolve: Resolve = "refuse", dry_run: bool = False
    ) -> Report:
        """Bring back what the last `count` undos took; impossible once a later turn has changed files."""
        from kimi_code.repo.checkpoints.rewind import Rewind

        async with self._door.open() as ledger:
            return await Rewind(ledger, resolve=resolve, dry_run=dry_run).redo(count, session=session)

    async def restore(
        self, id: str, paths: Sequence[str] = (), *, resolve: Resolve = "refuse", dry_run: bool = False
    ) -> Report:
        """Make all files, or `paths`, as they were at checkpoint `id`. What was changed by hand since is a conflict;
        files that no turn created are never deleted."""
        from kimi_code.repo.checkpoints.rewind import Rewind

        async with self._door.open() as ledger:
            return await Rewind(ledger, resolve=resolve, dry_run=dry_run).restore(id, paths)

    async def revert(self, since: "Since", ids: Collection[str]) -> Report:
        """Take back the changes that `ids` of `since` name. A file that was changed since it was seen is a conflict."""
        from kimi_code.repo.checkpoints.rewind import Rewind

        async with self._door.open() as ledger:
            return await Rewind(ledger).revert(since, ids)

    # --- Retention

    async def tidy(self) -> None:
        """Remove the temporary files that a killed process of ours left in the tree; for commands that look at no file.

        Gives up after a moment where the tree is huge.
        """
        async with self._door.open() as ledger:
            with suppress(CheckpointError, TimeoutError):
                async with asyncio.timeout(_TIDYING):
                    await ledger.look(quick=True)

    async def prune(self, keep_seconds: float, keep_bytes: int) -> Pruned:
        """Drop checkpoints older than `keep_seconds`, then the oldest until the store is within `keep_bytes`.

        The newest, and all of sessions that are alive, stay.
        """
        from kimi_code.repo.checkpoints.retention import prune

        async with self._door.open() as ledger:
            return await prune(ledger, keep_seconds, keep_bytes)


async def _is_whole(shadow: Shadow, *trees: str) -> bool:
    try:
        return not await missing(shadow, *trees)
    except ShadowError:  # a tree itself is not there
        return False


def _named(ledger: Ledger, found: Letters) -> tuple[FileChange, ...]:
    return tuple(FileChange(ledger.display(path), _CHANGES.get(x, "modified")) for path, x in sorted(found.items()))


def _shown(kept: Kept, files: tuple[FileChange, ...] = ()) -> Checkpoint:
    return Checkpoint(kept.id, kept.at, kept.session, kept.turn, kept.label, files, kept.notes)

"""A session's folder over time: its checkpoints, what changed since one, and the ways back to it.

Undo and redo go by turns and are the session's own; here it goes by checkpoints and by hunks.
"""

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

from kimi_code.errors import CheckpointError
from kimi_code.events import FileChange
from kimi_code.repo.checkpoint import Action, Checkpoint, Checkpoints, Conflict, Report, Resolve, Scope, TurnState
from kimi_code.repo.checkpoints.reversal import Since
from kimi_code.session.rewind import Rewinder, Rewound, RewoundTurn, Wish
from kimi_code.values import frozen

__all__ = [
    "Action",
    "Checkpoint",
    "Conflict",
    "Report",
    "Resolve",
    "Rewound",
    "RewoundTurn",
    "Scope",
    "Since",
    "Timeline",
    "Wish",
]

_NAMED = 20  # files told to the model


@frozen
class Timeline:
    """One session's view of its folder.

    `alone` is entered while files or conversation are changed, and raises KimiError when that is not possible now.
    `tell` puts words for the model into the history, which has to read files again that it knows.
    """

    session: str
    checkpoints: Checkpoints
    rewinder: Rewinder
    alone: Callable[[], AbstractContextManager[None]]
    tell: Callable[[str], None]

    async def list(self) -> tuple[Checkpoint, ...]:
        """All checkpoints of the folder, oldest first. Raises CheckpointError."""
        return await self.checkpoints.list()

    async def since(self, id: str = "") -> Since:
        """What changed since a checkpoint, since the session's first one if none is named. Raises CheckpointError."""
        return await self.checkpoints.since(id or await self._first())

    async def changed(self) -> tuple[FileChange, ...]:
        """The files that differ from how they were when the session began to change them. Raises CheckpointError."""
        return await self.checkpoints.changes(await self._first())

    async def _first(self) -> str:
        turns = await self.checkpoints.turns(self.session)
        first = next((turn.before for turn in turns if turn.before), "")
        if not first:
            raise CheckpointError(
                "Nothing has changed since this session began: there is no checkpoint of it yet.",
                hint="/checkpoints lists those of other sessions; name one: /diff ID",
            )
        return first

    async def revert(self, since: Since, ids: Collection[str]) -> Report:
        """Take back the changes that `ids` name (hunks, or diffs without any), as they were seen; all or none.

        A file that was changed since it was seen is a conflict. Raises KimiError while a turn runs.
        """
        with self.alone():
            report = await self.checkpoints.revert(since, ids)
            if report.applied and report.actions:
                self.tell(
                    f"The user took back some of the changes in {_named(report.actions)}. Build on what is there."
                )
            return report

    async def restore(self, id: str, scope: Scope, *, resolve: Resolve = "refuse", dry_run: bool = False) -> Rewound:
        """Files, conversation or both as they were at a checkpoint; the conversation goes back by whole turns.

        With conflicts nothing is done. Raises CheckpointError, KimiError while a turn runs.
        """
        with self.alone():
            turns = await self._since_then(id) if scope != "code" else 0
            talk = Wish(turns, self.session, scope="conversation", dry_run=True)
            if scope == "conversation" and not turns:
                raise CheckpointError(
                    "The conversation has not gone on since that checkpoint.", hint="Restore the files only."
                )
            planned = await self.rewinder.run("undo", talk) if turns else None
            if scope == "conversation":
                assert planned is not None
                return planned if dry_run else await self.rewinder.run("undo", replace(talk, dry_run=False))
            report = await self.checkpoints.restore(id, resolve=resolve, dry_run=dry_run)
            if report.applied and planned is not None:
                planned = await self.rewinder.run("undo", replace(talk, dry_run=False))
            if report.applied and report.actions:
                self.tell(f"The user put files back as they were earlier: {_named(report.actions)}.")
            return Rewound(report, planned.turns if planned else ())

    async def _since_then(self, id: str) -> int:
        """How many of the session's turns there are since that checkpoint whose conversation is in force."""
        kept = await self.checkpoints.show(id)
        turns = await self.checkpoints.turns(self.session)
        return sum(_is_after(turn, kept) for turn in turns if turn.undone in ("", "code"))


def _is_after(turn: TurnState, kept: Checkpoint) -> bool:
    """Whether a turn began after a checkpoint, or took it on its way."""
    own = (turn.session, turn.turn) == (kept.session, kept.turn)
    return turn.at > kept.at or (own and (turn.before == kept.id or turn.after != kept.id))


def _named(actions: Sequence[Action]) -> str:
    paths = [action.path for action in actions if not action.path.endswith("/")]
    more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
    return ", ".join(paths[:_NAMED]) + more

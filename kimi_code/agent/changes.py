"""Which files a turn changed, whoever changed them: tools or shell commands."""

import asyncio
from collections.abc import Callable, Iterable

from kimi_code.events import Diff, Event, FileChange, Notice
from kimi_code.repo.snapshot import Snapshot, Snapshots


class ChangeWatch:
    """Takes the tree's state lazily, before the first step that may change it, and compares at the end.

    Where no snapshot can be taken, and for files outside its tree, what the tools reported has to do.
    """

    def __init__(self, snapshots: Snapshots | None, publish: Callable[[Event], object]) -> None:
        self._snapshots = snapshots
        self._publish = publish
        self._before: Snapshot | None = None
        self._begun = False
        self._reported: list[Diff] = []

    async def before_change(self) -> None:
        """Call before anything may change; cheap after the first time."""
        if self._begun:
            return
        self._begun = True
        if self._snapshots is not None:
            self._before = await self._snapshots.take()
            notes = self._before.notes if self._before else ()
            for note in notes:
                self._publish(Notice("info", note))

    def report(self, diffs: Iterable[Diff]) -> None:
        """What a tool says it changed."""
        self._reported.extend(diffs)

    async def span(self) -> tuple[Snapshot, Snapshot] | None:
        """The files before the first change and now; None where nothing can have changed, or it is not known."""
        if self._snapshots is None or self._before is None:
            return None
        after = await self._snapshots.take()
        return (self._before, after) if after is not None else None

    async def collect(self) -> tuple[FileChange, ...]:
        """The turn's changes, by path; when cancelled, what the tools reported."""
        try:
            return await self._collect() if self._begun else ()
        except asyncio.CancelledError:
            # Whoever will not wait for the comparison has still to hear how the turn ended.
            return tuple(change for _, change in sorted(_merged(self._reported).items()))

    async def _collect(self) -> tuple[FileChange, ...]:
        found: dict[str, FileChange] = {}
        after = None
        if self._snapshots is not None and self._before is not None:
            after = await self._snapshots.take()
        if self._snapshots is not None and self._before is not None and after is not None:
            found = {change.path: change for change in await self._snapshots.changes(self._before, after)}
        for path, change in _merged(self._reported).items():
            if after is None or path.startswith(("/", "../")) or ":" in path[:3]:
                found.setdefault(path, change)
        return tuple(found[path] for path in sorted(found))


def _merged(diffs: Iterable[Diff]) -> dict[str, FileChange]:
    merged: dict[str, FileChange] = {}
    for diff in diffs:
        before = merged.get(diff.path)
        added, removed = (before.added, before.removed) if before else (0, 0)
        change = before.change if before and before.change == "created" else diff.change
        merged[diff.path] = FileChange(diff.path, change, added + diff.added, removed + diff.removed)
    return merged

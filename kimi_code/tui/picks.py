"""Which hunks of an approval are taken: a list to walk, take from, and split. Knows no widget."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from kimi_code.events import Allow, AllowHunks, Block, Diff, Hunk, Reply
from kimi_code.values import frozen


@frozen
class Pick:
    """Something to take or to leave: a hunk of a file, or (None) all that changes in it."""

    diff: Diff
    hunk: Hunk | None
    taken: bool = True

    @property
    def id(self) -> str:
        return self.diff.id if self.hunk is None else self.hunk.id

    @property
    def length(self) -> int:
        """How many lines it has."""
        hunks = self.diff.hunks if self.hunk is None else (self.hunk,)
        return sum(len(hunk.lines) for hunk in hunks)


@dataclass(slots=True)
class Picks:
    """All of an approval's changes; `at` is the one the person looks at."""

    all: list[Pick] = field(default_factory=list[Pick])
    at: int = 0

    @property
    def current(self) -> Pick:
        return self.all[self.at]

    @property
    def taken(self) -> int:
        """How many are taken."""
        return sum(pick.taken for pick in self.all)

    def move(self, by: int) -> None:
        """To the next (1) or previous (-1) one; the ends hold."""
        self.at = min(max(self.at + by, 0), len(self.all) - 1)

    def toggle(self) -> None:
        """Take what was left, leave what was taken."""
        self.all[self.at] = replace(self.current, taken=not self.current.taken)

    def split(self) -> bool:
        """Put the parts of a hunk in its place; False where it has only one run of changes."""
        from kimi_code.session.proposal import parts

        pick = self.current
        pieces = parts(pick.hunk) if pick.hunk is not None else ()
        self.all[self.at : self.at + 1] = [replace(pick, hunk=piece) for piece in pieces] or [pick]
        return bool(pieces)

    def reply(self) -> Reply:
        """What allows just this."""
        if self.taken == len(self.all):
            return Allow()
        return AllowHunks(tuple(pick.id for pick in self.all if pick.taken))


def picks_of(blocks: Sequence[Block]) -> Picks:
    """Everything that can be taken on its own; nothing where no diff is shown."""
    picks: list[Pick] = []
    for diff in blocks:
        if isinstance(diff, Diff):
            whole = not diff.hunks or any(not hunk.id for hunk in diff.hunks)
            picks += [Pick(diff, None)] if whole else [Pick(diff, hunk) for hunk in diff.hunks]
    return Picks(picks)

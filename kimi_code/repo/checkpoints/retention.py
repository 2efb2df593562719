"""What checkpoints are kept: young ones, the newest, those of living sessions; the rest goes, and its objects."""

import contextlib
import time
from collections.abc import Collection
from itertools import chain
from pathlib import Path

from kimi_code.repo.checkpoints.checkpoint_log import (
    Began,
    Ended,
    Entry,
    History,
    Kept,
    Landed,
    Paused,
    Redone,
    Restored,
    Resumed,
    Started,
    Undone,
)
from kimi_code.repo.checkpoints.ledger import Ledger
from kimi_code.repo.checkpoints.report import Pruned
from kimi_code.repo.checkpoints.states import absent, pack
from kimi_code.repo.shadow import needed_since

_DAY = 86_400
_ROUNDS = 8
_PART = 4  # of the oldest that may go, one in so many goes in a round, until the rest is small enough


async def prune(ledger: Ledger, keep_seconds: float, keep_bytes: int) -> Pruned:
    """Drop what is too old, then the oldest until the store is small enough. Raises ShadowError and OSError."""
    before, had = size_of(ledger.shadow.folder), len(ledger.history.checkpoints)
    oldest = time.time() - keep_seconds
    needed = needed_since(ledger.shadow, min(oldest, time.time() - _DAY))
    await _drop(ledger, [kept.id for kept in _droppable(ledger) if kept.at < oldest], needed)
    for _ in range(_ROUNDS):
        droppable = _droppable(ledger)
        if not droppable or size_of(ledger.shadow.folder) <= keep_bytes:
            break
        await _drop(ledger, [kept.id for kept in droppable[: max(1, len(droppable) // _PART)]], needed)
    return Pruned(had - len(ledger.history.checkpoints), max(0, before - size_of(ledger.shadow.folder)))


def _droppable(ledger: Ledger) -> list[Kept]:
    """Oldest first: not the newest, and none that a living session made or can go back to."""
    history = ledger.history
    living = {name.partition(".")[0] for name in ledger.alive()}
    needed = {kept.id for kept in history.checkpoints.values() if kept.session in living}
    mine = {turn.id for turn in history.turns.values() if turn.session in living}
    for turn in history.turns.values():
        if turn.id in mine:
            needed |= {turn.before, history.end_of(turn), *chain(*history.pauses.get(turn.id, ()))}
    for entry in history.entries:
        if isinstance(entry, Undone) and entry.id in mine:
            needed |= {entry.before, entry.after}
    newest = history.newest
    return [kept for kept in history.checkpoints.values() if kept is not newest and kept.id not in needed]


async def _drop(ledger: Ledger, ids: Collection[str], commits: Collection[str]) -> None:
    """Take them out of the log, and then all that only they needed out of the store; others need `commits`."""
    gone = set(ids)
    if gone:
        ledger.log.rewrite(_without(ledger.history, gone))
    await _repack(ledger, commits)
    used = {name for kept in ledger.history.checkpoints.values() for name in (kept.kept, kept.ignored)}
    for path in ledger.surveys.iterdir() if ledger.surveys.is_dir() else ():
        if path.name not in used:
            path.unlink(missing_ok=True)


def _without(history: History, gone: set[str]) -> list[Entry]:
    """The log without these checkpoints, and without the turns and operations that need one of them."""
    oldest = min((kept.at for kept in history.checkpoints.values() if kept.id not in gone), default=0.0)
    lost = {
        turn.id
        for turn in history.turns.values()
        if {turn.before, history.end_of(turn)} & gone or (not turn.before and turn.ended and turn.at < oldest)
    }
    operations = {e.operation for e in history.entries if isinstance(e, Undone) and (e.id in lost or _needs(e) & gone)}
    left: list[Entry] = []
    for entry in history.entries:
        match entry:
            case Kept(id=id):
                keep = id not in gone
            case Began(id=id) | Started(id=id) | Ended(id=id):
                keep = id not in lost
            case Paused(id=id, checkpoint=checkpoint) | Resumed(id=id, checkpoint=checkpoint):
                keep = id not in lost and checkpoint not in gone
            case Undone(operation=operation):
                keep = operation not in operations
            case Redone(undone=undone):
                keep = undone not in operations and not _needs(entry) & gone
            case Restored():
                keep = not _needs(entry) & gone
            case Landed():
                keep = False  # said only to whoever comes after a kill
        if keep:
            left.append(entry)
    return left


def _needs(entry: Undone | Redone | Restored) -> set[str]:
    return {entry.before, entry.after}


async def _repack(ledger: Ledger, commits: Collection[str]) -> None:
    """One pack of all that the checkpoints need, and `commits`, and that is here; whatever else is here goes.

    Done by hand: git's own would take what was copied from the user's repository for superfluous.
    """
    shadow, objects = ledger.shadow, ledger.shadow.folder / "objects"
    old = [path for path in (objects / "pack").glob("*") if path.is_file()]
    loose = [path for folder in objects.glob("??") for path in folder.iterdir()]
    here = {path.parent.name + path.name for path in loose}
    for index in (path for path in old if path.suffix == ".idx"):
        listing = await shadow.ask("show-index", input=index.read_bytes())
        here |= {line.split(" ")[1] for line in listing.decode().splitlines()}
    trees = {kept.tree for kept in ledger.history.checkpoints.values()}
    trees -= await absent(shadow, trees)
    query = ("rev-list", "--objects", "--no-object-names", "--missing=allow-any", "--stdin")
    needed = set((await shadow.ask(*query, input="".join(f"{t}\n" for t in trees).encode())).decode().split())
    named = set(commits) - await absent(shadow, commits)
    if named:  # what they descend from need not be here
        lines = "".join(f"{each}\n" for each in named).encode()
        needed |= set((await shadow.ask(*query, "--no-walk", input=lines)).decode().split())
    wanted = sorted(here & needed)
    name = await pack(shadow, wanted) if wanted else ""
    # What the next snapshot begins with may speak of objects that go.
    shadow.index.unlink(missing_ok=True)
    for path in (*loose, *old):
        if not name or name not in path.name:
            path.unlink(missing_ok=True)
    for path in shadow.folder.glob("index.*"):  # of those who were killed
        if time.time() - path.stat().st_mtime > _DAY:
            path.unlink(missing_ok=True)
    for folder in objects.glob("??"):
        with contextlib.suppress(OSError):
            folder.rmdir()


def size_of(folder: Path) -> int:
    """Bytes on the disk."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())

"""A working tree's store of checkpoints while it is locked: the log, the states behind it, who is alive."""

import contextlib
import hashlib
import os
import posixpath
import secrets
import time
from collections.abc import AsyncGenerator, Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kimi_code.errors import CheckpointError
from kimi_code.repo.checkpoints import survey
from kimi_code.repo.checkpoints.checkpoint_log import LOG, History, Kept, Log, TurnState
from kimi_code.repo.checkpoints.states import Letters, State, differences, keep_difference
from kimi_code.repo.lock import FileLock
from kimi_code.repo.shadow import RESTORING, Shadow, ShadowError
from kimi_code.repo.snapshot import Snapshots

_SURVEYS = "surveys"
_LIVE = "live"
_ALPHABET = "23456789abcdefghijkmnpqrstuvwxyz"
_LITTER_AGE = 60.0  # seconds; a living process has moved its temporary files into place long before


def new_id() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(8))


@dataclass(slots=True)
class Holds:
    """The sessions of this process that say they are alive, by the names of their lock files once they have one."""

    sessions: set[str] = field(default_factory=set[str])
    locks: dict[str, FileLock] = field(default_factory=dict[str, FileLock])
    token: str = field(default_factory=new_id)

    def name(self, session: str) -> str:
        """Names the process as well: of a session that is resumed, an earlier process's turn is over."""
        return f"{session}.{self.token}" if session in self.sessions else ""

    @contextlib.contextmanager
    def hold(self, session: str) -> Generator[None]:
        self.sessions.add(session)
        try:
            yield
        finally:
            lock = self.locks.pop(self.name(session), None)
            self.sessions.discard(session)
            if lock is not None:
                lock.release()

    def show(self, folder: Path) -> None:
        """Take the locks in `folder` that are not taken yet."""
        for session in self.sessions:
            name = self.name(session)
            if name not in self.locks:
                folder.mkdir(exist_ok=True)
                lock = FileLock(folder / name)
                lock.attempt()
                self.locks[name] = lock


@dataclass(slots=True)
class Ledger:
    """Valid only while the lock is held. `holds` are those of this process, `notes` what a person should hear
    about cleaning up."""

    shadow: Shadow
    snapshots: Snapshots
    log: Log
    holds: Holds
    notes: list[str] = field(default_factory=list[str])

    @property
    def history(self) -> History:
        return self.log.history

    @property
    def surveys(self) -> Path:
        return self.shadow.folder / _SURVEYS

    def find(self, id: str) -> Kept:
        """The checkpoint whose id begins so. Raises CheckpointError when there is none, or more than one."""
        checkpoints = self.history.checkpoints
        found = (
            [checkpoints[id]] if id in checkpoints else [k for k in checkpoints.values() if id and k.id.startswith(id)]
        )
        if len(found) == 1:
            return found[0]
        problem = f"{id!r} is the beginning of {len(found)} checkpoints" if found else f"There is no checkpoint {id!r}"
        raise CheckpointError(f"{problem} of {self.shadow.worktree}.", hint="`kimi-code checkpoints list` shows them.")

    def display(self, path: str) -> str:
        """A path of the store as the person knows it: relative to the folder that was asked from."""
        prefix = self.snapshots.root.relative_to(self.shadow.worktree).as_posix()
        if prefix == ".":
            return path
        return posixpath.relpath(path, prefix) + "/" * path.endswith("/")

    def within(self, paths: Sequence[str]) -> list[str]:
        """The paths as the store names them, `""` for everything. Raises CheckpointError for one outside the tree."""
        found: list[str] = []
        for path in paths:
            place = os.path.normpath(os.path.join(self.snapshots.root, path))  # noqa: PTH118  (links stay)
            inside = os.path.relpath(place, self.shadow.worktree).replace(os.sep, "/")
            if inside == ".." or inside.startswith("../"):
                raise CheckpointError(f"{path} is not in {self.shadow.worktree}.", hint="Nothing was changed.")
            found.append("" if inside == "." else inside)
        return found

    def state(self, kept: Kept) -> State:
        """All files of a checkpoint. Raises CheckpointError when its record is damaged."""
        try:
            looks = survey.decode((self.surveys / kept.kept).read_bytes(), (self.surveys / kept.ignored).read_bytes())
        except (OSError, ValueError) as error:
            raise CheckpointError(f"The record of checkpoint {kept.id} is damaged or gone: {error}.") from error
        return State(kept.tree, looks, frozenset(kept.skipped))

    async def look(self, *, quick: bool = False) -> tuple[State, tuple[str, ...]]:
        """The files as they are now, and what is left out. Raises CheckpointError."""
        snapshot = await self.snapshots.take(full=True, quick=quick)
        if snapshot is None or snapshot.survey is None:
            raise CheckpointError(
                f"The files of {self.shadow.worktree} could not be kept: {self.snapshots.reason}.",
                hint="Nothing was changed.",
            )
        self._sweep(snapshot.litter)
        return State(snapshot.tree, snapshot.survey, frozenset(snapshot.skipped)), snapshot.notes

    async def record(
        self, state: State, *, session: str, turn: int, label: str, notes: tuple[str, ...] = ()
    ) -> tuple[Kept, Letters]:
        """The newest checkpoint if it is of the same files, else a new one, which is not in the log yet, and in which
        files it differs from the newest."""
        newest = self.history.newest
        found: Letters = {}
        if newest is not None:
            if await self.is_same(newest, state):
                return newest, {}
            found = await keep_difference(self.shadow, newest.tree, state.tree)
        return self.write(state, session=session, turn=turn, label=label, notes=notes), found

    def write(self, state: State, *, session: str, turn: int, label: str, notes: tuple[str, ...] = ()) -> Kept:
        """A new checkpoint, which is not in the log yet."""
        kept = self._put(survey.encode_kept(state.survey))
        ignored = self._put(survey.encode_ignored(state.survey))
        skipped = tuple(sorted(state.skipped))
        return Kept(new_id(), time.time(), session, turn, label, state.tree, kept, ignored, notes, skipped)

    async def is_same(self, kept: Kept, state: State) -> bool:
        """Whether a checkpoint is of just these files, modes and empty folders."""
        if kept.tree != state.tree:
            return False
        if kept.kept == _name_of(survey.encode_kept(state.survey)):
            return True
        # The same modes can be told in two ways.
        known = self.state(kept)
        return known.survey.empty == state.survey.empty and not await differences(self.shadow, known, state)

    def _put(self, content: bytes) -> str:
        name = _name_of(content)
        path = self.surveys / name
        if not path.exists():
            self.surveys.mkdir(exist_ok=True)
            temporary = path.with_name(f"{name}.new")
            temporary.write_bytes(content)
            temporary.replace(path)
        return name

    def _sweep(self, litter: tuple[str, ...]) -> None:
        """Remove what a killed process of ours left in the tree: at once, or when others live after a while."""
        others = self.alive() - self.holds.locks.keys() if litter else set[str]()
        for path in litter:
            found = self.shadow.worktree / path
            with contextlib.suppress(OSError):
                if not others or time.time() - found.lstat().st_mtime > _LITTER_AGE:
                    found.unlink()

    # --- Who is alive

    def alive(self) -> set[str]:
        """The names of living holds, of this process too."""
        folder = self.shadow.folder / _LIVE
        found: set[str] = set()
        for path in folder.iterdir() if folder.is_dir() else ():
            lock = FileLock(path)
            if lock.attempt():
                path.unlink(missing_ok=True)  # safe: nobody takes one without the store's lock
                lock.release()
            else:
                found.add(path.name)
        return found

    def running(self) -> TurnState | None:
        """A turn that a living process is in the midst of."""
        alive = self.alive()
        turns = self.history.turns.values()
        return next((turn for turn in turns if not turn.ended and turn.holder and turn.holder in alive), None)


def _name_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:24]


class Doorway:
    """The way to the store of one working tree; what was read of its log is remembered."""

    def __init__(self, snapshots: Snapshots, wait: float) -> None:
        self.snapshots = snapshots
        self.holds = Holds()
        self._wait = wait
        self._log: Log | None = None

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncGenerator[Ledger]:
        """The store under its lock, cleaned up after whoever was killed in it.

        Raises CheckpointError, also for whatever fails while it is open.
        """
        root = self.snapshots.root
        try:
            shadow = await self.snapshots.open()
            async with FileLock(shadow.folder / "lock").held(self._wait):
                log = self._log = self._log or Log(shadow.folder / LOG)
                notes = _recover(shadow, log.refresh())
                self.holds.show(shadow.folder / _LIVE)
                yield Ledger(shadow, self.snapshots, log, self.holds, notes)
        except TimeoutError as error:
            raise CheckpointError(
                f"Another process has been at work on the checkpoints of {root} for {self._wait:g} s.",
                hint="Wait for it to end, and try again.",
            ) from error
        except ShadowError as error:
            raise CheckpointError(f"Checkpoints of {root} do not work: {error}.") from error
        except OSError as error:
            place = f": {error.filename}" if error.filename else ""
            raise CheckpointError(f"Checkpoints of {root} failed: {error.strerror or error}{place}.") from error


def _recover(shadow: Shadow, history: History) -> list[str]:
    """Clean up after a swap that was killed; what to tell about it."""
    if not (shadow.folder / RESTORING).exists():
        return []
    from kimi_code.repo.checkpoints import swap

    kept = swap.recover(shadow, history.operations)
    return [f"{path} was changed after an undo or a review that was cut off, and stays as it is" for path in kept]

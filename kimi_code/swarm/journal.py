"""A swarm on disk: its entries a line each, append-only, and the objects of its commits where they outlive a kill.

A line is written before anybody acts on it. `kill -9` at any byte: a torn last line is dropped, the rest is the truth.
"""

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from io import FileIO
from pathlib import Path
from typing import Any

from kimi_code.errors import SwarmError
from kimi_code.events import TaskState
from kimi_code.repo import loose
from kimi_code.repo.shadow import Shadow, ShadowError, name_needed
from kimi_code.repo.trees import Trees
from kimi_code.session.journal import open_locked
from kimi_code.session.store import Store
from kimi_code.session.swarms import SWARMS
from kimi_code.swarm.states import GOOD, Entry, Swarm, replay
from kimi_code.values import frozen

_SUFFIX = ".jsonl"
_JSON = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"))


@frozen
class Kept:
    """A swarm in a session's folder. Its id is the session's and a number: "k3m9xw2a7c-1"."""

    session: Path
    number: int

    @property
    def id(self) -> str:
        return f"{self.session.name}-{self.number}"

    @property
    def path(self) -> Path:
        return self.session / SWARMS / f"{self.number}{_SUFFIX}"

    @property
    def handed_over(self) -> bool:
        """Whether its change was applied, or declined."""
        return self.handed_over_at is not None

    @property
    def handed_over_at(self) -> float | None:
        """When it was, in Unix time."""
        try:
            return self._mark.stat().st_mtime
        except OSError:
            return None

    @property
    def _mark(self) -> Path:
        return self.path.with_suffix(".delivered")

    @property
    def cancel_mark(self) -> Path:
        """The file by which another process asks the one that runs it to cancel it."""
        return self.path.with_suffix(".cancel")

    def hand_over(self, status: str) -> None:
        """Note that it was."""
        self._mark.write_text(status, encoding="utf-8")

    def is_unfinished(self) -> bool:
        """Whether going on with it makes sense. Raises SwarmError."""
        lost = (TaskState.FAILED, TaskState.BLOCKED, TaskState.CANCELLED)
        states = [progress.state for progress in self.state().tasks.values()]
        return any(state not in GOOD and state not in lost for state in states) or not (
            self.handed_over or all(state is TaskState.CANCELLED for state in states)
        )

    def read(self) -> list[Entry]:
        """The entries that can be read, in order; a torn last line is left out. Raises SwarmError for a torn middle."""
        return read(self.path)

    def state(self) -> Swarm:
        """What the entries add up to. Raises SwarmError when they add up to nothing."""
        try:
            return replay(self.read())
        except ValueError as error:
            raise SwarmError(f"The journal of swarm {self.id} cannot be used: {error}.", hint=str(self.path)) from None


def swarms_of(session: Path) -> list[Kept]:
    """The swarms of a session's folder, oldest first; not one that was killed before its plan was written."""
    paths = (session / SWARMS).glob(f"*{_SUFFIX}")
    numbers = [int(path.stem) for path in paths if path.stem.isdecimal() and path.stat().st_size]
    return [Kept(session, number) for number in sorted(numbers)]


def find(sessions: Path, prefix: str) -> Kept:
    """The swarm whose id starts with `prefix`. Raises SwarmError when there is none or more than one."""
    wanted, dash, number = prefix.rpartition("-")
    folders = [folder for folder in sessions.glob(f"{wanted if dash else prefix}*") if folder.is_dir()]
    found = [kept for folder in folders for kept in swarms_of(folder)]
    if dash:
        found = [kept for kept in found if str(kept.number) == number]
    if len(found) == 1:
        return found[0]
    if not found:
        raise SwarmError(f"There is no swarm {prefix!r}.", hint="`kimi-code swarm status` lists those of this folder.")
    names = ", ".join(kept.id for kept in found[:5])
    raise SwarmError(f"{prefix!r} is the beginning of {len(found)} swarms: {names}.", hint="Give more of the id.")


def of_folder(data_dir: Path, cwd: Path | None) -> list[Kept]:
    """The swarms of the sessions of a folder (None: of all), newest session first."""
    metas = Store(data_dir).list()
    return [kept for meta in metas if cwd is None or meta.cwd == str(cwd) for kept in reversed(swarms_of(meta.path))]


def newest_unfinished(data_dir: Path, cwd: Path) -> Kept:
    """The newest of a folder that can go on. Raises SwarmError when there is none."""
    for kept in of_folder(data_dir, cwd):
        if kept.is_unfinished():
            return kept
    raise SwarmError(f"There is no unfinished swarm of {cwd}.", hint="`kimi-code swarm status --all` lists all.")


def encode(entry: Entry) -> str:
    """One line without its newline."""
    return _JSON.encode(_adapter().dump_python(entry, mode="json"))


def decode(line: str | bytes) -> Entry:
    """The entry in a line. Raises ValueError."""
    return _adapter().validate_json(line)


@cache
def _adapter() -> Any:
    # pydantic is loaded with the first swarm.
    from pydantic import TypeAdapter

    return TypeAdapter(Entry)


def read(path: Path) -> list[Entry]:
    """As `Kept.read`."""
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise SwarmError(f"The swarm's journal {path} cannot be read: {error.strerror}.") from None
    return list(_entries(path, [line for line in lines if line.strip()]))


def _entries(path: Path, lines: list[bytes]) -> Iterator[Entry]:
    for number, line in enumerate(lines, 1):
        try:
            yield decode(line)
        except ValueError as error:
            # Only a write that was cut short may be lost: anything else would bring back another state.
            if number == len(lines) or not line.rstrip().endswith(b"}"):
                continue
            raise SwarmError(f"{path}, line {number}, is no entry of a swarm's journal: {error}") from None


class SwarmJournal:
    """Appends. Raises UsageError when another process goes on with the swarm, OSError where it cannot be written."""

    def __init__(self, kept: Kept, scrub: Callable[[str], str] = str) -> None:
        kept.path.parent.mkdir(parents=True, exist_ok=True)
        self._scrub = scrub
        self._file: FileIO = open_locked(kept.path)

    def write(self, entry: Entry) -> None:
        """Append, and hand over to the system at once."""
        line = memoryview(self._scrub(encode(entry)).encode("ascii") + b"\n")
        while line:
            line = line[self._file.write(line) :]

    def close(self) -> None:
        self._file.close()


@dataclass(slots=True)
class Keeper:
    """Copies commits from a moment's store, which goes with its checkouts, into the lasting one of the working tree.

    There they stay as long as checkpoints do.
    """

    trees: Trees
    lasting: Shadow
    swarm_id: str
    _wanted: dict[tuple[str, ...], list[str]] = field(default_factory=dict[tuple[str, ...], list[str]])
    _copying: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def keep(self, commit: str, *known: str) -> None:
        """All that `commit` has and none of `known` (without: none of its parents). Raises ShadowError, OSError."""
        self._wanted.setdefault(known, []).append(commit)
        async with self._copying:
            # Those who wait meanwhile are served together: a hundred agents may end at once.
            commits = self._wanted.pop(known, [])
            if commit not in commits:
                self._put_back(known, commits)
                return
            try:
                await self._copy(commits, known)
            except BaseException as error:
                commits.remove(commit)
                self._put_back(known, commits)
                if not commits or not isinstance(error, ShadowError):
                    raise
                await self._copy((commit,), known)  # it may be another's that cannot be kept

    def _put_back(self, known: tuple[str, ...], commits: Sequence[str]) -> None:
        if commits:
            self._wanted[known] = [*commits, *self._wanted.get(known, ())]

    async def _copy(self, commits: Sequence[str], known: Sequence[str]) -> None:
        for commit in commits:
            await self.trees.tree(commit)  # that it is there at all
        source, target = self.trees.store.folder, self.lasting.folder
        if not await asyncio.to_thread(loose.copy, source, target, commits, known):
            wanted = commits if known else [f"{commit}^!" for commit in commits]
            revisions = "\n".join((*wanted, *(f"^{each}" for each in known), ""))
            # --local: what is borrowed from the user's repository or the lasting store need not be copied.
            pack = await self.trees.ask("pack-objects", "--revs", "--local", "--stdout", "-q", input=revisions.encode())
            await self.lasting.ask("unpack-objects", "-q", input=pack)
        name_needed(self.lasting, self.swarm_id, *commits)

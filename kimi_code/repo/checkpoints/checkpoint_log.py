"""The log of a working tree's checkpoints: what was kept, which turns began and ended, what was undone; append-only.

A line is one JSON object. The log is the only truth; `History` reduces it to what can be asked.
"""

import contextlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast

from kimi_code.values import frozen

LOG = "checkpoints.jsonl"
"""Its name in a working tree's store."""

Scope = Literal["both", "code", "conversation"]
Part = Literal["code", "conversation"]


def parts(scope: Scope | Literal[""]) -> set[Part]:
    """A turn is its code and its conversation."""
    return {"code", "conversation"} if scope == "both" else {scope} if scope else set()


def together(one: Scope | Literal[""], other: Scope | Literal[""]) -> Scope | Literal[""]:
    """What is in either."""
    return _scope(parts(one) | parts(other))


def without(scope: Scope | Literal[""], taken: Scope | Literal[""]) -> Scope | Literal[""]:
    """What of `scope` is not in `taken`."""
    return _scope(parts(scope) - parts(taken))


def _scope(found: set[Part]) -> Scope | Literal[""]:
    if len(found) == 2:
        return "both"
    return found.pop() if found else ""


@frozen
class Kept:
    """A state that can be had back: git tree `tree`, surveys by the names of their files."""

    id: str
    at: float
    session: str
    turn: int
    label: str
    tree: str
    kept: str
    ignored: str
    notes: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()


@frozen
class Began:
    """A turn began; `id` tells it from another of the same number (a rewound session counts anew), `holder` is the
    living process it runs in."""

    id: str
    at: float
    session: str
    turn: int
    prompt: str
    holder: str = ""


@frozen
class Started:
    """The first checkpoint of a turn."""

    id: str
    checkpoint: str


@frozen
class Ended:
    """A turn is over; without a checkpoint it changed no file."""

    id: str
    checkpoint: str = ""


@frozen
class Paused:
    """From this checkpoint on the turn waits for a person: what changes until it is `Resumed` is not its own."""

    id: str
    checkpoint: str


@frozen
class Resumed:
    """The wait of a turn is over; this checkpoint is of what it found then."""

    id: str
    checkpoint: str


@frozen
class Undone:
    """Turn `id` was taken back: files went from checkpoint `before` to `after`; both empty when none was touched."""

    id: str
    operation: str
    at: float
    scope: Scope
    partial: bool
    before: str = ""
    after: str = ""


@frozen
class Redone:
    """Operation `undone` was itself taken back."""

    operation: str
    at: float
    undone: str
    before: str = ""
    after: str = ""


@frozen
class Restored:
    """A checkpoint was restored, in whole or in part."""

    operation: str
    at: float
    before: str
    after: str


@frozen
class Landed:
    """A result made elsewhere (a reviewed turn) was put into the files, within a turn, which it can be undone with."""

    operation: str
    at: float


Entry: TypeAlias = Kept | Began | Started | Ended | Paused | Resumed | Undone | Redone | Restored | Landed

_KINDS: dict[str, type[Entry]] = {
    "checkpoint": Kept,
    "began": Began,
    "started": Started,
    "ended": Ended,
    "paused": Paused,
    "resumed": Resumed,
    "undone": Undone,
    "redone": Redone,
    "restored": Restored,
    "landed": Landed,
}
_FIELDS = {name: (kind, frozenset(f.name for f in fields(kind))) for name, kind in _KINDS.items()}
_NAMES = {kind: name for name, kind in _KINDS.items()}


@frozen
class TurnState:
    """A turn as undo sees it: `before` and `after` are ids of checkpoints.

    `before` is empty when it took none (it changed no file), `after` until it `ended`, and for ever when it was killed.
    `undone` says in what scope it was taken back, empty when it is in force.
    """

    session: str
    turn: int
    at: float
    prompt: str
    before: str = ""
    after: str = ""
    ended: bool = False
    undone: Scope | Literal[""] = ""
    id: str = ""
    holder: str = ""


@dataclass(slots=True)
class History:
    """What the log says. `undone` are the operations that redo can take back, the next one last.

    `pauses` are, by turn, the checkpoints from which and to which it waited for a person; the last may have no end yet.
    """

    entries: list[Entry] = field(default_factory=list[Entry])
    checkpoints: dict[str, Kept] = field(default_factory=dict[str, Kept])
    turns: dict[str, TurnState] = field(default_factory=dict[str, TurnState])
    undone: list[Undone] = field(default_factory=list[Undone])
    operations: set[str] = field(default_factory=set[str])
    pauses: dict[str, list[tuple[str, str]]] = field(default_factory=dict[str, list[tuple[str, str]]])

    def add(self, entry: Entry) -> None:
        """What comes after all that is known; entries about a turn that was pruned change nothing."""
        self.entries.append(entry)
        match entry:
            case Kept():
                self.checkpoints[entry.id] = entry
            case Began(id, at, session, number, prompt, holder):
                self.turns[id] = TurnState(session, number, at, prompt, id=id, holder=holder)
            case Started(id, checkpoint):
                self._update(id, before=checkpoint)
            case Ended(id, checkpoint):
                self._update(id, after=checkpoint, ended=True)
            case Paused(id, checkpoint):
                self.pauses.setdefault(id, []).append((checkpoint, ""))
            case Resumed(id, checkpoint):
                if self.is_paused(id):
                    self.pauses[id][-1] = (self.pauses[id][-1][0], checkpoint)
            case Undone():
                if not entry.partial:
                    self._update(entry.id, undone=together(self._undone_of(entry.id), entry.scope))
                self.undone.append(entry)
                self.operations.add(entry.operation)
            case Redone():
                self._redo(entry)
            case Restored(operation) | Landed(operation):
                self.operations.add(operation)

    def _update(self, id: str, **changes: Any) -> None:
        if id in self.turns:
            self.turns[id] = replace(self.turns[id], **changes)

    def _undone_of(self, id: str) -> Scope | Literal[""]:
        return self.turns[id].undone if id in self.turns else ""

    def _redo(self, entry: Redone) -> None:
        self.operations.add(entry.operation)
        for undone in [other for other in self.undone if other.operation == entry.undone]:
            self.undone.remove(undone)
            if not undone.partial:
                self._update(undone.id, undone=without(self._undone_of(undone.id), undone.scope))

    def is_paused(self, id: str) -> bool:
        """Whether the turn waits for a person, or was killed when it did."""
        return id in self.pauses and not self.pauses[id][-1][1]

    @property
    def newest(self) -> Kept | None:
        """The last known state of the files."""
        return next(reversed(self.checkpoints.values()), None)

    def turn(self, session: str, number: int) -> TurnState | None:
        """The newest turn of that number."""
        turns = reversed(self.turns.values())
        return next((turn for turn in turns if (turn.session, turn.turn) == (session, number)), None)

    def end_of(self, turn: TurnState) -> str:
        """The checkpoint a turn left: its last, or when it was killed the first that another made; "" when none did."""
        if turn.after or turn.ended:
            return turn.after
        started = False
        for entry in self.entries:
            started = started or (isinstance(entry, Started) and entry.id == turn.id)
            if started and isinstance(entry, Kept) and (entry.session, entry.turn) != (turn.session, turn.turn):
                return entry.id
        return ""

    def by_hand(self, start: str) -> list[tuple[Kept, Kept]]:
        """The neighbouring checkpoints since `start` between which no turn and no operation of ours was at work."""
        waits = {pair for pairs in self.pauses.values() for pair in pairs}
        ours = {(e.before, e.after) for e in self.entries if isinstance(e, Undone | Redone | Restored)}
        running: dict[str, TurnState] = {}
        found: list[tuple[Kept, Kept]] = []
        last: Kept | None = None
        seen = False
        for entry in self.entries:
            match entry:
                case Kept():
                    pair = (last.id, entry.id) if last is not None else ("", "")
                    if last is not None and seen and pair not in ours and (not running or pair in waits):
                        found.append((last, entry))
                    last, seen = entry, seen or entry.id == start
                    # A killed turn has no end: whoever looks next finds what it left.
                    for turn in [t for t in running.values() if not self.turns[t.id].ended]:
                        if (turn.session, turn.turn) != (entry.session, entry.turn):
                            del running[turn.id]
                case Started(id):
                    if id in self.turns:
                        running[id] = self.turns[id]
                case Ended(id):
                    running.pop(id, None)
                case _:
                    pass
        return found


def encode(entry: Entry) -> bytes:
    """A line, with its end; names that are no Unicode are carried as lone surrogates, escaped."""
    wire = {"kind": _NAMES[type(entry)], **{f.name: getattr(entry, f.name) for f in fields(entry)}}
    return json.dumps(wire, separators=(",", ":"), ensure_ascii=True).encode() + b"\n"


def decode(line: bytes) -> Entry | None:
    """The entry on a line; None for a torn one, and for one that a newer version wrote."""
    try:
        wire = cast("dict[str, Any]", json.loads(line))
        kind, known = _FIELDS[wire.pop("kind")]
        values: dict[str, Any] = {key: value for key, value in wire.items() if key in known}
        return kind(**{key: _as_tuple(value) for key, value in values.items()})
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _as_tuple(value: Any) -> Any:
    return tuple(cast("list[Any]", value)) if isinstance(value, list) else value


class Log:
    """The log in a file, of which only what is new is read again. To be used under a lock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.history = History()
        self._read = (0, 0)  # the file's number, and up to where

    def refresh(self) -> History:
        """What it says now; an absent file says nothing. Raises OSError."""
        number, end = self._read
        try:
            with self.path.open("rb") as file:
                found = os.fstat(file.fileno())
                if (found.st_ino, True) != (number, found.st_size >= end):
                    self.history, end = History(), 0
                file.seek(end)
                content = file.read()
        except FileNotFoundError:
            self.history, self._read = History(), (0, 0)
            return self.history
        whole = content[: content.rfind(b"\n") + 1]
        for line in whole.split(b"\n"):
            if (entry := decode(line)) is not None:
                self.history.add(entry)
        self._read = (found.st_ino, end + len(whole))
        return self.history

    def append(self, *entries: Entry, durable: bool = False) -> None:
        """Add entries at once, after what `refresh` saw: a torn end of an earlier writer is cut off.

        `durable` ones are on the disk when it returns. Raises OSError; then the log is as it was.
        """
        _, end = self._read
        content = b"".join(map(encode, entries))
        with self.path.open("ab") as file:
            try:
                file.truncate(end)
                file.write(content)
                file.flush()
                if durable:
                    os.fsync(file.fileno())
            except OSError:
                with contextlib.suppress(OSError):
                    file.truncate(end)
                raise
            self._read = (os.fstat(file.fileno()).st_ino, end + len(content))
        for entry in entries:
            self.history.add(entry)

    def rewrite(self, entries: Iterable[Entry]) -> None:
        """Replace it in one step. Raises OSError."""
        temporary = self.path.with_name(f"{self.path.name}.new")
        with temporary.open("wb") as file:
            file.write(b"".join(map(encode, entries)))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self.path)
        self._read = (0, 0)
        self.refresh()

"""What a person decides on changes: hunks kept or taken back, words on lines. Knows no screen."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from kimi_code.events import Diff, Hunk
from kimi_code.tui.strips.diffs import Place
from kimi_code.values import frozen

Verdict = Literal["kept", "reverted"]


@frozen
class Piece:
    """One thing to decide on: a hunk, or a diff that has none."""

    id: str
    hunk: Hunk | None = None


@frozen
class ChangedFile:
    """All diffs of a path; a change of mode is one beside that of the lines."""

    path: str
    diffs: tuple[Diff, ...]

    @property
    def pieces(self) -> tuple[Piece, ...]:
        return tuple(piece for diff in self.diffs for piece in pieces_of(diff))

    @property
    def added(self) -> int:
        return sum(diff.added for diff in self.diffs)

    @property
    def removed(self) -> int:
        return sum(diff.removed for diff in self.diffs)


def pieces_of(diff: Diff) -> tuple[Piece, ...]:
    """What of a diff is decided on one by one."""
    return tuple(Piece(hunk.id, hunk) for hunk in diff.hunks) or (Piece(diff.id),)


@dataclass(slots=True)
class Verdicts:
    """Decisions on `files`, by the ids of pieces; comments by path and place."""

    files: Sequence[ChangedFile]
    decided: dict[str, Verdict] = field(default_factory=dict[str, Verdict])
    comments: dict[tuple[str, Place], str] = field(default_factory=dict[tuple[str, Place], str])

    @classmethod
    def on(cls, diffs: Sequence[Diff]) -> "Verdicts":
        by_path: dict[str, list[Diff]] = {}
        for diff in diffs:
            by_path.setdefault(diff.path, []).append(diff)
        return cls([ChangedFile(path, tuple(found)) for path, found in by_path.items()])

    @property
    def count(self) -> int:
        """How many pieces there are."""
        return sum(len(file.pieces) for file in self.files)

    @property
    def reverted(self) -> tuple[str, ...]:
        """The ids of what is to be taken back."""
        return tuple(id for id, verdict in self.decided.items() if verdict == "reverted")

    def decide(self, verdict: Verdict, *pieces: Piece) -> None:
        """Decide on pieces; what was decided so already is open again."""
        again = all(self.decided.get(piece.id) == verdict for piece in pieces)
        for piece in pieces:
            if again:
                del self.decided[piece.id]
            else:
                self.decided[piece.id] = verdict

    def of_file(self, file: ChangedFile) -> Verdict | Literal["", "some"]:
        """What was decided on a whole file; "some" when not one thing on all of it."""
        found: set[Verdict | None] = {self.decided.get(piece.id) for piece in file.pieces}
        return "some" if len(found) > 1 else found.pop() or ""

    def comment(self, path: str, place: Place, words: str) -> None:
        """Say something on a line; without words, no longer."""
        if words.strip():
            self.comments[path, place] = words.strip()
        else:
            self.comments.pop((path, place), None)

    def message(self) -> str:
        """All comments as one message for the model; "" when there are none."""
        return "\n\n".join(("My comments on the changes:", *self._comments())) if self.comments else ""

    def _comments(self) -> Iterator[str]:
        order = {file.path: index for index, file in enumerate(self.files)}
        for (path, place), words in sorted(self.comments.items(), key=lambda at: (order[at[0][0]], at[0][1].number)):
            removed = " (a line that was removed)" if place.mark == "-" else ""
            yield f"{path}:{place.number}{removed}\n> {place.text}\n{words}"

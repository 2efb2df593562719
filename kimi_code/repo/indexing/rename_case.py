"""One rename while it is worked out: the files that say the name, what changes in each, and how it is refused."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from kimi_code.errors import ToolError
from kimi_code.repo.index import Index
from kimi_code.repo.indexing.answers import Definition
from kimi_code.repo.indexing.binding_rules import Family
from kimi_code.repo.indexing.occurrences import Names, Occurrence
from kimi_code.values import frozen

Replacement = tuple[int, int, str]  # bytes from, to, and what takes their place
Read = Callable[[str], Awaitable[bytes | None]]  # a path of the index -> its text as UTF-8; None when it has none

SHOWN_MOST = 5  # places that a refusal names
CLASSES = frozenset({"class", "interface", "struct", "enum", "trait", "type"})
SOURCES = re.compile(r"\.(?:d\.ts|[cm]?[jt]sx?|py|pyi)$")


@frozen
class Plan:
    """A rename: the replacements of each file (relative to the index's root), and what the person should know."""

    definition: Definition
    edits: Mapping[str, tuple[Replacement, ...]]
    notes: tuple[str, ...] = ()


@frozen
class File:
    """A file that says the name."""

    path: str
    content: bytes
    names: Names

    def at(self, occurrence: Occurrence) -> str:
        return f"{self.path}:{occurrence.line}"


@dataclass(slots=True)
class Case:
    """One rename while it is worked out."""

    index: Index
    read: Read
    definition: Definition
    family: Family
    new: str
    files: dict[str, File] = field(default_factory=dict[str, File])
    others: dict[str, bytes] = field(default_factory=dict[str, bytes])
    edits: dict[str, list[Replacement]] = field(default_factory=dict[str, list[Replacement]])
    notes: list[str] = field(default_factory=list[str])
    mentions: list[str] = field(default_factory=list[str])

    @property
    def old(self) -> str:
        return self.definition.name

    @property
    def owner(self) -> str:
        """The class of a member, "" for what stands at the top of its file."""
        return self.definition.container.rpartition(".")[2]

    def change(self, file: File, each: Occurrence) -> None:
        new = f"{self.old}: {self.new}" if each.role == "shorthand" else self.new
        self.edits.setdefault(file.path, []).append((each.start, each.end, new))

    def refuse(self, why: str) -> ToolError:
        return ToolError(f"{self.definition.qualified} cannot be renamed safely: {why}. Nothing was changed.")

    def refuse_at(self, why: str, places: Sequence[str]) -> ToolError:
        more = f" and {len(places) - SHOWN_MOST} more" if len(places) > SHOWN_MOST else ""
        return self.refuse(f"{why} ({', '.join(places[:SHOWN_MOST])}{more})")

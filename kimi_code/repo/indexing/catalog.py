"""What the index knows of all files, in memory: names are numbers, a file's definitions and uses are arrays of them.

Some 1,500 bytes a file; the details stay on disk. Only its owner's thread changes it; others may read meanwhile, so
that nothing here is changed while somebody walks over it: lists of files are taken first, what is derived is replaced.
"""

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from kimi_code.repo.indexing.facts import KIND_LETTERS, Facts, read_kind
from kimi_code.repo.indexing.fuzzy import Lines

NameLines = tuple[Sequence[int], Lines]  # the numbers of names, and the names for matching, in the same order


@dataclass(slots=True)
class Entry:
    """A file. `defined` are the names of its definitions in order, `kinds` a letter each; `referenced` once each."""

    path: str
    size: int
    mtime_ns: int
    digest: str
    language: str
    problem: str
    defined: "array[int]"
    kinds: str
    referenced: "array[int]"
    counts: bytes
    imports: str

    def kind(self, place: int) -> tuple[str, bool]:
        """The kind of a definition, and whether it is exported."""
        return read_kind(self.kinds[place])


class Numbers(dict[str, int]):
    """The numbers of names; a name that is looked up by its key gets one."""

    def __init__(self, names: list[str]) -> None:
        super().__init__()
        self._names = names

    def __missing__(self, name: str) -> int:
        number = self[name] = len(self._names)
        self._names.append(name)
        return number


class Catalog:
    """Files by path and names by number. `version` grows with every change of what files define or use."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.version: int = 0
        self.numbers = Numbers(self.names)
        self._files: dict[str, Entry] = {}
        self._definers: tuple[int, dict[int, list[Entry]]] = (-1, {})
        self._counts: tuple[int, Mapping[int, int]] = (-1, {})
        self._lines: tuple[int, NameLines] = (-1, ((), Lines(())))

    def __len__(self) -> int:
        return len(self._files)

    def __iter__(self) -> Iterator[Entry]:
        return iter(list(self._files.values()))

    def get(self, path: str) -> Entry | None:
        """The file at `path`, if it is known."""
        return self._files.get(path)

    def put(self, facts: Facts) -> None:
        """Take in a file. Raises ValueError when the facts do not fit together."""
        defined = self._numbered(facts.defined, len(facts.kinds))
        referenced = self._numbered(facts.referenced, len(facts.counts))
        if len(defined) != len(facts.kinds) or len(referenced) != len(facts.counts):
            raise ValueError(f"the facts about {facts.path} do not fit together")
        if not KIND_LETTERS.issuperset(facts.kinds):
            raise ValueError(f"the facts about {facts.path} speak of unknown kinds")
        self._added(
            Entry(
                *(facts.path, facts.size, facts.mtime_ns, facts.digest, facts.language, facts.problem),
                *(defined, facts.kinds, referenced, facts.counts, facts.imports),
            )
        )

    def _added(self, entry: Entry) -> None:
        self._files[entry.path] = entry
        self.version += 1

    def _numbered(self, joined: str, count: int) -> "array[int]":
        return array("I", map(self.numbers.__getitem__, joined.split("\n")) if count else ())

    def drop(self, path: str) -> None:
        """Forget a file."""
        if self._files.pop(path, None) is not None:
            self.version += 1

    def number(self, name: str) -> int | None:
        """The number of a name that some file has or had."""
        return self.numbers.get(name)

    def definers(self) -> Mapping[int, Sequence[Entry]]:
        """The files that define each name, each file once."""
        (version, found), now = self._definers, self.version
        if version != now:
            found = dict[int, list[Entry]]()
            for entry in self:
                for number in set(entry.defined):
                    found.setdefault(number, []).append(entry)
            self._definers = (now, found)
        return found

    def defined_names(self) -> Sequence[NameLines]:
        """All defined names, in one part or more; some may not be defined any more."""
        (version, part), now = self._lines, self.version
        if version != now:
            part = self._part(self.definers())
            self._lines = (now, part)
        return (part,)

    def _part(self, defined: Iterable[int]) -> NameLines:
        numbers = array("I", defined)
        return numbers, Lines(self.names[number] for number in numbers)

    def user_counts(self) -> Mapping[int, int]:
        """How many files use each defined name."""
        (version, counts), now = self._counts, self.version
        if version != now:
            definers = self.definers()
            counts = Counter(n for entry in self for n in entry.referenced if n in definers)
            self._counts = (now, counts)
        return counts

    def users(self, number: int) -> list[Entry]:
        """The files that use a name."""
        return [entry for entry in self if number in entry.referenced]

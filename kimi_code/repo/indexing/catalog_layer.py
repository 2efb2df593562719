"""The catalog of a tree that is another one but for a few files: it holds these only, and shares the rest."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TypeVar

from kimi_code.repo.indexing.catalog import Catalog, Entry, NameLines

K = TypeVar("K")
V = TypeVar("V")


class Over(Mapping[K, V]):
    """`above` where it has something, else `below`."""

    def __init__(self, above: Mapping[K, V], below: Mapping[K, V]) -> None:
        self._above, self._below = above, below

    def __getitem__(self, key: K) -> V:
        return self._above[key] if key in self._above else self._below[key]

    def __contains__(self, key: object) -> bool:
        return key in self._above or key in self._below

    def __iter__(self) -> Iterator[K]:
        yield from self._above
        yield from (key for key in self._below if key not in self._above)

    def __len__(self) -> int:
        return len(self._below) + sum(key not in self._below for key in self._above)


class LayeredCatalog(Catalog):
    """`below` as it is at any time, but for files that were `put` or `drop`ped here, until they are `restore`d."""

    def __init__(self, below: Catalog) -> None:
        super().__init__()
        self.names, self.numbers = below.names, below.numbers
        self._below = below
        self._hidden: set[str] = set()  # files of those below that are others here, or none
        self._merged: tuple[object, Mapping[int, Sequence[Entry]]] = (None, {})
        self._counted: tuple[object, Mapping[int, int]] = (None, {})
        self._parts: tuple[object, Sequence[NameLines]] = (None, ())

    @property
    def own(self) -> Collection[str]:
        """The paths of the files that are not those below."""
        return self._files.keys()

    def hides(self, path: str) -> bool:
        """Whether what is below at `path` does not count here."""
        return path in self._hidden

    def __len__(self) -> int:
        return len(self._below) - sum(self._below.get(path) is not None for path in self._hidden) + len(self._files)

    def __iter__(self) -> Iterator[Entry]:
        hidden = frozenset(self._hidden)
        return iter([*(entry for entry in self._below if entry.path not in hidden), *self._files.values()])

    def get(self, path: str) -> Entry | None:
        """The file at `path`, if it is known."""
        return self._files.get(path) or (None if path in self._hidden else self._below.get(path))

    def drop(self, path: str) -> None:
        """Forget a file, also one that is below."""
        if path not in self._hidden or path in self._files:
            self._hidden.add(path)
            self._files.pop(path, None)
            self.version += 1

    def restore(self, path: str) -> None:
        """The file is again what it is below."""
        if path in self._hidden:
            self._hidden.discard(path)
            self._files.pop(path, None)
            self.version += 1

    def _added(self, entry: Entry) -> None:
        self._hidden.add(entry.path)
        super()._added(entry)

    @property
    def _state(self) -> tuple[int, int]:
        return (self.version, self._below.version)

    def _covered(self) -> list[Entry]:
        """The entries below that do not count here."""
        return [entry for path in self._hidden if (entry := self._below.get(path)) is not None]

    def definers(self) -> Mapping[int, Sequence[Entry]]:
        """The files that define each name, each file once; none for one that is not defined any more."""
        now, below = self._state, self._below.definers()
        if not self._hidden:
            return below
        if self._merged[0] != now:
            hidden, own = frozenset(self._hidden), list(self._files.values())
            touched = {number for entry in (*self._covered(), *own) for number in entry.defined}
            found: dict[int, Sequence[Entry]] = {
                number: [entry for entry in below.get(number, ()) if entry.path not in hidden] for number in touched
            }
            for entry in own:
                for number in set(entry.defined):
                    found[number] = [*found[number], entry]
            self._merged = (now, Over(found, below))
        return self._merged[1]

    def defined_names(self) -> Sequence[NameLines]:
        """Those below, and a part of those that are new here."""
        now, parts = self._state, self._below.defined_names()
        if not self._files:
            return parts
        if self._parts[0] != now:
            below = self._below.definers()
            fresh = {number for entry in self._files.values() for number in entry.defined if number not in below}
            self._parts = (now, (*parts, self._part(sorted(fresh))))
        return self._parts[1]

    def user_counts(self) -> Mapping[int, int]:
        """How many files use each defined name."""
        now, below = self._state, self._below.user_counts()
        if not self._hidden:
            return below
        if self._counted[0] != now:
            covered, own = self._covered(), list(self._files.values())
            changes = Counter(number for entry in own for number in entry.referenced)
            changes.subtract(number for entry in covered for number in entry.referenced)
            known = self._below.definers()
            counts = {number: below.get(number, 0) + by for number, by in changes.items() if number in known}
            fresh = {number for entry in own for number in entry.defined if number not in known}
            counts |= self._uses_of(fresh)
            self._counted = (now, Over(counts, below))
        return self._counted[1]

    def _uses_of(self, names: set[int]) -> Mapping[int, int]:
        """By how many files names are used that are defined only here: nobody has counted them."""
        return Counter(number for entry in self for number in names.intersection(entry.referenced)) if names else {}

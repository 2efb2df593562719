"""Which file uses which: every name a file uses leads to the files that may define it, those it imports first. Pure."""

from array import array
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import pairwise
from math import sqrt

from kimi_code.repo.indexing.catalog import Catalog, Entry
from kimi_code.repo.indexing.rank import Graph, make_graph
from kimi_code.values import frozen

# How much a use counts by how we know what it means. A name alone is a guess, and worth less the more files define it.
_IMPORTED = 1.0
_REEXPORTED = 0.7
_BESIDE = 0.3
_BY_NAME = 0.1
_BY_NAME_MOST = 4  # a name that more files define says nothing
_PACKAGES = ("__init__.py", "index.ts", "index.tsx", "index.js", "index.mjs", "mod.rs", "lib.rs")

Imports = Mapping[str, Collection[str]]  # the files that each file imports


@frozen
class Uses:
    """Edges with the names that made them: file n's are `[starts[n]:starts[n + 1]]`.

    `files` are the paths in order; `places` where the name is in the file's `referenced`, `targets` the defining files.
    """

    files: tuple[str, ...]
    starts: "array[int]"
    places: "array[int]"
    targets: "array[int]"
    weights: "array[float]"

    def graph(self) -> Graph:
        """The files alone, all edges between two of them as one."""
        return make_graph(len(self.files), self._weights_by_target())

    def _weights_by_target(self) -> Iterator[dict[int, float]]:
        for start, end in pairwise(self.starts):
            weights: dict[int, float] = {}
            for target, weight in zip(self.targets[start:end], self.weights[start:end], strict=True):
                weights[target] = weights.get(target, 0.0) + weight
            yield weights

    def altered(self, paths: Collection[str]) -> "Uses":
        """Without what these files use: they are other ones by now. Those that are not here are added."""
        known = frozenset(self.files)
        fresh = sorted(path for path in paths if path not in known)
        made = Uses((*self.files, *fresh), array("I", [0]), array("I"), array("I"), array("f"))
        for path, (start, end) in zip(self.files, pairwise(self.starts), strict=True):
            if path not in paths:
                made.places.extend(self.places[start:end])
                made.targets.extend(self.targets[start:end])
                made.weights.extend(self.weights[start:end])
            made.starts.append(len(made.targets))
        made.starts.extend([len(made.targets)] * len(fresh))
        return made

    def pack(self) -> bytes:
        """The edges as bytes, for `unpack` with the same files."""
        arrays = (self.starts, self.places, self.targets, self.weights)
        return b"".join((array("Q", map(len, arrays)).tobytes(), *(each.tobytes() for each in arrays)))


def unpack(files: Sequence[str], packed: bytes) -> Uses | None:
    """What `pack` made; None when it is something else, or was made on another machine."""
    made = (array("I"), array("I"), array("I"), array("f"))
    try:
        lengths = array("Q", packed[:32])
        offset = 32
        for each, length in zip(made, lengths, strict=True):
            end = offset + length * each.itemsize
            each.frombytes(packed[offset:end])
            offset = end
    except (ValueError, OverflowError):
        return None
    starts, places, targets, weights = made
    whole = offset == len(packed) and len(starts) == len(files) + 1 and bool(starts) and starts[-1] == len(targets)
    return Uses(tuple(files), starts, places, targets, weights) if whole else None


def connect(catalog: Catalog, imports: Imports) -> Uses:
    """The edges of all files. It takes a second for 10,000 files."""
    entries = sorted(catalog, key=lambda entry: entry.path)
    numbers = {entry.path: number for number, entry in enumerate(entries)}
    definers = {  # of the files that were there a moment ago; nothing refers to a heading or a target of make
        name: {numbers[entry.path] for entry in found if entry.path in numbers and not entry.problem}
        for name, found in catalog.definers().items()
    }
    imported = [{numbers[path] for path in imports.get(entry.path, ()) if path in numbers} for entry in entries]
    packages = {number for path, number in numbers.items() if path.rpartition("/")[2] in _PACKAGES}
    folders: dict[str, set[int]] = {}
    for entry, number in zip(entries, numbers.values(), strict=True):
        folders.setdefault(entry.path.rpartition("/")[0], set()).add(number)
    uses = Uses(tuple(numbers), array("I", [0]), array("I"), array("I"), array("f"))
    for number, entry in enumerate(entries):
        direct = imported[number]
        reexported = set[int]().union(*(imported[package] for package in direct & packages))
        circles = ((direct, _IMPORTED), (reexported, _REEXPORTED), (folders[entry.path.rpartition("/")[0]], _BESIDE))
        for place, name in enumerate(entry.referenced):
            found = definers.get(name)
            if not found or (number in found and not direct & found):
                continue
            _add(uses, number, place, sqrt(entry.counts[place]), found, circles)
        uses.starts.append(len(uses.targets))
    return uses


def _add(
    uses: Uses, source: int, place: int, strength: float, found: set[int], circles: Sequence[tuple[set[int], float]]
) -> None:
    """Edges to the definers in the innermost circle that has one, else to all if they are few."""
    near, worth = next(((near, worth) for circle, worth in circles if (near := found & circle)), (found, _BY_NAME))
    if near is found and len(found) > _BY_NAME_MOST:
        return
    weight = strength * worth / len(near)
    for target in sorted(near):
        if target != source:
            uses.places.append(place)
            uses.targets.append(target)
            uses.weights.append(weight)


def is_resolved(user: Entry, definers: Collection[Entry], imports: Imports) -> bool:
    """Whether what a file means by a name is known to be one of `definers`: it is one, imports one, or lies beside."""
    paths = {entry.path for entry in definers}
    direct = set(imports.get(user.path, ()))
    further = {path for each in direct if each.rpartition("/")[2] in _PACKAGES for path in imports.get(each, ())}
    if user.path in paths or direct & paths or further & paths:
        return True
    folder = user.path.rpartition("/")[0]
    # Where a package is a folder, its files see each other without an import.
    return user.language in ("go", "java", "kotlin", "swift", "csharp") and any(
        path.rpartition("/")[0] == folder for path in paths
    )

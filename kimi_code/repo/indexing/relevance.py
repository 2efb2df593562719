"""What of a repository matters to a question: files by personalised PageRank, definitions by who uses them. Pure."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise
from math import sqrt

from kimi_code.repo.indexing.answers import Definition
from kimi_code.repo.indexing.catalog import Catalog, Entry
from kimi_code.repo.indexing.fuzzy import words_of
from kimi_code.repo.indexing.rank import Graph, pagerank
from kimi_code.repo.indexing.reference_graph import Uses
from kimi_code.repo.outline import Candidate, Focus
from kimi_code.values import frozen

FILES_MOST = 80  # candidates; more do not fit into any map

# How likely a walk begins at a file, by why: these are compared with each other only.
_EVERYWHERE = 0.3
_RECENT = 0.1
_GIVEN = 2.0  # for each file that was read or edited
_WORD = 3.0  # for each word that names something
_SHARED_MOST = 400  # files or names; a word that fits more of them says nothing

_TEST_WORTH = 0.25
# How far a walk goes: near what a question names, else far, to what everything rests on.
_NEAR, _FAR = 0.5, 0.85
_KIND_WORTH: Mapping[str, float] = {
    **dict.fromkeys(("class", "interface", "trait", "struct", "enum", "module"), 1.0),
    **dict.fromkeys(("function", "macro", "type"), 0.7),
    "method": 0.4,
}


@frozen
class Ranking:
    """Files by rank, best first, and how much each of their names is worth."""

    files: tuple[tuple[Entry, float], ...]
    worth: Mapping[tuple[str, int], float]


def rank_files(
    catalog: Catalog, uses: Uses, graph: Graph, focus: Focus, recent: Sequence[str] = (), within: str = ""
) -> Ranking:
    """The best files (in the folder `within`) for a focus, and the worth of the names they define.

    `graph` is that of `uses`.
    """
    named = _Names(catalog, uses.files).weigh(focus.words)
    tests = frozenset(path for path in uses.files if is_test(path))
    personal = _personal(uses.files, tests, named.files, focus, recent)
    ranks = pagerank(graph, personal, _NEAR if named.files or focus.files else _FAR)
    about_tests = any("test" in word.lower() for word in focus.words)
    scored: list[tuple[float, str]] = []
    for number, path in enumerate(uses.files):
        entry = catalog.get(path)
        if entry is None or not entry.defined or entry.problem or not _is_within(path, within):
            continue
        worth = 1.0 if about_tests or path in focus.files or path not in tests else _TEST_WORTH
        scored.append((-ranks[number] * worth, path))
    best = [(entry, -rank) for rank, path in sorted(scored)[:FILES_MOST] if (entry := catalog.get(path))]
    worth = _worth_of_names(catalog, uses, ranks, {entry.path for entry, _ in best})
    for (path, name), bonus in named.names.items():
        worth[path, name] = worth.get((path, name), 0.0) + bonus * ranks[named.numbers[path]]
    return Ranking(tuple(best), worth)


def candidate(entry: Entry, rank: float, definitions: tuple[Definition, ...], ranking: Ranking) -> Candidate:
    """A file for the map: each definition's score is what its uses give it, and a little for what it is."""
    scores: list[float] = []
    for definition, name in zip(definitions, entry.defined, strict=True):
        worth = _KIND_WORTH.get(definition.kind, 0.1) * (1.0 if definition.exported else 0.3)
        shown = 0.1 * worth * rank * (0.3 if definition.container else 1.0)
        scores.append(shown + worth * ranking.worth.get((entry.path, name), 0.0))
    return Candidate(entry.path, rank, definitions, tuple(scores))


def is_test(path: str) -> bool:
    """Whether a file holds tests, by its name and folders."""
    *folders, name = path.lower().split("/")
    stem = name.partition(".")[0]
    named = stem.startswith(("test_", "tests")) or stem.endswith(("_test", "_tests", "_spec")) or ".test." in name
    return named or ".spec." in name or not {"test", "tests", "__tests__", "testing", "spec"}.isdisjoint(folders)


def _is_within(path: str, folder: str) -> bool:
    return not folder or path == folder or path.startswith(f"{folder}/")


def _personal(
    files: Sequence[str], tests: Collection[str], named: Mapping[str, float], focus: Focus, recent: Sequence[str]
) -> dict[int, float]:
    numbers = {path: number for number, path in enumerate(files)}
    quiet = {numbers[path] for path in tests}
    everywhere = _EVERYWHERE / max(1, len(files) - len(quiet))
    personal = {number: everywhere for number in range(len(files)) if number not in quiet}

    def add(path: str, weight: float) -> None:
        number = numbers.get(path)
        if number is not None:
            personal[number] = personal.get(number, 0.0) + weight

    latest = [path for path in recent if path in numbers][:20]
    for place, path in enumerate(latest):
        add(path, _RECENT / len(latest) * (1 - place / len(latest)))
    for path in focus.files:
        add(path, _GIVEN)
    for path, weight in named.items():
        add(path, weight)
    return personal


def _worth_of_names(
    catalog: Catalog, uses: Uses, ranks: Sequence[float], chosen: Collection[str]
) -> dict[tuple[str, int], float]:
    """How much rank flows to each name of the chosen files."""
    wanted = {number: path for number, path in enumerate(uses.files) if path in chosen}
    worth: dict[tuple[str, int], float] = {}
    for source, (start, end) in enumerate(pairwise(uses.starts)):
        targets = uses.targets[start:end]
        if wanted.keys().isdisjoint(targets) or (entry := catalog.get(uses.files[source])) is None:
            continue
        weights = uses.weights[start:end]
        share = ranks[source] / sum(weights)
        for place, target, weight in zip(uses.places[start:end], targets, weights, strict=True):
            path = wanted.get(target)
            if path is not None and place < len(entry.referenced):
                key = (path, entry.referenced[place])
                worth[key] = worth.get(key, 0.0) + share * weight
    return worth


@frozen
class _Named:
    """What words name: weights of files, bonuses of (file, name)."""

    files: Mapping[str, float]
    names: Mapping[tuple[str, int], float]
    numbers: Mapping[str, int]


class _Names:
    """Finds what words may mean in a catalog."""

    def __init__(self, catalog: Catalog, files: Sequence[str]) -> None:
        self._catalog = catalog
        self._numbers = {path: number for number, path in enumerate(files)}
        self._definers = catalog.definers()
        self._defined = catalog.defined_names()

    def weigh(self, words: Iterable[str]) -> _Named:
        """A word counts once for a file, by its best reason; a file that many fit is worth more than their sum."""
        files: dict[str, float] = {}
        names: dict[tuple[str, int], float] = {}
        for word in words:
            best: dict[str, float] = {}
            for path, name, weight in self._meanings(word):
                if path in self._numbers:
                    best[path] = max(best.get(path, 0.0), weight)
                    if name >= 0:
                        names[path, name] = max(names.get((path, name), 0.0), 2 * weight)
            for path, weight in best.items():
                files[path] = files.get(path, 0.0) + weight
        return _Named({path: _WORD * weight**1.5 for path, weight in files.items()}, names, self._numbers)

    def _meanings(self, word: str) -> Iterable[tuple[str, int, float]]:
        """Files, with the number of the name that is meant or -1, and how sure that is, 1 being quite."""
        word = word.replace("\\", "/").strip("./")
        if "/" in word or ("." in word and any(path.endswith(f"/{word}") or path == word for path in self._numbers)):
            ends = [path for path in self._numbers if path == word or path.endswith(f"/{word}")]
            inside = [path for path in self._numbers if f"/{word}/" in f"/{path}"] if not ends else []
            yield from ((path, -1, weight) for path, weight in _shared(ends or inside, 1.0))
            return
        parts = [part for part in word.split(".") if part]
        for place, part in enumerate(parts):
            yield from self._symbols(part, 1.0 if place == len(parts) - 1 else 0.7)
        yield from self._paths(parts[-1] if parts else "")

    def _symbols(self, word: str, sure: float) -> Iterable[tuple[str, int, float]]:
        exact = self._catalog.number(word)
        if exact is not None and exact in self._definers:
            code_like = word.lower() != word or "_" in word
            yield from self._defining((exact,), sure if code_like else 0.7 * sure)
        lowered = word.lower()
        if len(lowered) < 3:
            return
        stem = _stem(lowered)
        same: list[int] = []
        partly: list[int] = []
        for numbers, lines in self._defined:
            for line in lines.containing(stem):
                name = numbers[line]
                if name == exact:
                    continue
                if lines.names[line].lower() == lowered:
                    same.append(name)
                elif any(_stem(part) == stem for part in words_of(lines.names[line])):
                    partly.append(name)
        yield from self._defining(same, 0.7 * sure)
        yield from self._defining(partly, 0.35 * sure)

    def _defining(self, names: Sequence[int], sure: float) -> Iterable[tuple[str, int, float]]:
        pairs = [(entry, name) for name in names for entry in self._definers.get(name, ())]
        if pairs and len(pairs) <= _SHARED_MOST:
            weight = sure / sqrt(len({entry.path for entry, _ in pairs}))
            for entry, name in pairs:
                yield entry.path, name, weight * (_TEST_WORTH if is_test(entry.path) else 1.0)

    def _paths(self, word: str) -> Iterable[tuple[str, int, float]]:
        stem = _stem(word.lower())
        if len(stem) < 3:
            return
        named: list[str] = []
        partly: list[str] = []
        inside: list[str] = []
        for path in self._numbers:
            if stem not in (lowered := path.lower()):
                continue
            *folders, name = lowered.split("/")
            own = name.partition(".")[0]
            if _stem(own.strip("_")) == stem:
                named.append(path)
            elif any(_stem(part) == stem for part in words_of(own)):
                partly.append(path)
            elif any(_stem(folder) == stem for folder in folders):
                inside.append(path)
        for paths, sure in ((named, 0.7), (partly, 0.4), (inside, 0.3)):
            yield from ((path, -1, weight) for path, weight in _shared(paths, sure))


def _shared(paths: Sequence[str], sure: float) -> Iterable[tuple[str, float]]:
    if paths and len(paths) <= _SHARED_MOST:
        yield from ((path, sure / sqrt(len(paths))) for path in paths)


def _stem(word: str) -> str:
    """A word without its commonest endings: serializers, serialized, serializing are serializ."""
    for ending in ("ations", "ation", "ings", "ing", "ers", "ies", "ed", "es", "er", "or", "e", "s", "y"):
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            return word[: -len(ending)]
    return word

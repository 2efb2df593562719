"""The map of a repository: its most important definitions as a text of at most so many tokens. Pure.

What matters comes ranked (`Candidate`); here is chosen, laid out and cut. The same input gives the same bytes.
"""

import re
from collections.abc import Callable, Iterable, Sequence

from kimi_code.repo.indexing.answers import Definition
from kimi_code.values import frozen

Count = Callable[[str], int]

_SIGNATURE_MOST = 110  # characters
_FIRST_TRY = 64  # definitions; as many as fit may be few of thousands, which are not laid out then
_CROWD = 6  # after as many of a file's symbols, others' come first unless they matter clearly more


@frozen
class Focus:
    """What a map is to be about: `words` are identifiers and words, `files` paths (of those read or edited)."""

    words: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


NOTHING = Focus()


@frozen
class Candidate:
    """A file that may be in the map. `scores` are its definitions' own, in their order; higher is better."""

    path: str
    rank: float
    definitions: tuple[Definition, ...]
    scores: tuple[float, ...]


@frozen
class MapSymbol:
    """One line of the map; `depth` is how many of the lines above it stands in."""

    name: str
    kind: str
    line: int
    signature: str
    depth: int


@frozen
class MapFile:
    """A file of the map, with the definitions that are shown, in the order of lines."""

    path: str
    rank: float
    symbols: tuple[MapSymbol, ...]


@frozen
class RepoMap:
    """The map as a text, and as data, best file first. `partial`: the index was still reading files."""

    text: str
    tokens: int
    files: tuple[MapFile, ...]
    partial: bool = False


_MENTION = re.compile(r"[\w./\\-]*\w")
_CODE_LIKE = re.compile(r"[a-z0-9][A-Z]|_|\.|/|\\|\d|^[A-Z]{2,}$|^[A-Z]")
_SMALL_WORDS = (
    "a about add after all also an and any are as at be because been before but by can change class code could do "
    "does don each else error fail fails file files find fix for from function get give has have how i if "
    "implement in into is it its just like line list make me method more my need new no not of off on one only or "
    "other our out please problem returns same see set should show so some such test tests than that the their "
    "them then there these they this to too up update us use used uses using want was way we were what when where "
    "which while who why will with work works would write you your"
)
_SMALL = frozenset(re.findall(r"\w+", _SMALL_WORDS))


def mentions(prompt: str) -> tuple[str, ...]:
    """The words of a prompt that may name something in the code, those that look like code first; no small words."""
    found: dict[str, None] = {}
    for match in _MENTION.finditer(prompt):
        word = match[0].strip("-./\\")
        if len(word) > 2 and word.lower() not in _SMALL and not word.isdigit():
            found[word] = None
    return tuple(sorted(found, key=lambda word: _CODE_LIKE.search(word) is None))


def draw(candidates: Iterable[Candidate], budget: int, count: Count, *, partial: bool = False) -> RepoMap:
    """The map of at most `budget` tokens as `count` counts them: as many of the best definitions as fit."""
    ranked = sorted(candidates, key=lambda file: (-file.rank, file.path))
    order = _in_order(ranked)
    parents = _Parents(ranked)
    fits, fitting = 0, RepoMap("", 0, (), partial)
    low, high = 1, min(_FIRST_TRY, len(order))
    while high < len(order) and (drawn := _draw(ranked, parents, order[:high], count, partial)).tokens <= budget:
        fits, fitting = high, drawn
        low, high = high + 1, min(2 * high, len(order))
    while low <= high:
        middle = (low + high) // 2
        drawn = _draw(ranked, parents, order[:middle], count, partial)
        if drawn.tokens <= budget:
            fits, fitting = middle, drawn
            low = middle + 1
        else:
            high = middle - 1
    return fitting if fits else RepoMap("", 0, (), partial)


class _Parents(dict[int, Sequence[int]]):
    """By the number of a file, made when it is asked for: most candidates are in no map."""

    def __init__(self, files: Sequence[Candidate]) -> None:
        super().__init__()
        self._files = files

    def __missing__(self, number: int) -> Sequence[int]:
        self[number] = parents_of(self._files[number].definitions)
        return self[number]


Item = tuple[int, int]  # a file, and one of its definitions, -1 for its path alone


def _in_order(files: Sequence[Candidate]) -> list[Item]:
    """Every definition of every file, the most important first; a file without any is one item."""
    scored: list[tuple[float, int, int]] = []
    for number, file in enumerate(files):
        best_first = sorted(range(len(file.scores)), key=lambda n: (-file.scores[n], n))
        for place, n in enumerate(best_first):
            scored.append((-file.scores[n] / max(1.0, (place + 1) / _CROWD), number, n))
        if not best_first:
            scored.append((-file.rank, number, -1))
    scored.sort()
    return [(number, n) for _, number, n in scored]


def _draw(files: Sequence[Candidate], parents: _Parents, items: Sequence[Item], count: Count, partial: bool) -> RepoMap:
    chosen: dict[int, set[int]] = {}
    for number, n in items:
        chosen.setdefault(number, set()).add(n)
    shown = tuple(
        MapFile(file.path, file.rank, skeleton(file.definitions, parents[number], chosen[number]))
        for number, file in enumerate(files)
        if number in chosen
    )
    text = "\n".join(render_file(file) for file in shown)
    return RepoMap(text, count(text), shown, partial)


def parents_of(definitions: Sequence[Definition]) -> list[int]:
    """The definition that each one stands in, by number; -1 for none."""
    first: dict[str, int] = {}
    for n, definition in enumerate(definitions):
        first.setdefault(definition.qualified, n)
    return [first.get(each.container, -1) if each.container else -1 for each in definitions]


def skeleton(definitions: Sequence[Definition], parents: Sequence[int], chosen: Iterable[int]) -> tuple[MapSymbol, ...]:
    """The chosen definitions of a file, and those they stand in, in the order of lines."""
    wanted: set[int] = set()
    for n in chosen:
        while n >= 0 and n not in wanted:
            wanted.add(n)
            n = parents[n]
    lines: list[MapSymbol] = []
    open_until: list[int] = []
    for n in sorted(wanted, key=lambda n: (definitions[n].line, -definitions[n].end_line, n)):
        definition = definitions[n]
        while open_until and (open_until[-1] < definition.line or not definition.container):
            open_until.pop()
        signature = _short(definition.signature or definition.qualified)
        lines.append(MapSymbol(definition.name, definition.kind, definition.line, signature, len(open_until)))
        open_until.append(definition.end_line)
    return tuple(lines)


def render_file(file: MapFile) -> str:
    """A path, and a line for each definition with its number: what the model reads."""
    lines = [f"{symbol.line:6} {'  ' * symbol.depth}{symbol.signature}" for symbol in file.symbols]
    return "\n".join((file.path, *lines))


def _short(signature: str) -> str:
    return signature if len(signature) <= _SIGNATURE_MOST else f"{signature[: _SIGNATURE_MOST - 1]}…"

"""The index of a repository: its files and symbols, read by child processes, cached on disk, right at every question.

    index = Index(root, data_dir / "index")
    answer = await index.symbols("QuerySet")
    await index.close()

No question waits for all files to be read: it is answered with what is known, `partial` says so, `wait` waits.
"""

import asyncio
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from heapq import nsmallest
from pathlib import Path

from kimi_code.repo.indexing.answers import Answer, Definition, FileOutline, FileUses, Skipped, Status
from kimi_code.repo.indexing.connections import Connections
from kimi_code.repo.indexing.facts import Detail, read_detail
from kimi_code.repo.indexing.fuzzy import Closeness, Lines, match_paths
from kimi_code.repo.indexing.indexer import Indexer
from kimi_code.repo.indexing.lookups import (
    definition_at,
    ends_with,
    fitting,
    innermost,
    path_test,
    rank,
    uses_of,
)
from kimi_code.repo.indexing.parser_process import ParserProcess
from kimi_code.repo.indexing.reference_graph import is_resolved
from kimi_code.repo.indexing.relevance import Ranking, candidate, rank_files
from kimi_code.repo.indexing.source import Connected, Source
from kimi_code.repo.outline import NOTHING, Count, Focus, RepoMap, draw
from kimi_code.repo.search import Search

_PATIENCE = 0.5  # seconds that a question waits for files to be read
_COMPLETIONS = 60  # names that are looked at for a completion
_LISTING = 1.0  # seconds for the first look at a tree, and for the search beside it
_DRAWING = 0.2  # seconds of those that choosing and laying out a map may take
_CORES_EACH = 4  # processor cores for each parser process
_WORKERS_MOST = 4
_FOCUSED_MOST = 100  # files that are read before others because a question is about them
_SUBJECTS = "class|def|fn|func|function|interface|struct|enum|trait|type|impl|module|object|protocol|extension"


class Index:
    """The symbols of the tree at `root`. Nothing is read, started or opened before the first question.

    `folder` is where caches of all projects are; `watch` starts a watcher, so that changes are read before they are
    asked for; `workers` is the number of parser processes, 0 for one, or more on machines with many cores.
    One index per root and event loop. No method raises for what files hold or for a cache that cannot be used.
    """

    def __init__(self, root: Path, folder: Path, *, watch: bool = False, workers: int = 0) -> None:
        root = Path(os.path.realpath(root))
        count = workers or max(1, min(_WORKERS_MOST, (os.cpu_count() or 1) // _CORES_EACH))
        indexer = Indexer(root, folder, [ParserProcess(root) for _ in range(count)], watch=watch)
        self._begin(indexer, Connections(indexer), Search())

    @classmethod
    def over(cls, source: Source, connections: Connected, search: Search) -> "Index":
        """The index of another tree than a folder; `search` looks for text in it."""
        index = cls.__new__(cls)
        index._begin(source, connections, search)
        return index

    def _begin(self, source: Source, connections: Connected, search: Search) -> None:
        self._indexer = source
        self._connections = connections
        self.search = search
        self._paths = Lines(())

    @property
    def root(self) -> Path:
        """The folder that all paths are relative to, symlinks resolved."""
        return self._indexer.root

    @property
    def status(self) -> Status:
        """How far it is, without looking at the tree."""
        return self._indexer.status()

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """The files without symbols that a person may ask about, in the order of paths."""
        return tuple(self._indexer.skipped())

    @property
    def parser_pids(self) -> tuple[int, ...]:
        """The processes that parse, for people who look at what runs."""
        return self._indexer.parser_pids

    async def close(self) -> None:
        """End the watcher and the parsers, keep what is known. Safe to call twice; later questions raise."""
        await self._indexer.close()

    async def wait(self, timeout: float | None = None) -> bool:
        """Look at the tree and read all that is new; False when `timeout` (seconds) came first."""
        return await self._indexer.refresh(timeout)

    def note_changed(self, paths: Iterable[Path | str]) -> None:
        """Files that our own tools wrote or removed (absolute, or relative to the root): read first, at once."""
        self._indexer.note_changed([inside for path in paths if (inside := self._inside(path)) is not None])

    def _inside(self, path: Path | str) -> str | None:
        """A path as the index has it; None outside of the root."""
        relative = os.path.relpath(self.root / path, self.root).replace(os.sep, "/")
        return None if relative == ".." or relative.startswith("../") else "" if relative == "." else relative

    # --- Definitions ---

    async def symbols(
        self, query: str, kind: str = "", path: str = "", limit: int = 50, *, whole: bool = False, loose: bool = True
    ) -> Answer[Definition]:
        """Definitions whose names fit, ranked: exact, prefix, word boundaries, subsequence; exported and much used
        ones first among equals. `query` may be dotted (`Session.clo`); `path` is a file, a folder or a glob.
        `whole` waits until all files are read: one look at the tree, where `wait` and then a question are two.
        Not `loose`, and asked of everything, names that only have the letters in their order give way to others."""
        complete = await self._indexer.refresh(None if whole else _PATIENCE)
        container, _, name = query.strip().rpartition(".")
        fits = await asyncio.to_thread(fitting, self._indexer.catalog, name)
        if not (loose or kind or path):
            fits = [each for each in fits if each[0] < Closeness.SUBSEQUENCE] or fits
        return Answer(await self._best(fits, container, kind, path, limit), not complete)

    async def completions(self, name: str, limit: int) -> tuple[Definition, ...]:
        """As `symbols`, for a list while somebody types: of what is known already, and of the closest names only.

        It looks at the tree only for the first time, hardly holds the loop up, and waits where nothing fits as long
        as files are being read: cancel it when somebody types on.
        """
        found = await self._closest(name, limit)
        while not found and (not len(self._indexer.catalog) or self._indexer.status().partial):
            complete = await self._indexer.refresh(_PATIENCE)
            found = await self._closest(name, limit)
            if complete:
                break
        return found

    async def _closest(self, name: str, limit: int) -> tuple[Definition, ...]:
        container, _, last = name.strip().rpartition(".")
        catalog = self._indexer.catalog
        matches = await asyncio.to_thread(fitting, catalog, last)
        many = _COMPLETIONS * (10 if container else 1)  # of which most are of other classes
        closest = nsmallest(many, matches, key=lambda match: (match[0], len(catalog.names[match[1]])))
        return await self._best(closest, container, "", "", limit)

    async def definitions_of(self, name: str, path: str = "", limit: int = 50) -> Answer[Definition]:
        """Definitions of exactly this name, which may be dotted (`Class.method`); ranked as by `symbols`."""
        complete = await self._indexer.refresh(_PATIENCE)
        container, _, last = name.strip().rpartition(".")
        number = self._indexer.catalog.number(last)
        fits = [] if number is None else [(Closeness.SAME, number)]
        return Answer(await self._best(fits, container, "", path, limit), not complete)

    async def _best(
        self, fits: Iterable[tuple[Closeness, int]], container: str, kind: str, path: str, limit: int
    ) -> tuple[Definition, ...]:
        """The definitions of the names that fit, as far as they are in such a container."""
        accepts = path_test(self._inside(path) if path else "", path)
        ranked = await asyncio.to_thread(rank, self._indexer.catalog, fits, kind, accepts)
        found: list[Definition] = []
        step = max(limit, 20)
        for start in range(0, len(ranked), step):
            some = ranked[start : start + step]
            details = await self._indexer.details(entry.path for entry, _ in some)
            for entry, place in some:
                definition = definition_at(details.get(entry.path), place)
                if definition is not None and ends_with(definition.container, container):
                    found.append(definition)
            if len(found) >= limit:
                break
        return tuple(found[:limit])

    async def outline(self, path: Path | str) -> FileOutline | None:
        """The definitions of one file as it is now, in the order of lines; None when it is not a file in the tree.

        Read at once if need be. Files of unknown languages have headings or top lines.
        """
        inside = self._inside(path)
        if not inside:
            return None
        await self._indexer.refresh(_PATIENCE)
        entry = self._indexer.catalog.get(inside)
        if entry is not None and inside not in self._indexer.waiting():
            detail = (await self._indexer.details((inside,))).get(inside)
            if detail is not None:
                return FileOutline(inside, entry.language, detail.definitions, entry.problem)
        result = (await self._indexer.read_now((inside,))).get(inside)
        if result is None:
            return None
        facts, encoded = result
        return FileOutline(inside, facts.language, read_detail(inside, encoded).definitions, facts.problem)

    async def enclosing(self, path: Path | str, line: int) -> Definition | None:
        """The innermost definition around a line (from 1)."""
        found = await self.outline(path)
        return innermost(found.definitions, line) if found else None

    # --- Uses ---

    async def references_to(self, name: str) -> Answer[FileUses]:
        """Where a name (the last part of a dotted one) is used, by file: those that can mean a definition of ours
        first, then by path."""
        complete = await self._indexer.refresh(_PATIENCE)
        catalog = self._indexer.catalog
        last = name.strip().rpartition(".")[2]
        number = catalog.number(last)
        if number is None:
            return Answer((), not complete)
        users = catalog.users(number)
        imports = await self._connections.imports()
        definers = catalog.definers().get(number, ())
        details = await self._indexer.details(entry.path for entry in users)
        found = [
            FileUses(entry.path, uses, is_resolved(entry, definers, imports))
            for entry in users
            if (uses := uses_of(details.get(entry.path), last))
        ]
        found.sort(key=lambda file: (not file.resolved, file.path))
        return Answer(tuple(found), not complete)

    # --- Paths and the map ---

    async def paths(self, query: str, limit: int = 50) -> Answer[str]:
        """Paths that fit best; an empty query gives those nearest to the root.

        For completion while somebody types: only the first time it waits for a look at the tree, later ones follow it.
        """
        complete = await self._indexer.listed(0 if self._indexer.listing.paths else _PATIENCE)
        listing = self._indexer.listing.paths
        if len(self._paths) != len(listing) or self._paths.names != list(listing):
            self._paths = Lines(listing)
        return Answer(tuple(match_paths(query, self._paths, limit)), not complete)

    async def map(
        self, tokens: int, count: Count, focus: Focus = NOTHING, *, folder: str = "", whole: bool = False
    ) -> RepoMap:
        """The map of at most `tokens` tokens as `count` counts; only of `folder` (relative) if it is given.

        While files are still being read, those that `focus` speaks of come first, for at most half a second. A tree
        that nothing is known of is listed before that, for at most a second: without, there is no answer at all.
        `whole` waits until all files are read.
        """
        complete = await (self._indexer.refresh(None) if whole else self._read_for(focus))
        uses, graph = await self._connections.uses()
        given = tuple(inside for path in focus.files if (inside := self._inside(path)))
        about, within = Focus(focus.words, given), self._inside(folder) or ""
        catalog, recent = self._indexer.catalog, self._indexer.recent
        ranking = await asyncio.to_thread(rank_files, catalog, uses, graph, about, recent, within)
        details = await self._indexer.details(entry.path for entry, _ in ranking.files)
        return await asyncio.to_thread(_drawn, ranking, details, tokens, count, not complete)

    async def _read_for(self, focus: Focus) -> bool:
        """Look at the tree, and have read what a map about this cannot do without; whether that is all."""
        is_new = self._indexer.is_new
        loop = asyncio.get_running_loop()
        until = loop.time() + _PATIENCE
        words = [word for word in re.findall(r"\w{3,}", " ".join(focus.words)) if not word.isdigit()]
        searching = asyncio.create_task(self._defining(words)) if words and is_new else None
        try:
            complete = await self._indexer.listed(_LISTING if is_new else _PATIENCE)
            if self._indexer.waiting():
                defining = await (searching or self._defining(words)) if words else []
                await self._read_first(focus, words, defining)
        finally:
            if searching is not None:
                searching.cancel()
        return await self._indexer.settled(max(0, until - _DRAWING - loop.time())) and complete

    async def _read_first(self, focus: Focus, words: Sequence[str], defining: Sequence[str]) -> None:
        """Have the files read now that a focus names, or that look as if they define what it names."""
        waiting = set(self._indexer.waiting())
        named = [path for path in map(self._inside, focus.files) if path in waiting]
        stems = [word.lower().rstrip("s") for word in words]
        by_path = [path for path in waiting if any(stem in path.rpartition("/")[2].lower() for stem in stems)]
        found = [path for path in defining if path in waiting]
        first = dict.fromkeys((*named, *found, *sorted(by_path)[:_FOCUSED_MOST]))
        await self._indexer.read_next(list(first)[:_FOCUSED_MOST], _PATIENCE)

    async def _defining(self, words: Sequence[str]) -> list[str]:
        from kimi_code.errors import ToolError
        from kimi_code.repo.search import Query

        pattern = rf"\b(?:{_SUBJECTS})\s+(?:{'|'.join(map(re.escape, words))})\b"
        try:
            found = await self.search.within(_LISTING).grep(self.root, Query(pattern, "files"))
        except ToolError:
            return []
        return [hit.path.removeprefix("./") for hit in found.hits]


def _drawn(ranking: Ranking, details: Mapping[str, Detail], tokens: int, count: Count, partial: bool) -> RepoMap:
    candidates = [
        candidate(entry, rank, detail.definitions, ranking)
        for entry, rank in ranking.files
        if (detail := details.get(entry.path)) and len(detail.definitions) == len(entry.defined)
    ]
    return draw(candidates, tokens, count, partial=partial)

"""What the files of a tree have to do with each other, kept until something changes: imports, and who uses whose names.

An isolated copy takes them from the frozen tree it was made of, but for the imports of the files that differ.
"""

import asyncio
from collections.abc import Callable, Collection

from kimi_code.repo.indexing.catalog import Catalog
from kimi_code.repo.indexing.catalog_layer import LayeredCatalog, Over
from kimi_code.repo.indexing.import_map import ImportMap
from kimi_code.repo.indexing.indexer import Indexer
from kimi_code.repo.indexing.lookups import tree_key
from kimi_code.repo.indexing.rank import Graph
from kimi_code.repo.indexing.reference_graph import Imports, Uses, connect, unpack
from kimi_code.repo.indexing.source import Source


class Connections:
    """Those of a folder."""

    def __init__(self, indexer: Indexer) -> None:
        self._indexer = indexer
        self._map = ImportMap(indexer.root)
        self._uses: tuple[str, Uses, Graph] | None = None
        self._connecting = asyncio.Lock()

    async def imports(self) -> Imports:
        """The files that each file imports."""
        return await self._map.update(self._indexer.catalog, self._indexer.listing.paths)

    async def imports_of(self, catalog: Catalog, files: Collection[str], paths: Collection[str]) -> Imports:
        """What some files of another catalog import, in a tree with these paths and our manifests."""
        return await self._map.resolve_some(catalog, files, paths)

    async def uses(self) -> tuple[Uses, Graph]:
        """The edges between files as they are known now; from disk when nothing changed since they were made."""
        async with self._connecting:
            indexer, catalog = self._indexer, self._indexer.catalog
            files = sorted(entry.path for entry in catalog)
            manifests = await self._map.key(indexer.listing.paths)
            key = tree_key(catalog, files, manifests)
            if self._uses is not None and self._uses[0] == key:
                return self._uses[1:]
            uses = unpack(files, await asyncio.to_thread(indexer.store.graph, key))
            if uses is None:
                imports = await self.imports()
                uses = await asyncio.to_thread(connect, catalog, imports)
                if not indexer.status().partial and key == tree_key(catalog, files, manifests):
                    await asyncio.to_thread(indexer.store.keep_graph, key, uses.pack())
            self._uses = (key, uses, await asyncio.to_thread(uses.graph))
            return self._uses[1:]


class CopyConnections:
    """Those of a copy. Which files matter is what it was in the frozen tree; new ones are known, and used by nobody."""

    def __init__(self, source: Source, below: Callable[[], Connections | None]) -> None:
        self._source = source
        self._below = below
        self._resolved: tuple[object, Imports] = (None, {})

    async def imports(self) -> Imports:
        """The files that each file imports."""
        frozen, catalog, listing = self._below(), self._source.catalog, self._source.listing
        if frozen is None:
            return {}
        below = await frozen.imports()
        if not isinstance(catalog, LayeredCatalog) or not catalog.own:
            return below
        now = (catalog.version, listing)
        if self._resolved[0] != now:
            own = await frozen.imports_of(catalog, catalog.own, listing.paths)
            self._resolved = (now, {path: own.get(path, frozenset[str]()) for path in catalog.own})
        return Over(self._resolved[1], below)

    async def uses(self) -> tuple[Uses, Graph]:
        """The edges of the frozen tree, without those of files that differ."""
        frozen, catalog = self._below(), self._source.catalog
        if frozen is None:
            nothing = connect(catalog, {})
            return nothing, nothing.graph()
        uses, graph = await frozen.uses()
        if not isinstance(catalog, LayeredCatalog) or not catalog.own:
            return uses, graph
        altered = await asyncio.to_thread(uses.altered, catalog.own)
        return altered, await asyncio.to_thread(altered.graph)

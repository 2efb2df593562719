"""Which files each file imports, resolved anew only where something changed."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from kimi_code.repo.indexing.catalog import Catalog, Entry
from kimi_code.repo.indexing.facts import read_imports
from kimi_code.repo.indexing.import_edges import Layout, is_manifest, read_layout, resolve
from kimi_code.repo.indexing.languages import is_vendored
from kimi_code.repo.indexing.listing import Stamp, stamps
from kimi_code.repo.indexing.reference_graph import Imports

_MANIFEST_MOST = 256 * 1024  # bytes
_MANIFESTS_MOST = 300


class ImportMap:
    """The imports of the files of a catalog, by path."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._paths: Sequence[str] = ()
        self._manifests: Mapping[str, Stamp] = {}
        self._names: tuple[str, ...] = ()
        self._layout: Layout | None = None
        self._found: dict[str, tuple[str, frozenset[str]]] = {}  # by path, with the imports they were resolved from

    async def key(self, paths: Sequence[str]) -> str:
        """What the meaning of imports depends on besides the files with code: manifests, such as go.mod."""
        if paths is not self._paths:
            names = await asyncio.to_thread(_manifests, paths)
            self._paths, self._names, self._layout = paths, names, None
        found = await asyncio.to_thread(stamps, self._root, self._names)
        if found != self._manifests:
            self._manifests, self._layout = found, None
        return repr(sorted(found.items()))

    async def update(self, catalog: Catalog, paths: Sequence[str]) -> Imports:
        """The files that each file imports."""
        await self.key(paths)
        layout = self._layout
        if layout is None:
            layout = self._layout = await asyncio.to_thread(self._laid_out, paths)
            self._found.clear()
        return await asyncio.to_thread(self._resolved, layout, list(catalog))

    async def resolve_some(self, catalog: Catalog, files: Collection[str], paths: Collection[str]) -> Imports:
        """What some files of another catalog import, in a tree that has these paths, and manifests as here."""
        layout = self._layout
        if layout is None or layout.paths != frozenset(paths):
            layout = await asyncio.to_thread(self._laid_out, paths)
        entries = [entry for path in files if (entry := catalog.get(path)) is not None]
        return {entry.path: _imported(layout, entry) for entry in entries}

    def _laid_out(self, paths: Collection[str]) -> Layout:
        return read_layout(paths, self._read([n for n, (size, _) in self._manifests.items() if size <= _MANIFEST_MOST]))

    def _resolved(self, layout: Layout, entries: Sequence[Entry]) -> Imports:
        imports: dict[str, frozenset[str]] = {}
        for entry in entries:
            encoded, files = self._found.get(entry.path, ("", frozenset[str]()))
            if encoded != entry.imports:
                files = _imported(layout, entry)
                self._found[entry.path] = (entry.imports, files)
            if files:
                imports[entry.path] = files
        return imports

    def _read(self, names: Sequence[str]) -> dict[str, str]:
        texts: dict[str, str] = {}
        for name in names:
            try:
                texts[name] = (self._root / name).read_text("utf-8", "replace")
            except OSError:
                continue
        return texts


def _manifests(paths: Sequence[str]) -> tuple[str, ...]:
    """The manifests among all paths, those near the root first."""
    names = (path for path in paths if is_manifest(path) and not is_vendored(path))
    return tuple(sorted(names, key=lambda path: (path.count("/"), path))[:_MANIFESTS_MOST])


def _imported(layout: Layout, entry: Entry) -> frozenset[str]:
    statements = read_imports(entry.imports)
    return frozenset(file for each in statements for file in resolve(layout, entry.path, entry.language, each))

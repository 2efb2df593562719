"""What an index asks: who keeps a catalog right (of a folder, of an isolated copy), and who knows what uses what."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from kimi_code.repo.indexing.answers import Skipped, Status
from kimi_code.repo.indexing.catalog import Catalog
from kimi_code.repo.indexing.facts import Detail, Facts
from kimi_code.repo.indexing.listing import Listing
from kimi_code.repo.indexing.rank import Graph
from kimi_code.repo.indexing.reference_graph import Imports, Uses


class Source(Protocol):
    """A tree's catalog and the way to its details. Times are in seconds, paths relative with forward slashes."""

    @property
    def root(self) -> Path:
        """The folder as tools name it."""
        ...

    @property
    def catalog(self) -> Catalog: ...
    @property
    def listing(self) -> Listing: ...
    @property
    def recent(self) -> Sequence[str]:
        """Files of the latest commits, newest first."""
        ...

    @property
    def is_new(self) -> bool:
        """Whether nothing of the tree was ever kept, so that all is to be read."""
        ...

    @property
    def parser_pids(self) -> tuple[int, ...]: ...
    def status(self) -> Status: ...
    def skipped(self) -> list[Skipped]: ...

    async def refresh(self, patience: float | None) -> bool:
        """Look at the tree and read what is new; False when that takes longer, and goes on."""
        ...

    async def listed(self, patience: float | None) -> bool:
        """Look at the tree, so that it is known what is new."""
        ...

    async def settled(self, patience: float | None) -> bool:
        """Wait until all that is known to be new has been read."""
        ...

    def note_changed(self, paths: Iterable[str]) -> None:
        """Files that were written or removed."""
        ...

    def waiting(self) -> Iterable[str]:
        """The files that are still to be read."""
        ...

    async def details(self, paths: Iterable[str]) -> dict[str, Detail]:
        """The details of files in the catalog; a file that has none any more is missing."""
        ...

    async def read_next(self, paths: Sequence[str], patience: float) -> None:
        """Read these files before all others; returns when the first few of them are read."""
        ...

    async def read_now(self, paths: Iterable[str]) -> dict[str, tuple[Facts, bytes]]:
        """Facts and encoded details as they are now; also of files that are not indexed."""
        ...

    async def close(self) -> None: ...


class Connected(Protocol):
    """What the files of a catalog have to do with each other."""

    async def imports(self) -> Imports:
        """The files that each file imports."""
        ...

    async def uses(self) -> tuple[Uses, Graph]:
        """The edges between files, by name and as a graph."""
        ...

"""The index of a repository: its files and symbols, read by child processes, cached on disk, right at every question.

    index = Index(root, data_dir / "index")
    answer = await index.symbols("QuerySet")
    await index.close()

No question waits for all files to be read: it is answered with what is known, `partial` says so, `wait` waits.
"""

from collections.abc import Iterable
from pathlib import Path

from kimi_code.repo.answers import Answer, Definition, FileOutline, FileUses, Skipped, Status
from kimi_code.repo.outline import NOTHING, Count, Focus, RepoMap


class Index:
    """The symbols of the tree at `root`. Nothing is read, started or opened before the first question.

    `folder` is where caches of all projects are; `watch` starts a watcher, so that changes are read before they are
    asked for; `workers` is the number of parser processes, by default one, two on machines with many cores.
    One index per root and event loop. No method raises for what files hold or for a cache that cannot be used.
    """

    def __init__(self, root: Path, folder: Path, *, watch: bool = False, workers: int = 0) -> None:
        raise NotImplementedError

    async def close(self) -> None:
        """End the watcher and the parsers, keep what is known. Safe to call twice; later questions raise."""
        raise NotImplementedError

    @property
    def status(self) -> Status:
        """How far it is, without looking at the tree."""
        raise NotImplementedError

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """The files without symbols that a person may ask about, in the order of paths."""
        raise NotImplementedError

    async def wait(self, timeout: float | None = None) -> bool:
        """Look at the tree and read all that is new; False when `timeout` (seconds) came first."""
        raise NotImplementedError

    def note_changed(self, paths: Iterable[Path | str]) -> None:
        """Files that our own tools wrote or removed (absolute, or relative to the root): read first, at once."""
        raise NotImplementedError

    async def symbols(self, query: str, kind: str = "", path: str = "", limit: int = 50) -> Answer[Definition]:
        """Definitions whose names fit, ranked: exact, prefix, word boundaries, subsequence; exported and much used
        ones first among equals. `query` may be dotted (`Session.clo`); `path` is a file, a folder or a glob."""
        raise NotImplementedError

    async def definitions_of(self, name: str, path: str = "") -> Answer[Definition]:
        """Definitions of exactly this name, which may be dotted (`Class.method`); as ranked as `symbols`."""
        raise NotImplementedError

    async def references_to(self, name: str) -> Answer[FileUses]:
        """Where a name is used, by file: those that can mean the same definition first, then by path."""
        raise NotImplementedError

    async def outline(self, path: Path | str) -> FileOutline | None:
        """The definitions of one file as it is now, in the order of lines; None when it is not a file in the tree.

        Read at once if need be. Files of unknown languages have headings or top lines.
        """
        raise NotImplementedError

    async def enclosing(self, path: Path | str, line: int) -> Definition | None:
        """The innermost definition around a line (from 1)."""
        raise NotImplementedError

    async def paths(self, query: str, limit: int = 50) -> Answer[str]:
        """Paths that fit best (for completion); an empty query gives those nearest to the root."""
        raise NotImplementedError

    async def map(self, tokens: int, count: Count, focus: Focus = NOTHING, *, folder: str = "") -> RepoMap:
        """The map of at most `tokens` tokens as `count` counts; only of `folder` (relative) if it is given.

        The first time, files that `focus` speaks of are read before others, for at most half a second.
        """
        raise NotImplementedError

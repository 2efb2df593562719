"""Trees and commits in a private store: read, change, compare. No working tree is ever touched."""

from collections.abc import Mapping
from typing import Literal

from kimi_code.events import FileChange
from kimi_code.repo.shadow import Shadow
from kimi_code.values import frozen


@frozen
class Entry:
    """A file as a tree holds it. A symlink's content is its target."""

    mode: Literal["file", "executable", "symlink"]
    content: bytes


@frozen
class Trees:
    """The store. `tree` and `commit` arguments are object ids (a commit stands for its tree)."""

    store: Shadow

    async def read(self, tree: str, path: str) -> Entry | None:
        """The file at `path` (relative to the top, forward slashes); None when there is none."""
        raise NotImplementedError

    async def edit(self, tree: str, files: Mapping[str, Entry | None]) -> str:
        """A tree like `tree` but with these files (None: without them): how a pick of hunks becomes a result."""
        raise NotImplementedError

    async def commit(self, tree: str, message: str, *parents: str) -> str: ...

    async def changes(self, before: str, after: str) -> tuple[FileChange, ...]:
        """The files that differ, renames found."""
        raise NotImplementedError

    async def patch(self, before: str, after: str) -> bytes:
        """The difference as `git apply` takes it, binary files included."""
        raise NotImplementedError

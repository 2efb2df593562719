"""The indexes of a session's folders, one for each that lies in no other, opened when somebody first asks."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from kimi_code.errors import ToolError

if TYPE_CHECKING:
    from kimi_code.repo.index import Index


class Indexes:
    """`roots` are absolute and resolved; `folder` is where caches are; `watch` as `Index` has it.

    `opening` hears of each that is opened, before it is; `make` makes them where they are not of folders.
    """

    def __init__(
        self,
        roots: Iterable[Path],
        folder: Path,
        *,
        watch: bool = False,
        opening: Callable[[], object] = lambda: None,
        make: "Callable[[Path], Index] | None" = None,
    ) -> None:
        every = list(dict.fromkeys(roots))
        self._roots = [root for root in every if not any(other in root.parents for other in every)]
        self._folder = folder
        self._watch = watch
        self._opening = opening
        self._make = make or self._of_folder
        self._open: dict[Path, Index] = {}

    @property
    def roots(self) -> tuple[Path, ...]:
        """The folders that are indexed; none where answers about them would be about other files than the tools'."""
        return tuple(self._roots)

    def at(self, path: Path | None = None, *, announce: bool = True) -> "Index":
        """The index that `path` (resolved) belongs to, the first without one. Raises ToolError outside of all roots.

        Without `announce`, nobody hears that it is opened: a look at it ends nothing else that reads the tree.
        """
        root = next(iter(self._roots), None) if path is None else self._root_of(path)
        if root is None:
            raise ToolError(f"{path or 'This folder'} is not indexed: use Read and Grep.")
        if root not in self._open:
            if announce:
                self._opening()
            self._open[root] = self._make(root)
        return self._open[root]

    def _of_folder(self, root: Path) -> "Index":
        from kimi_code.repo.index import Index

        return Index(root, self._folder, watch=self._watch)

    def note_changed(self, path: Path) -> None:
        """A file that we wrote or removed."""
        root = self._root_of(path)
        if root in self._open:
            self._open[root].note_changed((path,))

    def _root_of(self, path: Path) -> Path | None:
        return next((root for root in self._roots if path.is_relative_to(root)), None)

    async def close(self) -> None:
        """End what was started. Safe to call twice."""
        opened = list(self._open.values())
        self._open.clear()
        for index in opened:
            await index.close()

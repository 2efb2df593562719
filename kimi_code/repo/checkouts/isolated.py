"""One isolated working copy: files of its own, a private git repository, what tools work on it with."""

import asyncio
import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from kimi_code.events import FileChange
from kimi_code.repo.checkouts.frozen import Moment
from kimi_code.repo.checkouts.ground import Ground
from kimi_code.repo.checkouts.layer import Layer, Unclear
from kimi_code.repo.checkouts.mirror import Mirror
from kimi_code.repo.git import run_git
from kimi_code.repo.indexing.indexes import Indexes
from kimi_code.repo.search import Search
from kimi_code.repo.shadow import ShadowError
from kimi_code.repo.workspace import Launch

Isolation = Literal["overlay+bwrap", "copy+bwrap", "copy+landlock", "copy only"]

_LARGEST = 50_000_000  # bytes of a file that is still taken up


class Cell(Protocol):
    """The sandbox of one copy's commands."""

    async def confine(self, argv: Sequence[str], cwd: Path, env: Mapping[str, str]) -> Launch: ...
    async def aclose(self) -> None: ...


@dataclass(slots=True)
class Checkout:
    """One isolated copy. `workspace`, `search` and `indexes` are what tools work on it with.

    Their paths are the user's own where there are mounts (`isolation` with bwrap). Permissions must judge paths by
    `workspace.follow`: the links of the copy need not be those of the user's tree.
    """

    name: str
    isolation: Isolation
    start: str  # the commit it began with
    workspace: Mirror
    search: Search
    ground: Ground
    _moment: Moment
    _folder: Path
    _cell: Cell | None
    _left_out: tuple[str, ...]
    _delete: Callable[[Path], None]
    _layer: "Layer | None" = None
    indexes: Indexes = field(default_factory=lambda: Indexes((), Path()))
    notes: tuple[str, ...] = ()
    _removed: bool = False
    _followed: bool = True  # by the index, which has what `take` told last

    async def changes(self) -> tuple[FileChange, ...]:
        """What differs from the start, paths relative to the top of the working tree. Raises ShadowError."""
        return await self._moment.trees.changes(self.start, await self.take())

    async def commit(self, message: str) -> str:
        """The files as they are now as a commit in the store, its parent `start`; `start` itself without changes."""
        tree = await self.take()
        if tree == await self._moment.trees.tree(self.start):
            return self.start
        return await self._moment.trees.commit(tree, message, self.start)

    async def take(self) -> str:
        """The files as they are now, as a tree in the store; `notes` then name what is left out. Raises ShadowError.

        The copy's own repository is not asked: it may say anything.
        """
        if self._layer is not None:
            try:
                tree = await self._layer.take(self._moment.trees, self.start, self.ground, self._left_out)
            except (Unclear, OSError, ShadowError):
                pass  # git looks at all there is
            else:
                self.notes, self._followed = (), False
                return tree
        return await self._take_by_index()

    async def _take_by_index(self) -> str:
        index = self._folder / "index"
        try:
            tree = await self._look(index)
        except BaseException:
            # A git that is killed, as when the agent ends meanwhile, leaves its lock to the next who looks.
            index.with_name("index.lock").unlink(missing_ok=True)
            raise
        self._followed = True
        return tree

    async def _look(self, index: Path) -> str:
        listing = await self._ask("ls-files", "-z", "--others", "--modified", "--exclude-standard", index=index)
        left_out: dict[str, str] = {}
        names = list(dict.fromkeys(os.fsdecode(name) for name in listing.split(b"\0") if name))
        for name in names:
            folder = next((each for each in self._left_out if f"{name}/".startswith(f"{each}/")), None)
            if folder is not None:
                left_out[folder] = ""  # the copy's own ignore files may name it no more
            elif name.endswith("/"):
                left_out[name.rstrip("/")] = "is a repository of its own"
            elif self._size(name) > _LARGEST:
                left_out[name] = f"is larger than {_LARGEST // 1_000_000} MB"
        self.notes = tuple(f"{name} {why}; it is not taken over." for name, why in left_out.items() if why)
        taken = [name for name in names if not _is_below(name, left_out)]
        if taken:
            await self._add(index, taken, left_out)
        # Not from within, where it takes a second program to get in: this looks at no file.
        return (await self._moment.trees.ask("write-tree", "--missing-ok", index=index)).decode().strip()

    async def _add(self, index: Path, names: Sequence[str], left_out: Iterable[str]) -> None:
        """Put files into the index as they are now, those that are gone out of it."""
        listing = b"".join(os.fsencode(name) + b"\0" for name in names)
        try:  # looks at these files only
            await self._ask(
                "update-index", "-z", "--add", "--remove", "--replace", "--stdin", index=index, input=listing
            )
        except ShadowError:  # a folder became a link, or something changes meanwhile: a look at everything
            patterns = (".", *(f":(exclude,top,literal){name}" for name in left_out))
            add = ("add", "--all", "--pathspec-from-file=-", "--pathspec-file-nul")
            await self._ask(*add, index=index, input=b"\0".join(map(os.fsencode, patterns)))

    async def differing(self) -> list[str]:
        """The files that are not as in the frozen tree, or may not be, or are not there. Raises ShadowError."""
        asked = ("ls-files", "-z", "--others", "--modified", "--exclude-standard")
        listing = await self._ask(*asked, index=self._moment.index)
        names = dict.fromkeys(os.fsdecode(name) for name in listing.split(b"\0") if name and not name.endswith(b"/"))
        return [name for name in names if not _is_below(name, self._left_out)]

    async def bring(self, live: str, tree: str) -> None:
        """Change the files from `live`, which `take` has just told, to `tree`. Raises ShadowError, nothing changed."""
        if not self._followed:
            await self._take_by_index()
        index = self._folder / "index"
        await self._ask("read-tree", "-m", "-u", live, f"{tree}^{{tree}}", index=index)

    async def remove(self) -> None:
        """End it: renamed at once, deleted in the background. Safe to call twice."""
        if self._removed:
            return
        self._removed = True
        await self.indexes.close()
        await asyncio.to_thread(self.ground.close)  # the kernel forgets all that was looked at
        if self._cell is not None:
            await self._cell.aclose()
        self._delete(self._folder)

    async def begin(self, base: str) -> None:
        """Bring the fresh copy from `base` to `start`."""
        index = self._folder / "index"
        shutil.copy2(self._moment.index, index)
        if self.start == base:
            return
        await self._ask("read-tree", "-m", "-u", f"{base}^{{tree}}", f"{self.start}^{{tree}}", index=index)
        shutil.copy2(index, self.ground.at(self.ground.top) / ".git" / "index")

    def _size(self, name: str) -> int:
        try:
            return self.ground.at(self.ground.top / name).lstat().st_size
        except OSError:
            return 0

    async def _ask(self, *args: str, index: Path, input: bytes | None = None) -> bytes:
        top = str(self.ground.top)
        env = {"GIT_DIR": str(self._moment.trees.store.folder), "GIT_WORK_TREE": top, "GIT_INDEX_FILE": str(index)}
        root = Path(self.ground.top.anchor)
        output = await run_git(("-C", top, *args), root, env, input, enter=self.ground.enter)
        if output.code != 0:
            raise ShadowError(output.error)
        return output.stdout


def _is_below(name: str, folders: Iterable[str]) -> bool:
    return any(f"{name.rstrip('/')}/".startswith(f"{folder}/") for folder in folders)

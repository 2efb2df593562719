"""What the layer of an overlay says was changed: a look at the files an agent touched, not at all there are.

Both the layer and the copy are walked by descriptors, following no link: a command may run meanwhile.
"""

import asyncio
import os
import stat
from collections.abc import Collection, Generator, Sequence
from contextlib import contextmanager
from dataclasses import field
from pathlib import Path

from kimi_code.repo.batch import Batch
from kimi_code.repo.checkouts.ground import Ground
from kimi_code.repo.listings import SUBMODULE
from kimi_code.repo.trees import MODES, Entry, Trees
from kimi_code.values import frozen

_MOST = 1_000  # entries that are looked at; beyond, git is faster
_LARGEST = 1_000_000  # bytes of a file that is read here
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_FILE = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)


class Unclear(Exception):
    """It cannot be told from the layer."""


@frozen
class Touched:
    """Paths from the top. `files` are there, files or links, `gone` are not; what lay under `replaced` is no more."""

    files: list[str] = field(default_factory=list[str])
    gone: list[str] = field(default_factory=list[str])
    replaced: list[str] = field(default_factory=list[str])


@frozen
class Layer:
    """The upper folder of one copy. `ignoring` is a `git check-ignore` on the files that all copies began with."""

    folder: Path
    ignoring: Batch

    async def take(self, trees: Trees, start: str, ground: Ground, left_out: Collection[str]) -> str:
        """The tree of the copy's files, which began with `start`; what git ignores is not in it.

        Raises Unclear where git has to look, ShadowError and OSError.
        """
        copy = ground.at(ground.top)
        touched = await asyncio.to_thread(survey, self.folder, copy, left_out)
        fresh = [path for path in touched.files if not await _is_file(trees, start, path)]
        ignored = await self._ignored(fresh)
        wanted = [path for path in touched.files if path not in ignored]
        files = await asyncio.to_thread(read, copy, wanted)
        return await trees.put(start, files, (*touched.replaced, *touched.gone))

    async def _ignored(self, paths: Sequence[str]) -> set[str]:
        if not paths:
            return set()
        # The point keeps names from being patterns. Four fields for each: source, line, pattern, path.
        question = b"".join(b"./%b\0" % os.fsencode(path) for path in paths)
        answer = await self.ignoring.ask(question, lambda said: said.count(b"\0") >= 4 * len(paths))
        patterns = answer.split(b"\0")[2::4]
        return {path for path, pattern in zip(paths, patterns, strict=True) if pattern and not pattern.startswith(b"!")}


def ignoring(trees: Trees, base: Path) -> Batch:
    """The process that says what git ignores below `base`."""
    folder = str(trees.store.folder)
    env = {"GIT_DIR": folder, "GIT_WORK_TREE": str(base), "GIT_INDEX_FILE": f"{folder}/no-index"}
    return Batch(("check-ignore", "--stdin", "-z", "--verbose", "--non-matching", "--no-index"), base, env)


async def _is_file(trees: Trees, start: str, path: str) -> bool:
    found = await trees.find(start, path)
    if found is not None and found.mode == SUBMODULE:
        raise Unclear(f"{path} is a submodule")
    return found is not None and found.mode in MODES


def survey(layer: Path, copy: Path, left_out: Collection[str]) -> Touched:
    """What differs from the layer below, `left_out` excepted. Raises Unclear and OSError. Blocks."""
    touched = Touched()
    with _opened(layer) as above, _opened(copy) as seen:
        _survey(above, seen, "", left_out, touched)
    return touched


def _survey(above: int, seen: int, prefix: str, left_out: Collection[str], touched: Touched) -> None:
    if len(touched.files) + len(touched.gone) + len(touched.replaced) > _MOST:
        raise Unclear("much was changed")
    for name in os.listdir(above):
        path = f"{prefix}{name}"
        if path == ".git" or path in left_out:
            continue
        if name.lower() in (".git", "git~1", ".gitignore"):
            raise Unclear(f"{path} changes what git looks at")
        try:
            found = os.stat(name, dir_fd=seen, follow_symlinks=False)
        except FileNotFoundError:
            touched.gone.append(path)
            continue
        if stat.S_ISDIR(found.st_mode):
            _descend(above, seen, name, path, left_out, touched)
        elif stat.S_ISLNK(found.st_mode) or (stat.S_ISREG(found.st_mode) and found.st_size <= _LARGEST):
            touched.files.append(path)
        else:
            raise Unclear(f"{path} is large, or neither a file nor a folder")


def _descend(above: int, seen: int, name: str, path: str, left_out: Collection[str], touched: Touched) -> None:
    with _opened(name, above) as deeper, _opened(name, seen) as copy:
        # By its descriptor: the marks of the overlay are hidden in the copy.
        marks = {mark.rpartition(".")[2] for mark in os.listxattr(deeper) if ".overlay." in mark}
        if "redirect" in marks:
            raise Unclear(f"{path} was moved")
        if "opaque" in marks:
            touched.replaced.append(path)
        _survey(deeper, copy, f"{path}/", left_out, touched)


def read(copy: Path, paths: Collection[str]) -> dict[str, Entry]:
    """What is at these paths. Raises Unclear where it is none of `survey` any more, and OSError. Blocks."""
    with _opened(copy) as top:
        return {path: _read(top, path) for path in paths}


def _read(top: int, path: str) -> Entry:
    folders, _, name = path.rpartition("/")
    fd = os.dup(top)
    try:
        for part in folders.split("/") if folders else ():
            deeper = os.open(part, _FOLDER, dir_fd=fd)
            os.close(fd)
            fd = deeper
        found = os.stat(name, dir_fd=fd, follow_symlinks=False)
        if stat.S_ISLNK(found.st_mode):
            return Entry("symlink", os.fsencode(os.readlink(name, dir_fd=fd)))
        with open(os.open(name, _FILE, dir_fd=fd), "rb") as file:  # noqa: PTH123  (a descriptor)
            found = os.fstat(file.fileno())
            data = file.read(_LARGEST + 1) if stat.S_ISREG(found.st_mode) else None
    finally:
        os.close(fd)
    if data is None or len(data) > _LARGEST:
        raise Unclear(f"{path} changes")
    return Entry("executable" if found.st_mode & 0o100 else "file", data)


@contextmanager
def _opened(folder: Path | str, within: int | None = None) -> Generator[int]:
    # The way to a copy's top is a link of ours; below it none is followed.
    flags = _FOLDER if within is not None else _FOLDER & ~getattr(os, "O_NOFOLLOW", 0)
    fd = os.open(folder, flags, dir_fd=within)
    try:
        yield fd
    finally:
        os.close(fd)

"""What git does not keep of a working tree: full modes, empty folders, and how ignored files look from outside."""

import json
import os
import re
import stat
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from typing import Any, cast

from kimi_code.repo.shadow import USUALLY_IGNORED
from kimi_code.values import frozen

# Ignored files are looked at one by one; more of them say little to a person, and cost time at every checkpoint.
_IGNORED_AT_MOST = 2_000

TEMPORARY = re.compile(r"\.[0-9a-f]{12}\.kimi-code\.tmp")
"""Names of the files we write before they take their place; in a tree they are litter of a process that was killed."""

_JUNK = frozenset(pattern.rstrip("/") for pattern in USUALLY_IGNORED) | {".git"}
_PERMISSIONS = 0o7777


@frozen
class Survey:
    """Paths are relative to the working tree, folders end with `/`.

    `plain`, `executable` and `folder` are the modes most files and folders have, `modes` those of the others; zeros
    where the system has none. `empty` are folders with nothing in them. `ignored` maps to (size, modified in ns).
    """

    plain: int = 0
    executable: int = 0
    folder: int = 0
    modes: Mapping[str, int] = field(default_factory=dict[str, int])
    empty: frozenset[str] = frozenset()
    ignored: Mapping[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])

    def mode(self, path: str, *, executable: bool = False) -> int:
        """The mode of a file or folder; `executable` is what git knows of it."""
        usual = self.folder if path.endswith("/") else self.executable if executable else self.plain
        return self.modes.get(path, usual)

    def same_usual_modes(self, other: "Survey") -> bool:
        return (self.plain, self.executable, self.folder) == (other.plain, other.executable, other.folder)


def encode_kept(survey: Survey) -> bytes:
    """What makes two states of a tree different, as JSON with its keys in order."""
    usual = [survey.plain, survey.executable, survey.folder]
    wire = {"usual": usual, "modes": dict(sorted(survey.modes.items())), "empty": sorted(survey.empty)}
    return json.dumps(wire, separators=(",", ":")).encode()


def encode_ignored(survey: Survey) -> bytes:
    return json.dumps(survey.ignored, separators=(",", ":"), sort_keys=True).encode()


def decode(kept: bytes, ignored: bytes) -> Survey:
    """The inverse of both. Raises ValueError when they are damaged."""
    try:
        wire = cast("dict[str, Any]", json.loads(kept))
        plain, executable, folder = wire["usual"]
        seen = cast("dict[str, list[int]]", json.loads(ignored))
        looks = {path: (size, at) for path, (size, at) in seen.items()}
        return Survey(plain, executable, folder, wire["modes"], frozenset(wire["empty"]), looks)
    except (KeyError, TypeError) as error:
        raise ValueError(f"damaged: {error}") from error


def survey(worktree: str, ignored: Collection[str], opaque: Collection[str]) -> tuple[Survey, list[str]]:
    """Look at all that is not in `ignored` or `opaque` (paths relative to `worktree`, without a closing `/`).

    Also returns the paths of temporary files that were left behind. Blocks; what cannot be read is passed over.
    """
    ignored, opaque = set(ignored), set(opaque)
    modes: dict[str, dict[int, list[str]]] = {"plain": {}, "executable": {}, "folder": {}}
    empty: set[str] = set()
    outside: list[str] = []
    litter: list[str] = []
    folders = [""]
    while folders:
        folder = folders.pop()
        entries = _entries(worktree, folder)
        if entries is None:
            continue
        if not entries and folder:
            empty.add(folder)
        for entry in entries:
            path = folder + entry.name
            if path in ignored:
                outside.append(path)
            elif entry.name == ".git" or path in opaque:
                continue
            elif TEMPORARY.fullmatch(entry.name):
                litter.append(path)
            else:
                _note(entry, path, modes, folders)
    usual = {kind: _most_common(found) for kind, found in modes.items()}
    others = {
        path: mode
        for kind, found in modes.items()
        for mode, paths in found.items()
        if mode != usual[kind]
        for path in paths
    }
    looks = dict(_looks(worktree, outside))
    return Survey(usual["plain"], usual["executable"], usual["folder"], others, frozenset(empty), looks), litter


def _most_common(found: Mapping[int, Sequence[str]]) -> int:
    return max(found, key=lambda mode: (len(found[mode]), mode), default=0)


def _note(entry: "os.DirEntry[str]", path: str, modes: Mapping[str, dict[int, list[str]]], folders: list[str]) -> None:
    try:
        found = entry.stat(follow_symlinks=False).st_mode
    except OSError:
        return
    if stat.S_ISDIR(found):
        path += "/"
        folders.append(path)
        kind = "folder"
    elif stat.S_ISREG(found):
        kind = "executable" if found & 0o100 else "plain"
    else:
        return
    if os.name != "nt":
        modes[kind].setdefault(found & _PERMISSIONS, []).append(path)


def _entries(worktree: str, folder: str) -> "list[os.DirEntry[str]] | None":
    """What is in a folder; None when it cannot be read, which is not the same as empty."""
    try:
        with os.scandir(os.path.join(worktree, folder)) as entries:  # noqa: PTH118  (hot)
            return list(entries)
    except OSError:
        return None


def _looks(worktree: str, paths: Iterable[str]) -> Iterator[tuple[str, tuple[int, int]]]:
    """The nearest files first, without what is made anew at any time (caches, dependencies)."""
    queue, left = deque(sorted(paths)), _IGNORED_AT_MOST
    while queue and left:
        path = queue.popleft()
        if path.rpartition("/")[2] in _JUNK or path.endswith(".pyc"):
            continue
        try:
            found = os.lstat(os.path.join(worktree, path))  # noqa: PTH118  (hot)
        except OSError:
            continue
        if stat.S_ISDIR(found.st_mode):
            queue.extend(f"{path}/{entry.name}" for entry in _entries(worktree, path) or ())
        elif stat.S_ISREG(found.st_mode):
            left -= 1
            yield path, (found.st_size, found.st_mtime_ns)

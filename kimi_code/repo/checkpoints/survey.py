"""What git does not keep of a working tree: full modes, empty folders, and how ignored files look from outside."""

import json
import os
import re
import stat
import time
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from typing import Any, cast

from kimi_code.repo.shadow import USUALLY_IGNORED
from kimi_code.values import frozen

# Ignored files are looked at one by one; more of them say little to a person, and cost time at every checkpoint.
_IGNORED_AT_MOST = 2_000

TEMPORARY = re.compile(r"\.[0-9a-f]{12}\.kimi-code\.tmp")
"""Names of the files we write before they take their place; in a tree they are litter of a process that was killed."""

_JUNK = frozenset(pattern.rstrip("/") for pattern in USUALLY_IGNORED) | {".git"}
_MOMENT = 2_000_000_000  # ns; git compares the times of files in whole seconds, so it overlooks a quick change of mode
_PERMISSIONS, _KIND, _FOLDER = 0o7777, 0o170000, stat.S_IFDIR


@frozen
class Survey:
    """Paths are relative to the working tree, folders end with `/`.

    `plain`, `executable` and `folder` are the modes most files and folders have, `modes` those of the others; zeros
    where the system has none. `empty` are folders with nothing in them. `ignored` maps to (size, modified in ns).
    `outside` is all that is ignored, a folder for all that is in it.
    """

    plain: int = 0
    executable: int = 0
    folder: int = 0
    modes: Mapping[str, int] = field(default_factory=dict[str, int])
    empty: frozenset[str] = frozenset()
    ignored: Mapping[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])
    outside: frozenset[str] = frozenset()

    def was_ignored(self, path: str) -> bool:
        """Whether a path was ignored, by itself or with a folder around it."""
        parts = path.split("/")
        return any("/".join(parts[: n + 1]) in self.outside for n in range(len(parts)))

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
    wire = {"looks": survey.ignored, "outside": sorted(survey.outside)}
    return json.dumps(wire, separators=(",", ":"), sort_keys=True).encode()


def decode(kept: bytes, ignored: bytes) -> Survey:
    """The inverse of both. Raises ValueError when they are damaged."""
    try:
        wire = cast("dict[str, Any]", json.loads(kept))
        plain, executable, folder = wire["usual"]
        seen = cast("dict[str, Any]", json.loads(ignored))
        looks = {path: (size, at) for path, (size, at) in seen["looks"].items()}
        outside = frozenset(cast("list[str]", seen["outside"]))
        return Survey(plain, executable, folder, wire["modes"], frozenset(wire["empty"]), looks, outside)
    except (KeyError, TypeError) as error:
        raise ValueError(f"damaged: {error}") from error


class Surveyor:
    """Looks at one working tree, again and again; of folders that stayed as they are only the changed files."""

    def __init__(self, worktree: str) -> None:
        self._worktree = worktree
        self._known: dict[str, tuple[int, dict[str, int]]] = {}

    def survey(
        self, ignored: Collection[str], opaque: Collection[str], changed: Collection[str]
    ) -> tuple[Survey, list[str]]:
        """Look at all that is not in `ignored` or `opaque` (paths relative to the tree, without a closing `/`).

        `changed` are the files whose mode may be another than last time. Also returns the paths of temporary files that
        were left behind. Blocks; what cannot be read is passed over.
        """
        ignored, opaque, changed = set(ignored), set(opaque), set(changed)
        modes: dict[int, list[str]] = {}  # full ones, of files and folders
        empty: set[str] = set()
        outside: list[str] = []
        litter: list[str] = []
        folders = [""]
        known = self._known
        self._known = {}
        while folders:
            folder = folders.pop()
            entries = self._look_into(folder, known.get(folder))
            if entries is None:
                continue
            if not entries and folder:
                empty.add(folder)
            for name, mode in entries.items():  # hot
                path = folder + name
                if path in ignored:
                    (litter if TEMPORARY.fullmatch(name) else outside).append(path)
                    continue
                if name == ".git" or path in opaque:
                    continue
                if path in changed:
                    mode = self._mode(path) or mode
                    self._known.pop(folder, None)  # changed just now, too
                if mode & _KIND == _FOLDER:
                    folders.append(path + "/")
                elif mode in modes:
                    modes[mode].append(path)
                else:
                    modes[mode] = [path]
            if folder:
                modes.setdefault(self._mode(folder), []).append(folder)
        looks = dict(_looks(self._worktree, outside))
        if os.name == "nt":
            return Survey(empty=frozenset(empty), ignored=looks, outside=frozenset(outside)), litter
        return replace(_summed(modes, frozenset(empty), looks), outside=frozenset(outside)), litter

    def _look_into(self, folder: str, known: tuple[int, dict[str, int]] | None) -> dict[str, int] | None:
        """The modes of what is in a folder, as last time if nothing came or went; None when it cannot be read."""
        now = time.time_ns()
        place = os.path.join(self._worktree, folder)  # noqa: PTH118  (hot)
        try:
            at = os.lstat(place).st_mtime_ns
            if known and known[0] == at:
                self._known[folder] = known
                return known[1]
            with os.scandir(place) as found:
                looks = {entry.name: entry.stat(follow_symlinks=False) for entry in found}
        except OSError:
            return None
        entries = {name: look.st_mode for name, look in looks.items()}
        # What changed just now, the folder or a file in it, may change again without its time telling.
        newest = max((look.st_ctime_ns for look in looks.values()), default=0)
        if max(at, newest) < now - _MOMENT:
            self._known[folder] = (at, entries)
        return entries

    def _mode(self, path: str) -> int:
        try:
            return os.lstat(os.path.join(self._worktree, path)).st_mode  # noqa: PTH118  (hot)
        except OSError:
            return 0


def _summed(modes: Mapping[int, Sequence[str]], empty: frozenset[str], looks: Mapping[str, tuple[int, int]]) -> Survey:
    files = {mode: paths for mode, paths in modes.items() if stat.S_ISREG(mode)}
    plain = _most_common({mode: paths for mode, paths in files.items() if not mode & 0o100})
    executable = _most_common({mode: paths for mode, paths in files.items() if mode & 0o100})
    folders = {mode: paths for mode, paths in modes.items() if stat.S_ISDIR(mode)}
    folder = _most_common(folders)
    usual = (plain, executable, folder)
    others = {
        path: mode & _PERMISSIONS for mode, paths in (files | folders).items() if mode not in usual for path in paths
    }
    return Survey(plain & _PERMISSIONS, executable & _PERMISSIONS, folder & _PERMISSIONS, others, empty, looks)


def _most_common(found: Mapping[int, Sequence[str]]) -> int:
    return max(found, key=lambda mode: (len(found[mode]), mode), default=0)


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

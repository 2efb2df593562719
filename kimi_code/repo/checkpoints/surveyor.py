"""Looks at one working tree, again and again, for what git does not keep of it: modes, empty folders, ignored files."""

import os
import re
import stat
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from kimi_code.repo.checkpoints.survey import Survey
from kimi_code.repo.shadow import USUALLY_IGNORED

# Ignored files are looked at one by one; more of them say little to a person, and cost time at every checkpoint.
IGNORED_AT_MOST = 2_000

TEMPORARY = re.compile(r"\.[0-9a-f]{12}\.kimi-code\.tmp")
"""Names of the files we write before they take their place; in a tree they are litter of a process that was killed."""

_JUNK = frozenset(pattern.rstrip("/") for pattern in USUALLY_IGNORED) | {".git"}
_MOMENT = 2_000_000_000  # ns; git compares the times of files in whole seconds, so it overlooks a quick change of mode
_PERMISSIONS, _KIND, _FOLDER = 0o7777, 0o170000, stat.S_IFDIR
_TICK = 20_000_000  # ns; the times of files come from a clock that may be so much behind
_RULES = ".gitignore"

Look = tuple[int, int, int, int]
"""Of a file, to see whether it is another one now: size, inode, times of change of content and of the rest, in ns."""


@dataclass(slots=True)
class _Folder:
    """What was in a folder: modes by name. `settled` says that a change since would show in its time, `at` (ns). A
    `closed` one is ignored as a whole because each file in it is: one more, and it is not."""

    at: int
    settled: bool
    mode: int
    entries: dict[str, int]
    closed: bool


@dataclass(slots=True)
class _Seen:
    """The last survey, and by what to tell whether it still holds."""

    survey: Survey
    litter: list[str]
    outside: list[str]
    rules: dict[str, Look | None]
    retouched: set[str] = field(default_factory=set[str])


class Surveyor:
    """Of folders that stayed as they are it looks only at the changed files.

    `rules` are files with ignore rules outside the tree, `clock` gives the time in ns. Everything blocks; what cannot
    be read is passed over.
    """

    def __init__(self, worktree: str, rules: Sequence[str] = (), clock: Callable[[], int] = time.time_ns) -> None:
        self._worktree = worktree
        self._rules = rules
        self._clock = clock
        self._folders: dict[str, _Folder] = {}
        self._seen: _Seen | None = None

    def survey(
        self, ignored: Collection[str], opaque: Collection[str], changed: Collection[str], *, since: int | None = None
    ) -> tuple[Survey, list[str]]:
        """Look at all that is not in `ignored` or `opaque` (paths relative to the tree, without a closing `/`).

        `changed` are the files whose mode may be another than last time, `since` is when git began to list the others
        (ns; now if not said). Also returns the paths of temporary files that were left behind.
        """
        ignored, opaque, changed = set(ignored), set(opaque), set(changed)
        since = self._clock() if since is None else since
        around = _folders_around(ignored)
        modes: dict[int, list[str]] = {}  # full ones, of files and folders
        empty: set[str] = set()
        outside: list[str] = []
        folders = [("", False)]
        known = self._folders
        self._folders = {}
        while folders:
            folder, closed = folders.pop()
            seen = self._look_into(folder, known.get(folder), closed)
            if seen is None:
                continue
            if closed:
                outside += [
                    path for path in map(folder.__add__, seen.entries) if path in ignored and path not in around
                ]
                folders += _within_closed(folder, seen, ignored, around)
                continue
            if not seen.entries and folder:
                empty.add(folder)
            for name, mode in seen.entries.items():  # hot
                path = folder + name
                if path in around and path in ignored:
                    folders.append((path + "/", True))  # git names what is in there, too
                    continue
                if path in ignored:
                    outside.append(path)
                    continue
                if name == ".git" or path in opaque:
                    continue
                if path in changed:
                    mode = self._mode(path) or mode
                    seen.settled = False  # changed just now, too
                if mode & _KIND == _FOLDER:
                    folders.append((path + "/", False))
                elif mode in modes:
                    modes[mode].append(path)
                else:
                    modes[mode] = [path]
            if folder:
                modes.setdefault(seen.mode, []).append(folder)
        litter = [path for path in outside if TEMPORARY.fullmatch(path.rpartition("/")[2])]
        outside = [path for path in outside if path not in litter]
        survey = Survey() if os.name == "nt" else _summed(modes)
        survey = replace(survey, empty=frozenset(empty), ignored=self._looks(outside), outside=frozenset(outside))
        # A name that came after git had looked is none that it has judged.
        late = any(seen.at >= since - _TICK for seen in self._folders.values())
        self._seen = None if late else _Seen(survey, litter, outside, self._look_at_rules())
        return survey, litter

    def is_familiar(self) -> bool:
        """Whether no name came or went since the last survey, and the rules of what is ignored are the same.

        Then `renew` can tell the rest, and git would list just the same untracked and ignored files.
        """
        seen = self._seen
        if seen is None or os.name == "nt":
            return False
        for path, known in self._folders.items():
            now = self._look_into(path, known, known.closed)
            if now is None:
                return self._forget()
            if now is known:
                continue
            if not _same_kinds(known.entries, now.entries):
                return self._forget()
            if not known.closed:
                seen.retouched |= {path + name for name, mode in now.entries.items() if mode != known.entries[name]}
                seen.retouched |= {path} if now.mode != known.mode and path else set()
            self._folders[path] = now
        return (None not in (rules := self._look_at_rules()).values() and rules == seen.rules) or self._forget()

    def renew(self, changed: Collection[str]) -> tuple[Survey, list[str]]:
        """The same as `survey`, right after `is_familiar` said so."""
        seen = self._seen
        assert seen is not None
        modes, usually = dict(seen.survey.modes), replace(seen.survey, modes={})
        for path in {*changed, *seen.retouched}:
            modes.pop(path, None)
            mode = self._mode(path)
            kept = stat.S_ISREG(mode) or stat.S_ISDIR(mode)
            if kept and mode & _PERMISSIONS != usually.mode(path, executable=bool(mode & 0o100)):
                modes[path] = mode & _PERMISSIONS
            name = path.rstrip("/").rpartition("/")[2]
            if holder := self._folders.get(path.rstrip("/")[: -len(name)]):
                holder.settled = False
        seen.retouched.clear()
        seen.survey = replace(seen.survey, modes=modes, ignored=self._looks(seen.outside))
        return seen.survey, seen.litter

    def _forget(self) -> bool:
        self._seen = None
        return False

    def _look_into(self, folder: str, known: _Folder | None, closed: bool) -> _Folder | None:
        """The modes of what is in a folder, the known ones if nothing came or went; None when it cannot be read."""
        now = self._clock()
        place = os.path.join(self._worktree, folder)  # noqa: PTH118  (hot)
        try:
            look = os.lstat(place)
            if known and known.settled and known.at == look.st_mtime_ns and known.mode == look.st_mode:
                known.closed = closed
                self._folders[folder] = known
                return known
            with os.scandir(place) as found:
                looks = {entry.name: entry.stat(follow_symlinks=False) for entry in found}
        except OSError:
            return None
        entries = {name: look.st_mode for name, look in looks.items()}
        # What changed just now, the folder or a file in it, may change again without its time telling.
        newest = max((look.st_ctime_ns for look in looks.values()), default=0)
        settled = max(look.st_mtime_ns, newest) < now - _MOMENT
        self._folders[folder] = _Folder(look.st_mtime_ns, settled, look.st_mode, entries, closed)
        return self._folders[folder]

    def _look_at_rules(self) -> dict[str, Look | None]:
        """How the files with ignore rules look; None for one that changed so recently that it may do so unseen."""
        young = self._clock() - _MOMENT
        found: dict[str, Look | None] = {}
        places = (
            os.path.join(self._worktree, folder, _RULES)  # noqa: PTH118  (hot)
            for folder, seen in self._folders.items()
            if _RULES in seen.entries
        )
        for place in (*self._rules, *places):
            try:
                look = os.lstat(place)
            except OSError:
                found[place] = (0, 0, 0, 0)
                continue
            settled = look.st_ctime_ns < young
            found[place] = (look.st_size, look.st_ino, look.st_mtime_ns, look.st_ctime_ns) if settled else None
        return found

    def _mode(self, path: str) -> int:
        try:
            return os.lstat(os.path.join(self._worktree, path)).st_mode  # noqa: PTH118  (hot)
        except OSError:
            return 0

    def _looks(self, paths: Iterable[str]) -> dict[str, tuple[int, int]]:
        return dict(_looks(self._worktree, paths))


def _folders_around(paths: Iterable[str]) -> set[str]:
    """Every folder that one of the paths is in."""
    found: set[str] = set()
    for path in paths:
        while (path := path.rpartition("/")[0]) and path not in found:
            found.add(path)
    return found


def _within_closed(folder: str, seen: _Folder, ignored: Collection[str], around: set[str]) -> list[tuple[str, bool]]:
    """The folders in a closed one that could come to hold a file that is not ignored: not those a rule names."""
    paths = ((folder + name, name, mode) for name, mode in seen.entries.items())
    return [
        (f"{path}/", True)
        for path, name, mode in paths
        if mode & _KIND == _FOLDER and name != ".git" and (path in around or path not in ignored)
    ]


def _same_kinds(before: Mapping[str, int], after: Mapping[str, int]) -> bool:
    if before.keys() != after.keys():
        return False
    return all(mode == before[name] or mode & _KIND == before[name] & _KIND for name, mode in after.items())


def _summed(modes: Mapping[int, Sequence[str]]) -> Survey:
    files = {mode: paths for mode, paths in modes.items() if stat.S_ISREG(mode)}
    plain = _most_common({mode: paths for mode, paths in files.items() if not mode & 0o100})
    executable = _most_common({mode: paths for mode, paths in files.items() if mode & 0o100})
    folders = {mode: paths for mode, paths in modes.items() if stat.S_ISDIR(mode)}
    folder = _most_common(folders)
    usual = (plain, executable, folder)
    others = {
        path: mode & _PERMISSIONS for mode, paths in (files | folders).items() if mode not in usual for path in paths
    }
    return Survey(plain & _PERMISSIONS, executable & _PERMISSIONS, folder & _PERMISSIONS, others)


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
    queue, left = deque(sorted(paths)), IGNORED_AT_MOST
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

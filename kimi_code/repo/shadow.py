"""A private git repository beside the user's, over the same files: it borrows objects and never writes to the other.

Its bytes are the files' own: no line ends, filters or encodings come between. Written by hand, so no template or hook.
"""

import asyncio
import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import cast
from uuid import uuid4

from kimi_code.repo.git import GitFolders, GitOutput, run_git
from kimi_code.values import frozen

# Attributes that change bytes between the working tree and the store, and drivers that would be run for a diff.
_ATTRIBUTES = "* -text -eol -filter -ident -working-tree-encoding !diff\n"

# Left out of folders that have no repository to say what is worth keeping.
USUALLY_IGNORED = (
    *("__pycache__/", "*.pyc", ".pytest_cache/", ".mypy_cache/", ".ruff_cache/", ".venv/", "venv/", ".tox/"),
    *("node_modules/", "target/", ".gradle/", ".DS_Store"),
)

RESTORING = "restore.json"
"""The note a swap of files leaves in the shadow folder while it is at work."""

WORKTREE = "worktree"
_NEEDED = "needed"  # a folder of files that name commits
"""The file in the shadow folder that says which working tree it is of."""

_TEMPORARY = ".????????????.kimi-code.tmp"  # files of ours that are about to take their place

_COPIED = ("filemode", "symlinks", "ignorecase", "precomposeunicode", "longpaths", "excludesfile")
_CONFIG_QUERY = rf"^(core\.({'|'.join(_COPIED)}|autocrlf|attributesfile)|extensions\.objectformat)$"
_GITLINK_MODE = b"\x00\x00\xe0\x00"  # of a submodule, as an index stores it


_RECALLED, _RECALLED_SIZE = 32, 1_000_000  # answers, bytes of one


class ShadowError(Exception):
    """The shadow repository cannot do what was asked; the text says why."""


@frozen
class Shadow:
    """The private repository of one working tree. `lender` is the user's own, None for a folder without one."""

    folder: Path
    worktree: Path
    lender: GitFolders | None
    config: Mapping[str, str] = field(default_factory=dict[str, str])
    answers: dict[tuple[str, ...], bytes] = field(
        default_factory=dict[tuple[str, ...], bytes], compare=False, repr=False
    )
    """The last of `recall`."""

    @property
    def index(self) -> Path:
        """The cache of what files looked like; only speed depends on it."""
        return self.folder / "index"

    async def git(self, *args: str, index: Path | None = None, input: bytes | None = None) -> GitOutput:
        env = {
            "GIT_DIR": str(self.folder),
            "GIT_WORK_TREE": str(self.worktree),
            "GIT_INDEX_FILE": str(index or self.index),
        }
        return await run_git(args, self.worktree, env, input)

    async def ask(self, *args: str, index: Path | None = None, input: bytes | None = None) -> bytes:
        """The output of a git command that must succeed."""
        output = await self.git(*args, index=index, input=input)
        if output.code != 0:
            raise ShadowError(output.error)
        return output.stdout

    async def recall(self, *args: str) -> bytes:
        """As `ask`, for what names trees by their ids only: it is always the same, and an undo asks it many times."""
        answer = self.answers.pop(args, None)
        if answer is None:
            answer = await self.ask(*args)
        if len(answer) <= _RECALLED_SIZE:
            self.answers[args] = answer
            if len(self.answers) > _RECALLED:
                del self.answers[next(iter(self.answers))]
        return answer


def name_needed(shadow: Shadow, owner: str, *commits: str) -> None:
    """Say that `owner` needs commits of the store, which pruning then leaves there while `owner` is not old."""
    folder = shadow.folder / _NEEDED
    folder.mkdir(exist_ok=True)
    with (folder / owner).open("a", encoding="ascii") as file:
        file.writelines(f"{commit}\n" for commit in commits)


def needed_since(shadow: Shadow, oldest: float) -> set[str]:
    """The commits that were named; those of owners that named none since `oldest` (Unix time) are forgotten."""
    needed: set[str] = set()
    for path in (shadow.folder / _NEEDED).glob("*"):
        if path.stat().st_mtime < oldest:
            path.unlink(missing_ok=True)
        else:
            needed |= set(path.read_text(encoding="ascii").split())
    return needed


async def read_config(lender: GitFolders, worktree: Path) -> dict[str, str]:
    """The few settings of the user's repository (and machine) that say how its files are to be read."""
    query = ("--git-dir", str(lender.own), "config", "-z", "--get-regexp", _CONFIG_QUERY)
    output = await run_git(query, worktree)
    pairs = (entry.partition("\n") for entry in output.stdout.decode(errors="surrogateescape").split("\0") if entry)
    return {key: value for key, _, value in pairs}


_FOLDERS = ("objects/info", "refs", "info")


def build(shadow: Shadow, exclude: tuple[Path, ...]) -> None:
    """Write the shadow repository's files by hand: no template, no hook, nothing but what is needed."""
    make_folders(shadow.folder)
    for name, text in files_of(shadow, exclude).items():
        _put(shadow.folder / name, text)


def make_folders(folder: Path) -> None:
    """The folders that `files_of` go into."""
    for name in _FOLDERS:
        (folder / name).mkdir(parents=True, exist_ok=True)


def files_of(shadow: Shadow, exclude: tuple[Path, ...]) -> dict[str, str]:
    """What `build` writes, by path from the repository's folder, wherever that is."""
    files = {
        "HEAD": "ref: refs/heads/none\n",
        WORKTREE: str(shadow.worktree),
        "config": _config_text(shadow.config),
        "info/attributes": _ATTRIBUTES,
        "info/exclude": _exclude_text(shadow, exclude),
    }
    if shadow.lender:
        objects = (shadow.lender.common / "objects").as_posix()
        escaped = objects.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        files["objects/info/alternates"] = f'"{escaped}"\n'
    return files


def _put(path: Path, text: str) -> None:
    """Write `text` unless it is there; another session may do the same at the same time."""
    data = os.fsencode(text)
    try:
        if path.read_bytes() == data:
            return
    except FileNotFoundError:
        pass
    temporary = path.with_name(f"{path.name}.{uuid4().hex}")
    temporary.write_bytes(data)
    temporary.replace(path)


def _config_text(config: Mapping[str, str]) -> str:
    insensitive = "true" if sys.platform in ("darwin", "win32") else "false"
    core = {
        "repositoryformatversion": "1",
        "bare": "false",
        "filemode": "false" if sys.platform == "win32" else "true",
        "ignorecase": insensitive,
        "autocrlf": "false",
        "trustctime": "true",  # tells of changed modes, by which the survey knows where to look
        "checkstat": "default",
        "untrackedcache": "false",
        "splitindex": "false",
        "logallrefupdates": "false",
    }
    if sys.platform == "darwin":
        core["precomposeunicode"] = "true"
    for name in _COPIED:
        if f"core.{name}" in config:
            core[name] = config[f"core.{name}"]
    lines = ["[core]", *(f"\t{name} = {_quoted(value)}" for name, value in core.items())]
    lines += ["[gc]", "\tauto = 0", "[index]", "\tsparse = false"]
    if "extensions.objectformat" in config:
        lines += ["[extensions]", f"\tobjectformat = {_quoted(config['extensions.objectformat'])}"]
    return "\n".join(lines) + "\n"


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _exclude_text(shadow: Shadow, exclude: tuple[Path, ...]) -> str:
    inside = [path.relative_to(shadow.worktree) for path in exclude if path.is_relative_to(shadow.worktree)]
    lines = [_TEMPORARY, *map(_pattern, inside)]
    if shadow.lender is None:
        lines += USUALLY_IGNORED
    else:
        try:
            lines.append(os.fsdecode((shadow.lender.common / "info" / "exclude").read_bytes()))
        except OSError:
            pass
    return "\n".join(lines) + "\n"


def ignore_rules(shadow: Shadow) -> str:
    """The file with what the person ignores everywhere, which need not exist."""
    home = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    usual = f"{home}/git/ignore"
    return os.path.expanduser(shadow.config.get("core.excludesfile", usual))


def _pattern(path: Path) -> str:
    """An ignore pattern for exactly this path; one with a newline cannot be said, and is not."""
    special = "\\*?[! #"
    text = "".join(f"\\{character}" if character in special else character for character in path.as_posix())
    return "" if "\n" in text else f"/{text}"


async def seed(shadow: Shadow, index: Path, *, fresh: bool) -> None:
    """Lay out an index to begin with: the user's own if its entries hold for raw bytes, else our last, else mere names.

    Copies keep the time of the original: by it git tells which entries are too young to be trusted.
    """
    theirs = shadow.lender.own / "index" if shadow.lender else None
    if (fresh or not shadow.index.is_file()) and theirs and theirs.is_file():
        shutil.copy2(theirs, index)
        if not _converts(shadow, index.read_bytes()) and not await _is_flagged(shadow, index):
            await _follow_on(shadow, index)
            return
    if shadow.index.is_file():
        shutil.copy2(shadow.index, index)
    elif index.exists():
        await seed_names(shadow, index)


async def _is_flagged(shadow: Shadow, index: Path) -> bool:
    """Whether entries say that git need not look at the file, which may be absent (sparse) or changed."""
    listing = await shadow.ask("ls-files", "-z", "-v", index=index)
    return any(entry[:1] not in (b"H", b"M", b"") for entry in listing.split(b"\0"))


async def _follow_on(shadow: Shadow, index: Path) -> None:
    """Files once followed stay so while they exist, even when they are ignored by now: undo may have to see them."""
    if not shadow.index.is_file():
        return
    last = await shadow.git("ls-files", "-z")
    if last.code != 0:
        return
    known = set((await shadow.ask("ls-files", "-z", index=index)).split(b"\0"))
    forgotten = [path for path in last.stdout.split(b"\0") if path not in known]
    there = [path for path in forgotten if os.path.lexists(shadow.worktree / os.fsdecode(path))]
    if there:
        await add_names(shadow, index, there)


async def add_names(shadow: Shadow, index: Path, paths: Sequence[bytes]) -> None:
    """Tell the index of files, without a look at them: from now on git follows them."""
    empty = (await shadow.ask("hash-object", "-w", "--stdin", input=b"")).strip()
    lines = b"".join(b"100644 %s\t%s\0" % (empty, path) for path in paths)
    await shadow.ask("update-index", "-z", "--index-info", index=index, input=lines)


async def is_whole(shadow: Shadow, tree: str) -> bool:
    """Whether no object of `tree` went with objects the user pruned; looks only when something went from there."""
    if shadow.lender is None:
        return True
    seen = shadow.folder / "lender"
    try:
        known = cast("dict[str, list[int]]", json.loads(seen.read_bytes()))
    except (OSError, ValueError):
        known = {}
    found = await asyncio.to_thread(_look_at, shadow.lender.common / "objects", known)
    lost = any(name not in found or _shrank(look, found[name]) for name, look in known.items())
    if lost and await missing(shadow, tree):
        return False
    _put(seen, json.dumps(found, separators=(",", ":"), sort_keys=True))
    return True


def _look_at(objects: Path, known: Mapping[str, list[int]]) -> dict[str, list[int]]:
    """Packs by name, folders of loose objects with when they changed and how many are in it. Blocks."""
    found: dict[str, list[int]] = {path.name: [0, 0] for path in objects.glob("pack/*.pack")}
    with os.scandir(objects) as entries:
        for entry in entries:
            if len(entry.name) != 2:
                continue
            at = entry.stat().st_mtime_ns
            same = entry.name in known and known[entry.name][0] == at
            found[entry.name] = known[entry.name] if same else [at, len(os.listdir(entry.path))]  # noqa: PTH208  (they are only counted)
    return found


def _shrank(before: list[int], now: list[int]) -> bool:
    """Whether objects may have gone from a folder: it changed, and has no more of them than before."""
    return before[0] != now[0] and now[1] <= before[1]


async def missing(shadow: Shadow, *trees: str) -> set[str]:
    """The objects that `trees` need and nobody has any more."""
    query = ("rev-list", "--objects", "--no-object-names", "--missing=print", "--stdin")
    listing = await shadow.ask(*query, input="".join(f"{tree}\n" for tree in trees).encode())
    return {line[1:] for line in listing.decode().split("\n") if line.startswith("?")}


def _converts(shadow: Shadow, content: bytes) -> bool:
    """Whether the user's index may hold other bytes than the files (line ends, filters), submodules, or only a part.

    A wrong yes costs time, once per working tree.
    """
    if shadow.config.get("core.autocrlf", "false").lower() not in ("false", "no", "off", "0", ""):
        return True
    if "core.attributesfile" in shadow.config or b"ttributes" in content or _GITLINK_MODE in content:
        return True
    lender = shadow.lender
    config_home = Path(os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config"))
    attributes = (shadow.worktree / ".gitattributes", config_home / "git" / "attributes")
    shared = lender is not None and any(lender.own.glob("sharedindex.*"))
    return shared or any(
        path.exists() for path in (*attributes, *([lender.common / "info/attributes"] if lender else []))
    )


async def seed_names(shadow: Shadow, index: Path) -> None:
    """Replace a copy of an index by one of the same paths and blobs that trusts no file to be unchanged."""
    for shared in shadow.lender.own.glob("sharedindex.*") if shadow.lender else ():
        shutil.copy2(shared, shadow.folder / shared.name)
    listing = await shadow.ask("ls-files", "-z", "--stage", index=index)
    entries: dict[bytes, bytes] = {}
    for entry in listing.split(b"\0"):
        facts, _, path = entry.partition(b"\t")
        if path and not facts.startswith(b"160000"):
            mode, blob, _ = facts.split(b" ")
            entries[path] = b"%s %s\t%s" % (mode, blob, path)
    index.unlink()
    await shadow.ask(
        "update-index", "-z", "--index-info", index=index, input=b"".join(e + b"\0" for e in entries.values())
    )

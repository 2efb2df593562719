"""Git by subprocess: where it is, where a repository is, and commands. The only importer of GitPython.

A repository may be hostile: nothing its configuration or attributes name is run (hooks, monitors, filters, transports).
"""

import asyncio
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from kimi_code.repo.command import kill_group, run_command
from kimi_code.values import frozen

_NOT_FOUND = 127
_NOT_STARTED = 126

# Keys for servers are no business of git's, which may run what a repository configured.
_SECRETS = ("_KEY", "_TOKEN", "_SECRET", "_PASSWORD")

# What the caller's environment may say to git. The rest (GIT_DIR, GIT_INDEX_FILE, ...) is meant for another repository:
# it is set when we are started from a hook or an alias.
_KEPT = ("GIT_CONFIG_", "GIT_EXEC_PATH", "GIT_CEILING_DIRECTORIES", "GIT_DISCOVERY_ACROSS_FILESYSTEM")

# A partial clone fetches what it lacks, by programs its configuration names: no transport is allowed at all.
_GUARD = {
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "none",
    "LC_ALL": "C",
}
_FLAGS = (
    "--no-pager",
    *("-c", "core.fsmonitor=false"),
    *("-c", f"core.hooksPath={os.devnull}"),
    *("-c", "safe.bareRepository=explicit"),
)


def says_no_room(error: str) -> bool:
    """Whether git's words, or the system's, are about a full disk."""
    return any(words in error for words in _NO_ROOM)


_NO_ROOM = ("No space left on device", "Out of diskspace", "Disk quota exceeded", "File too large", "couldn't write")


class GitOutput(NamedTuple):
    """How a git command ended; 127 when there is no git, 126 when it could not be started."""

    code: int
    stdout: bytes
    stderr: bytes

    @property
    def error(self) -> str:
        """The first line git complained with, without its `fatal:`."""
        lines = self.stderr.decode(errors="replace").strip().splitlines()
        return lines[0].removeprefix("fatal: ").removeprefix("error: ") if lines else f"git ended with {self.code}"


def program() -> str | None:
    """Absolute path of git; never one that lies in the working folder, which may come with the repository."""
    found = _find(os.environ.get("PATH", os.defpath))
    if found is None:
        _find.cache_clear()  # it may be installed yet
    if found is None or (os.name == "nt" and Path(found).resolve().parent == Path.cwd()):
        return None
    return found


@lru_cache(maxsize=4)
def _find(path: str) -> str | None:
    folders = [folder for folder in path.split(os.pathsep) if Path(folder).is_absolute()]
    return shutil.which("git", path=os.pathsep.join(folders))


def version() -> tuple[int, ...] | None:
    """Git's version, such as (2, 39, 5); None when it is missing or does not answer within 5 s."""
    import re
    import subprocess

    git = program()
    if git is None:
        return None
    try:
        answer = subprocess.run([git, "--version"], capture_output=True, text=True, timeout=5, check=False).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(r"\d+(?:\.\d+)*", answer)
    return tuple(int(part) for part in match[0].split(".")) if match else None


def find_root(path: Path) -> Path | None:
    """The nearest folder at or above `path` that holds a `.git`; looks at names only."""
    path = path.absolute()
    return next((folder for folder in (path, *path.parents) if os.path.lexists(folder / ".git")), None)


def find_project(folder: Path) -> Path:
    """The top of the repository around `folder`; `folder` where there is none, or where it holds the home folder.

    A home folder under version control is no project: it is for dotfiles.
    """
    root, home = find_root(folder), Path(os.path.expanduser("~"))
    return folder if root is None or root in (home, *home.parents) else root


@frozen
class GitFolders:
    """Where a working tree's repository keeps its things: `own` differs from `common` in a linked worktree."""

    own: Path
    common: Path


def find_folders(root: Path) -> GitFolders | None:
    """The folders behind `root/.git`, be it a folder or a file; None when there is no repository behind it."""
    own = root / ".git"
    try:
        if own.is_file():
            link = own.read_text(encoding="utf-8", errors="surrogateescape").strip()
            own = (root / link.removeprefix("gitdir:").strip()).resolve()
        common = own
        if (own / "commondir").is_file():
            common = (own / (own / "commondir").read_text(encoding="utf-8").strip()).resolve()
        sound = (own / "HEAD").is_file() and (common / "objects").is_dir()
    except (OSError, ValueError):
        return None
    return GitFolders(own, common) if sound else None


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment git runs in: ours, without what belongs to another repository, with every transport off."""
    inherited = {
        key: value
        for key, value in os.environ.items()
        if (not key.startswith("GIT_") or key.startswith(_KEPT)) and not key.endswith(_SECRETS)
    }
    return {**inherited, **_GUARD, **(extra or {})}


Enter = Callable[[Sequence[str], Path], tuple[Sequence[str], Path]]


async def run_git(
    args: Sequence[str],
    cwd: Path,
    env: Mapping[str, str] | None = None,
    input: bytes | None = None,
    *,
    enter: Enter | None = None,
) -> GitOutput:
    """Run git with hooks and monitors off; `env` is added to `environment()`. Cancelling kills it and waits.

    `enter` makes of a command and its folder what runs it in another mount namespace.
    """
    git = program()
    if git is None:
        return GitOutput(_NOT_FOUND, b"", b"git is not installed, or not on the PATH")
    try:
        command: Sequence[str] = (git, *_FLAGS, *args)
        command, folder = enter(command, cwd) if enter else (command, cwd)
        return GitOutput(*await run_command(command, folder, environment(env), input))
    except OSError as error:
        return GitOutput(_NOT_STARTED, b"", f"git could not be started in {cwd}: {error}".encode())


async def start_git(args: Sequence[str], cwd: Path, env: Mapping[str, str]) -> asyncio.subprocess.Process:
    """Start a git command to talk with, as `run_git` would run it; what it complains of is lost. Raises OSError."""
    git = program()
    if git is None:
        raise FileNotFoundError("git is not installed, or not on the PATH")
    # CPython 3.11 hangs when cancelled inside create_subprocess_exec (cpython#125502): it runs in a task of its own,
    # which nobody cancels, and a cancellation waits the millisecond until there is a process to kill.
    pipe = asyncio.subprocess.PIPE
    spawn = asyncio.ensure_future(
        asyncio.create_subprocess_exec(
            *(git, *_FLAGS, *args),
            stdin=pipe,
            stdout=pipe,
            stderr=asyncio.subprocess.DEVNULL,
            cwd=cwd,
            env=environment(env),
            start_new_session=True,
        )
    )
    try:
        return await asyncio.shield(spawn)
    except asyncio.CancelledError:
        while not spawn.done():
            try:
                await asyncio.wait({spawn})
            except asyncio.CancelledError:
                continue
        if spawn.exception() is None:
            await end_git(spawn.result())
        raise


async def end_git(process: asyncio.subprocess.Process) -> None:
    """Kill the whole group and reap it."""
    if process.returncode is None:
        kill_group(process)
    try:
        async with asyncio.timeout(2):
            await process.wait()
    except TimeoutError:
        pass


# --- What only a diagnosis needs ----------------------------------------------------------------------------------


@frozen
class GitDescription:
    """A repository for `doctor`: names of remotes, for addresses may carry passwords; paths of submodules.

    `branch` is "" where HEAD is detached.
    """

    root: Path
    branch: str
    remotes: tuple[str, ...]
    submodules: tuple[str, ...]


def describe(root: Path) -> GitDescription | None:
    """What GitPython reads from the repository around `root`; None without one, or without git. Costs 0.1 s."""
    if find_root(root) is None or program() is None:
        return None
    import git

    try:
        with git.Repo(root, search_parent_directories=True) as repo:
            repo.git.update_environment(**_GUARD)
            has_commits = repo.head.is_valid()
            return GitDescription(
                root=Path(repo.working_tree_dir or root),
                branch="" if repo.head.is_detached else repo.active_branch.name,
                remotes=tuple(remote.name for remote in repo.remotes),
                submodules=tuple(str(module.path) for module in repo.submodules) if has_commits else (),
            )
    except (git.GitError, OSError, ValueError):
        return None

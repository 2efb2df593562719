"""Where the agent works: file and process access inside roots. The protocol here, LocalWorkspace below it."""

import asyncio
import contextlib
import errno
import os
import stat
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal, Protocol

from kimi_code.errors import ToolError
from kimi_code.repo.process import Exit, LocalProcess, command_environment, spawn
from kimi_code.values import frozen

__all__ = ["Confine", "Exit", "FileStatus", "Launch", "LocalWorkspace", "Process", "Workspace"]


class Process(Protocol):
    """A running command: a process group of its own, standard input closed, stdout and stderr as one stream."""

    @property
    def pid(self) -> int: ...

    def output(self) -> AsyncIterator[bytes]:
        """What it prints, as it comes, until its end (or until its streams stay open past its end by 1 s)."""
        ...

    async def wait(self) -> Exit: ...

    async def kill(self) -> None:
        """TERM to the whole group, 2 s of grace, KILL; returns when it is gone. Safe to call twice."""
        ...


@frozen
class FileStatus:
    """What is at a path: `other` is a pipe, socket or device, never to be opened. `size` is in bytes."""

    kind: Literal["file", "folder", "other"]
    size: int


class Workspace(Protocol):
    """All file and process access of the tools. Paths given to the methods are absolute and resolved.

    What the system refuses (no permission, no space, a name too long) is a ToolError that says so.
    """

    @property
    def root(self) -> Path:
        """The working folder; relative paths start here."""
        ...

    @property
    def roots(self) -> tuple[Path, ...]:
        """The folders the agent may work in (absolute, symlinks resolved); `root` is the first."""
        ...

    def resolve(self, path: str) -> Path:
        """`path` (relative to root, absolute, or with ~) with every symlink followed; it need not exist.

        Raises ToolError for a symlink loop and for what cannot be a path.
        """
        ...

    def display(self, path: Path) -> str:
        """`path` relative to root with forward slashes where it is inside, else absolute."""
        ...

    async def status(self, path: Path) -> FileStatus | None:
        """What is there; None when nothing is."""
        ...

    async def names(self, path: Path) -> list[str]:
        """The names in a folder, sorted."""
        ...

    async def read(self, path: Path) -> bytes:
        """The whole content of a regular file."""
        ...

    def chunks(self, path: Path) -> AsyncIterator[bytes]:
        """The content of a regular file in pieces of at most a megabyte."""
        ...

    async def write(self, path: Path, content: bytes) -> None:
        """Atomically: a temporary file in the same folder, fsync, rename. Keeps the mode, makes parent folders."""
        ...

    async def remove(self, path: Path) -> None:
        """Remove a file; nothing happens where there is none."""
        ...

    async def start(
        self, command: str, *, cwd: Path, env: Mapping[str, str] | None = None, confined: bool = False
    ) -> Process:
        """Run `command` in a shell; `env` is added to the allow-listed environment.

        `confined` runs it in the sandbox; a ToolError where there is none.
        """
        ...


class Launch(Protocol):
    """What to start in place of a command so that it runs confined."""

    @property
    def argv(self) -> Sequence[str]: ...
    @property
    def env(self) -> Mapping[str, str]: ...


Confine = Callable[[Sequence[str], Path, Mapping[str, str]], Awaitable[Launch]]


_IN_LOOP = 1 << 20  # reading a megabyte from the page cache is cheaper than a thread
_OPEN = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
# A path is resolved before it is opened: a symlink or a pipe found then was put there since.
_OPEN_RESOLVED = _OPEN | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


class LocalWorkspace:
    """Folders and processes of this machine.

    `environment` is what commands' allow-list is applied to; `confine` makes (argv, cwd, env) run in the sandbox.
    `changed` hears of every file that was written or removed.
    """

    def __init__(
        self,
        root: Path,
        extra: Sequence[Path] = (),
        *,
        environment: Mapping[str, str] | None = None,
        confine: Confine | None = None,
        changed: Callable[[Path], object] = lambda _: None,
    ) -> None:
        self._confine = confine
        self._changed = changed
        self._roots = tuple(dict.fromkeys(Path(os.path.realpath(folder)) for folder in (root, *extra)))
        self._source = os.environ if environment is None else environment

    @property
    def root(self) -> Path:
        return self._roots[0]

    @property
    def roots(self) -> tuple[Path, ...]:
        return self._roots

    def resolve(self, path: str) -> Path:
        try:
            # os.path, not Path, which cannot resolve a loop the same way in every version.
            absolute = os.path.join(self.root, os.path.expanduser(path))  # noqa: PTH118  (hot)
            resolved = os.path.realpath(absolute)
            looping = _is_loop(resolved)
        except ValueError as error:
            raise ToolError(f"{path!r} is no path: {error}.") from error
        except OSError as error:
            raise ToolError(f"{_shortened(path)} cannot be used: {error.strerror or error}.") from error
        if looping:
            raise ToolError(f"{path} goes through a symlink that leads to itself. Use another path.")
        return Path(resolved)

    def display(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else str(path)

    async def status(self, path: Path) -> FileStatus | None:
        try:
            found = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise self._refusal("look at", path, error) from error
        if stat.S_ISREG(found.st_mode):
            return FileStatus("file", found.st_size)
        return FileStatus("folder" if stat.S_ISDIR(found.st_mode) else "other", found.st_size)

    async def names(self, path: Path) -> list[str]:
        try:
            return sorted(entry.name for entry in path.iterdir())
        except OSError as error:
            raise self._refusal("list", path, error) from error

    async def read(self, path: Path) -> bytes:
        fd, size = self._open(path)
        if size > _IN_LOOP:
            return await asyncio.to_thread(self._read, path, fd)
        return self._read(path, fd)

    async def chunks(self, path: Path) -> AsyncIterator[bytes]:
        fd, _ = self._open(path)
        with os.fdopen(fd, "rb", buffering=0) as file:
            while True:
                try:
                    data = await asyncio.to_thread(file.read, _IN_LOOP)
                except OSError as error:
                    raise self._refusal("read", path, error) from error
                if not data:
                    return
                yield data

    async def write(self, path: Path, content: bytes) -> None:
        try:
            await asyncio.to_thread(_replace, path, content)
        except OSError as error:
            raise self._refusal("write", path, error) from error
        self._changed(path)

    async def remove(self, path: Path) -> None:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise self._refusal("remove", path, error) from error
        self._changed(path)

    async def start(
        self, command: str, *, cwd: Path, env: Mapping[str, str] | None = None, confined: bool = False
    ) -> LocalProcess:
        if not cwd.is_dir():
            raise ToolError(f"{self.display(cwd)} is not a folder, so no command can run there.")
        argv, full = self.command(command, cwd, env)
        if not confined:
            return await spawn(argv, cwd=cwd, env=full)
        if self._confine is None or isinstance(argv, str):
            raise ToolError("Nothing can run confined here. Ask for it with unconfined: true.")
        launch = await self._confine(argv, cwd, full)
        return await spawn(launch.argv, cwd=cwd, env=launch.env)

    def command(
        self, command: str, cwd: Path, env: Mapping[str, str] | None = None
    ) -> tuple[Sequence[str], dict[str, str]]:
        """What starts `command` in a shell (a string where there is only the platform's own), and its environment."""
        argv = [self._shell, "-c", command] if self._shell else command
        return argv, {**self._environment, "PWD": str(cwd), **(env or {})}

    @cached_property
    def _environment(self) -> dict[str, str]:
        return command_environment(self._source)

    @cached_property
    def _shell(self) -> str:
        """bash, else sh; empty where there is only the platform's own (cmd)."""
        import shutil

        path = self._environment["PATH"]
        return shutil.which("bash", path=path) or shutil.which("sh", path=path) or ""

    def _open(self, path: Path) -> tuple[int, int]:
        """A descriptor of a regular file, and its size."""
        try:
            fd = os.open(path, _OPEN_RESOLVED)
        except OSError as error:
            raise self._refusal("read", path, error) from error
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            os.close(fd)
            raise ToolError(f"{self.display(path)} is not a regular file.")
        return fd, found.st_size

    def _read(self, path: Path, fd: int) -> bytes:
        try:
            with os.fdopen(fd, "rb") as file:
                return file.read()
        except OSError as error:
            raise self._refusal("read", path, error) from error

    def _refusal(self, verb: str, path: Path, error: OSError) -> ToolError:
        reason = error.strerror or str(error)
        left = " The file is as it was." if verb == "write" and error.errno == errno.ENOSPC else ""
        return ToolError(f"Cannot {verb} {self.display(path)}: {reason}.{left}")


def _is_loop(resolved: str) -> bool:
    """Whether what `realpath` could not resolve further is a symlink that leads to itself."""
    try:
        return stat.S_ISLNK(os.lstat(resolved).st_mode)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return False
    except OSError as error:
        if error.errno == errno.ELOOP:
            return True
        raise


def _shortened(path: str) -> str:
    return path if len(path) <= 80 else f"{path[:40]}...{path[-30:]}"


def _replace(path: Path, content: bytes) -> None:
    """Put `content` at `path` in one step; on failure nothing is left behind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    old = _status_before(path)
    fresh = path.parent / f".{os.urandom(6).hex()}.kimi-code.tmp"
    fd = os.open(fresh, _CREATE, 0o666)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(content)
            if old:
                _take_over(old, fd, fresh)
            file.flush()
            os.fsync(fd)
        fresh.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            fresh.unlink()
        raise


def _status_before(path: Path) -> os.stat_result | None:
    """What a rename would replace; refuses what it must not: a folder, and a file its owner made read-only."""
    try:
        old = path.lstat()
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(old.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(old.st_mode):
        raise OSError(errno.EINVAL, "it is not a regular file")
    if not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, "the file is read-only")
    return old


def _take_over(old: os.stat_result, fd: int, fresh: Path) -> None:
    """Give the new file the owner, where that is allowed, and the mode of the old one."""
    if hasattr(os, "fchown"):
        with contextlib.suppress(OSError):
            os.fchown(fd, old.st_uid, old.st_gid)
    fresh.chmod(stat.S_IMODE(old.st_mode))

"""The workspace of an isolated copy: its files and commands, and nothing else.

Satisfies `Workspace`. Files are opened from the copy's folder downwards, following no link: what a command changes
between a look and a use leads nowhere.
"""

import contextlib
import errno
import os
import sys
from collections.abc import AsyncIterator, Generator, Mapping, Sequence
from pathlib import Path

from kimi_code.errors import ToolError
from kimi_code.repo.checkouts.ground import Ground, below_of, real
from kimi_code.repo.process import LocalProcess, spawn
from kimi_code.repo.workspace import Confine, FileStatus, LocalWorkspace

_SAFE = sys.platform == "linux"
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)


class Mirror:
    """`user_top` is the user's own folder, paths into which mean the copy; `folder` is the working folder within.

    `readable` are folders outside that may be read: long outputs. `confine` None: commands run as they are.
    """

    def __init__(
        self,
        ground: Ground,
        user_top: Path,
        folder: Path,
        *,
        readable: Sequence[Path] = (),
        confine: Confine | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._ground = ground
        self._user_top = user_top
        self._root = ground.top / folder
        self._readable = tuple(readable)
        self._confine = confine
        self._local = LocalWorkspace(user_top, environment=environment)

    @property
    def root(self) -> Path:
        return self._root

    @property
    def roots(self) -> tuple[Path, ...]:
        return tuple(dict.fromkeys((self._root, self._ground.top)))

    def resolve(self, path: str) -> Path:
        """As the protocol has it; raises ToolError for all that is not in the copy, too."""
        try:
            found = self.follow(path)
        except ValueError:
            raise ToolError(f"{path!r} is no path: it contains a NUL character.") from None
        except OSError:
            raise ToolError(f"{path} goes through a symlink that leads to itself. Use another path.") from None
        if not self._is_inside(found) and not self._may_read(found):
            raise self._outside(path)
        return found

    def follow(self, path: str) -> Path:
        """Where `path` leads, in the copy or out of it. Raises OSError for a loop, ValueError for NUL bytes."""
        if "\0" in path:
            raise ValueError("the path contains a NUL byte")
        given = self._in_copy(self._root / os.path.expanduser(path))
        found = Path(real(self._ground, str(given)))
        # A link to an absolute path of the user's tree means the same file of the copy.
        return found if self._may_read(found) else self._in_copy(found)

    def _in_copy(self, path: Path) -> Path:
        """What a path into the user's folder means here."""
        if self._user_top == self._ground.top:
            return path
        below = below_of(str(path), str(self._user_top))
        return path if below is None else self._ground.top / below

    def display(self, path: Path) -> str:
        below = below_of(str(path), str(self._root))
        return str(path) if below is None else Path(below).as_posix()

    async def status(self, path: Path) -> FileStatus | None:
        try:
            with self._on(path) as found:
                return await self._local.status(found)
        except _Missing:
            return None

    async def names(self, path: Path) -> list[str]:
        with self._on(path) as found:
            return await self._local.names(found)

    async def read(self, path: Path) -> bytes:
        with self._on(path) as found:
            return await self._local.read(found)

    async def chunks(self, path: Path) -> AsyncIterator[bytes]:
        with self._on(path) as found:
            async for chunk in self._local.chunks(found):
                yield chunk

    async def write(self, path: Path, content: bytes) -> None:
        self._require_inside(path)
        with self._on(path, make=True) as found:
            await self._local.write(found, content)

    async def remove(self, path: Path) -> None:
        self._require_inside(path)
        try:
            with self._on(path) as found:
                await self._local.remove(found)
        except _Missing:
            pass

    async def start(
        self, command: str, *, cwd: Path, env: Mapping[str, str] | None = None, confined: bool = False
    ) -> LocalProcess:
        """As the protocol has it, but confined in any case where commands can be: this is what isolates them."""
        self._require_inside(cwd)
        status = await self.status(cwd)
        if status is None or status.kind != "folder":
            raise ToolError(f"{self.display(cwd)} is not a folder, so no command can run there.")
        argv, full = self._local.command(command, cwd, env)
        if self._confine is None:
            if confined:
                raise ToolError("Nothing can run confined here. Ask for it with unconfined: true.")
        else:
            launch = await self._confine(argv, cwd, full)
            argv, full = list(launch.argv), dict(launch.env)
        entered, folder = self._ground.enter(argv, cwd)
        return await spawn(entered, cwd=folder, env=full)

    def _is_inside(self, path: Path) -> bool:
        return below_of(str(path), str(self._ground.top)) is not None

    def _may_read(self, path: Path) -> bool:
        text = str(path)
        return any(below_of(text, str(folder)) is not None for folder in self._readable)

    def _require_inside(self, path: Path) -> None:
        if not self._is_inside(path):
            raise self._outside(str(path))

    def _outside(self, path: str) -> ToolError:
        return ToolError(
            f"{path} is outside this working copy, which is all that can be reached from here. Use a path below "
            f"{self._ground.top}."
        )

    @contextlib.contextmanager
    def _on(self, path: Path, *, make: bool = False) -> Generator[Path]:
        """Where this process can use `path` without following any link on the way to it."""
        fd = None
        found = path
        try:
            if self._is_inside(path):
                if _SAFE:
                    fd = self._descend(path, make)
                    found = Path(f"/proc/self/fd/{fd}", path.name if path != self._ground.top else ".")
                else:
                    found = self._ground.at(path)
            elif not self._may_read(path):
                raise self._outside(str(path))
            yield found
        except ToolError as error:
            raise type(error)(error.message.replace(str(found), self.display(path))) from error
        except (FileNotFoundError, NotADirectoryError) as error:
            raise _Missing(f"Cannot use {self.display(path)}: {error.strerror}.") from error
        except OSError as error:
            why = "a folder on the way is a link by now" if error.errno == errno.ELOOP else error.strerror
            raise ToolError(f"Cannot use {self.display(path)}: {why}.") from error
        finally:
            if fd is not None:
                os.close(fd)

    def _descend(self, path: Path, make: bool) -> int:
        """A descriptor of the folder that holds `path`."""
        fd = os.open(self._ground.at(self._ground.top), _FOLDER & ~getattr(os, "O_NOFOLLOW", 0))
        try:
            for name in path.relative_to(self._ground.top).parts[:-1]:
                if make:
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(name, dir_fd=fd)
                deeper = os.open(name, _FOLDER, dir_fd=fd)
                os.close(fd)
                fd = deeper
        except BaseException:
            os.close(fd)
            raise
        return fd


class _Missing(ToolError):
    """Nothing is there, nor perhaps the folder it would be in."""

"""Where the files of an isolated copy are: for its commands, and for this process.

A `Mounted` copy lies at the user's own path in a mount namespace that only our file descriptors hold, so that absolute
paths in commands lead into it and nothing is left when this process ends. A `Folder` is a copy in a place of its own.
"""

import asyncio
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from kimi_code.values import frozen

if TYPE_CHECKING:
    import subprocess

_MOST_LINKS = 40  # as Linux has it
_PATIENCE = 10.0  # seconds for a namespace to be made
# Never from the PATH: what stands there may be the workspace's.
_PROGRAMS = "/usr/bin:/bin:/usr/local/bin:/run/current-system/sw/bin"


class GroundError(Exception):
    """The mounts cannot be made; the text says why."""


class Ground(Protocol):
    """The place of one copy. Paths are absolute, as its commands see them."""

    @property
    def top(self) -> Path:
        """The copy's folder."""
        ...

    def at(self, path: Path) -> Path:
        """Where this process finds what commands see at `path`. Never to be resolved by the system: see `real`."""
        ...

    def enter(self, argv: Sequence[str], cwd: Path) -> tuple[tuple[str, ...], Path]:
        """What to start, and where, so that `argv` runs in `cwd` of the copy."""
        ...

    def close(self) -> None: ...


@frozen
class Folder:
    """A copy in a place of its own."""

    top: Path

    def at(self, path: Path) -> Path:
        return path

    def enter(self, argv: Sequence[str], cwd: Path) -> tuple[tuple[str, ...], Path]:
        return tuple(argv), cwd

    def close(self) -> None:
        pass


@dataclass(slots=True)
class Mounted:
    """A copy at the user's own path, in a mount namespace. `spaces` are its descriptors, `folder` the copy's."""

    top: Path
    nsenter: str
    spaces: dict[str, int]
    folder: int
    _closed: bool = field(default=False)
    _place: Path = field(init=False)

    def __post_init__(self) -> None:
        self._place = Path(f"/proc/{os.getpid()}/fd/{self.folder}")

    def at(self, path: Path) -> Path:
        if path == self.top:  # which is what is mostly asked for
            return self._place
        below = below_of(str(path), str(self.top))
        return path if below is None else Path(f"{self._place}/{below}")

    def enter(self, argv: Sequence[str], cwd: Path) -> tuple[tuple[str, ...], Path]:
        flags = [f"--{kind}=/proc/{os.getpid()}/fd/{fd}" for kind, fd in self.spaces.items()]
        if "user" in self.spaces:
            flags.append("--preserve-credentials")
        # One who enters a mount namespace stands at its root.
        go = () if cwd == Path("/") else ("/bin/sh", "-c", 'cd -- "$0" && exec "$@"', str(cwd))
        return (self.nsenter, *flags, "--", *go, *argv), Path("/")

    def close(self) -> None:
        """Let the namespace go as soon as no command runs in it. Safe to call twice."""
        if not self._closed:
            self._closed = True
            for fd in (*self.spaces.values(), self.folder):
                os.close(fd)


def below_of(path: str, folder: str) -> str | None:
    """What of `path` lies below `folder`, "" for the folder itself; None for what is elsewhere. Both as of a `Path`."""
    if path == folder:
        return ""
    start = folder if folder.endswith(os.sep) else folder + os.sep
    return path[len(start) :] if path.startswith(start) else None


def real(ground: Ground, path: str) -> str:
    """`path` (absolute) with every symlink followed as a command would; it need not exist. OSError for a loop."""
    # Text, not `Path`: a tool call asks for this several times, and a hundred agents share one thread.
    top, place = str(ground.top), str(ground.at(ground.top))
    left = [part for part in reversed(path.split("/")) if part]
    done = ""  # the root
    links = 0
    while left:
        part = left.pop()
        if part in (".", ".."):
            done = done.rpartition("/")[0] if part == ".." else done
            continue
        step = f"{done}/{part}"
        if step == top:
            done = step  # a real folder, but our way to it is a link that the system would follow elsewhere
            continue
        below = below_of(step, top)
        try:
            # Symlinks on the way are followed by now: the system finds none in what it is given.
            target = os.readlink(step if below is None else f"{place}/{below}")  # noqa: PTH115  (hot)
        except OSError:
            done = step  # no link, or not there
            continue
        links += 1
        if links > _MOST_LINKS:
            raise OSError(f"{path} is a loop of symbolic links")
        left += [part for part in reversed(target.split("/")) if part]
        done = "" if target.startswith("/") else done
    return done or "/"


def find_nsenter() -> str:
    """The program that enters namespaces (util-linux, busybox); "" where there is none."""
    import shutil

    return (shutil.which("nsenter", path=_PROGRAMS) or "") if sys.platform == "linux" else ""


async def mount(bwrap: Sequence[str], words: Sequence[str], top: Path) -> Mounted:
    """A namespace like ours but for the mounts that `words` ask of bwrap. Raises GroundError."""
    work = asyncio.ensure_future(asyncio.to_thread(mount_now, bwrap, words, top))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait({work})
        with suppress(GroundError):
            work.result().close()
        raise


def mount_now(bwrap: Sequence[str], words: Sequence[str], top: Path) -> Mounted:
    """As `mount`; blocks for some milliseconds."""
    import subprocess

    nsenter = find_nsenter()
    if not nsenter:
        raise GroundError("nsenter (of util-linux) is not installed")
    command = [*bwrap, *(["--unshare-user"] if os.geteuid() else []), "--die-with-parent", "--dev-bind", "/", "/"]
    command += [*words, "--", "/bin/sh", "-c", "echo $$; read _"]
    pipe = subprocess.PIPE
    try:
        # It ends as soon as our descriptors hold what it has made.
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, cwd="/", env={}) as holder:
            try:
                return _take_hold(holder, nsenter, top)
            finally:
                holder.kill()
    except OSError as error:
        raise GroundError(str(error)) from error


def _take_hold(holder: "subprocess.Popen[bytes]", nsenter: str, top: Path) -> Mounted:
    import select

    assert holder.stdout is not None and holder.stderr is not None
    ready, _, _ = select.select([holder.stdout], [], [], _PATIENCE)
    pid = holder.stdout.readline().strip().decode() if ready else ""
    if not pid:
        holder.kill()
        said = holder.stderr.read().decode(errors="replace").strip().splitlines()
        raise GroundError(said[0] if said else "bwrap did not make the mounts")
    opened: list[int] = []
    try:
        spaces: dict[str, int] = {}
        for kind, name in (("user", "user"), ("mount", "mnt")):
            path = f"/proc/{pid}/ns/{name}"
            if Path(path).readlink() != Path(f"/proc/self/ns/{name}").readlink():
                spaces[kind] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                opened.append(spaces[kind])
        folder = os.open(f"/proc/{pid}/root{top}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        for fd in opened:
            os.close(fd)
        raise
    return Mounted(top, nsenter, spaces, folder)

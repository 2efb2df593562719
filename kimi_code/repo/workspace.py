"""Where the agent works: file and process access inside roots. The protocol here, LocalWorkspace below it."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Exit:
    """How a process ended. `code` is None when it was killed by us, `signal` set when a signal ended it."""

    code: int | None
    signal: int | None = None
    timed_out: bool = False


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


class Workspace(Protocol):
    """All file and process access of the tools. Paths given to the methods are absolute and resolved."""

    @property
    def root(self) -> Path:
        """The working folder; relative paths start here."""
        ...

    @property
    def roots(self) -> tuple[Path, ...]:
        """The folders the agent may work in (absolute, symlinks resolved); `root` is the first."""
        ...

    def resolve(self, path: str) -> Path:
        """`path` (relative to root, absolute, or with ~) with every symlink followed; it need not exist."""
        ...

    def display(self, path: Path) -> str:
        """`path` relative to root with forward slashes where it is inside, else absolute."""
        ...

    async def read(self, path: Path) -> bytes: ...

    async def write(self, path: Path, content: bytes) -> None:
        """Atomically: a temporary file in the same folder, fsync, rename. Keeps the mode, makes parent folders."""
        ...

    async def start(self, command: str, *, cwd: Path, env: Mapping[str, str] | None = None) -> Process:
        """Run `command` in a shell; `env` is added to the allow-listed environment."""
        ...

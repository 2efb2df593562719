"""Where a sub-agent works: its checkout's files, its share of the machine, and nothing of the user's."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from kimi_code.errors import ToolError
from kimi_code.repo.workspace import FileStatus, Process, Workspace


@dataclass(slots=True)
class Cores:
    """How many heavy commands run at once: as many as there are cores (100 test runs: 32 s for 75, measured)."""

    count: int
    _free: asyncio.Semaphore = field(init=False)
    _ends: set["asyncio.Task[object]"] = field(default_factory=set["asyncio.Task[object]"])

    def __post_init__(self) -> None:
        self._free = asyncio.Semaphore(max(self.count, 1))

    async def take(self) -> None:
        """Wait for a core. `hold` or `give` must follow."""
        await self._free.acquire()

    def give(self) -> None:
        """A core that was taken is free again."""
        self._free.release()

    def hold(self, process: Process) -> None:
        """The core is free again when `process` ends."""
        task: asyncio.Task[object] = asyncio.create_task(process.wait())
        self._ends.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[object]") -> None:
        self._ends.discard(task)
        self._free.release()


@dataclass(slots=True)
class Seat:
    """The workspace of one sub-agent. `environment` is added to its commands'.

    `heavy` says of a command line whether it has to wait for a core, meanwhile `waiting` is entered. `forbidden` is
    the user's own folder where commands are not confined and could reach it by its path, else None.
    """

    inner: Workspace
    cores: Cores
    environment: Mapping[str, str]
    heavy: Callable[[str], bool]
    waiting: Callable[[], AbstractContextManager[None]]
    forbidden: Path | None = None

    @property
    def root(self) -> Path:
        return self.inner.root

    @property
    def roots(self) -> tuple[Path, ...]:
        return self.inner.roots

    def resolve(self, path: str) -> Path:
        return self.inner.resolve(path)

    def display(self, path: Path) -> str:
        return self.inner.display(path)

    async def status(self, path: Path) -> FileStatus | None:
        return await self.inner.status(path)

    async def names(self, path: Path) -> list[str]:
        return await self.inner.names(path)

    async def read(self, path: Path) -> bytes:
        return await self.inner.read(path)

    def chunks(self, path: Path) -> AsyncIterator[bytes]:
        return self.inner.chunks(path)

    async def write(self, path: Path, content: bytes) -> None:
        await self.inner.write(path, content)

    async def remove(self, path: Path) -> None:
        await self.inner.remove(path)

    async def start(
        self, command: str, *, cwd: Path, env: Mapping[str, str] | None = None, confined: bool = False
    ) -> Process:
        """As the protocol has it, once a core is free."""
        if self.forbidden is not None and str(self.forbidden) in command:
            raise ToolError(
                f"The command names {self.forbidden}, which is out of reach: your copy is {self.root}. Use paths in it."
            )
        full = {**self.environment, **(env or {})}
        if not self.heavy(command):
            return await self.inner.start(command, cwd=cwd, env=full, confined=confined)
        with self.waiting():
            await self.cores.take()
        try:
            process = await self.inner.start(command, cwd=cwd, env=full, confined=confined)
        except BaseException:
            self.cores.give()
            raise
        self.cores.hold(process)
        return process


def environment_for(number: int, scratch: Path | None) -> dict[str, str]:
    """The variables that keep agents out of each other's way: ports, and folders where the sandbox gives none.

    `number` counts the agents of the process from 0; each has 20 ports from $PORT on.
    """
    port = 20_000 + (number % 1_000) * 20
    own = {"PORT": str(port), "KIMI_CODE_PORTS": f"{port}-{port + 19}"}
    if scratch is not None:
        with suppress(OSError):
            scratch.mkdir(parents=True, exist_ok=True)
            own |= {"TMPDIR": str(scratch), "TMP": str(scratch), "TEMP": str(scratch)}
            own["CARGO_TARGET_DIR"] = str(scratch / "target")
    return own

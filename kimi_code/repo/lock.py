"""Locks on files between processes; the system lets go of them when a process dies, however it dies."""

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import AsyncGenerator
from pathlib import Path

_PAUSE = 0.01  # seconds between two attempts


class FileLock:
    """An exclusive lock on `path`, which is created and stays: removing a locked file would let two in."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None

    def attempt(self) -> bool:
        """Take it if nobody has it. Raises OSError when the file cannot be opened."""
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
        if _lock(fd):
            self._fd = fd
            return True
        os.close(fd)
        return False

    def release(self) -> None:
        """Let go of it; no harm when it is not held."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    @contextlib.asynccontextmanager
    async def held(self, wait: float) -> AsyncGenerator[None]:
        """Hold it, after at most `wait` seconds. Raises TimeoutError and OSError."""
        deadline = time.monotonic() + wait
        while not self.attempt():
            if time.monotonic() >= deadline:
                raise TimeoutError
            await asyncio.sleep(_PAUSE)
        try:
            yield
        finally:
            self.release()


if sys.platform == "win32":

    def _lock(fd: int) -> bool:
        import msvcrt

        try:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:

    def _lock(fd: int) -> bool:
        import fcntl

        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

"""Short programs run to their end: what they are told, what they say, how they end; killed when nobody waits.

asyncio's own processes cost twice as much: transports, streams and, before Python 3.12, a thread that waits for each.
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, NamedTuple

_CHUNK = 65_536  # what a pipe holds
_KILL_WAIT = 2.0  # seconds for the kernel to end what was killed


class Ended(NamedTuple):
    """The exit code, negative for a signal, and all that was said."""

    code: int
    stdout: bytes
    stderr: bytes


async def run_command(command: Sequence[str], cwd: Path, env: Mapping[str, str], input: bytes | None = None) -> Ended:
    """Run a program in a session of its own, with `input` or none. Cancelling kills its group and waits.

    Raises OSError when it cannot be started. Processes that keep its outputs open are waited for.
    """
    # Not by asyncio, whose CPython 3.11 hangs when it is cancelled meanwhile (cpython#125502): here nothing is awaited.
    process = subprocess.Popen(  # noqa: ASYNC220  (asyncio's own blocks as long)
        command,
        stdin=subprocess.DEVNULL if input is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        cwd=cwd,
        env=env,
        start_new_session=True,
    )
    try:
        stdout, stderr = await _communicate(process, input)
        return Ended(await _wait(process), stdout, stderr)
    except BaseException:
        await _kill(process)
        raise


if sys.platform == "win32":

    async def _communicate(process: subprocess.Popen[bytes], input: bytes | None) -> tuple[bytes, bytes]:
        return await asyncio.to_thread(process.communicate, input)

else:

    async def _communicate(process: subprocess.Popen[bytes], input: bytes | None) -> tuple[bytes, bytes]:
        assert process.stdout is not None and process.stderr is not None
        exchange = _Exchange()
        try:
            stdout, stderr = exchange.read(process.stdout), exchange.read(process.stderr)
            if process.stdin is not None:
                exchange.write(process.stdin, input or b"")
            await exchange.over
        finally:
            exchange.close()
        return bytes(stdout), bytes(stderr)


class _Exchange:
    """Streams of one process that are read and written as it goes; `over` when all have ended."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._open: set[IO[bytes]] = set()
        self.over: asyncio.Future[None] = self._loop.create_future()

    def read(self, stream: IO[bytes]) -> bytearray:
        """What comes is in the result, which grows."""
        said = bytearray()
        self._open.add(stream)
        self._loop.add_reader(stream.fileno(), self._read, stream, said)
        return said

    def _read(self, stream: IO[bytes], said: bytearray) -> None:
        data = os.read(stream.fileno(), _CHUNK)
        said += data
        if not data:
            self._end(stream)

    def write(self, stream: IO[bytes], data: bytes) -> None:
        """Send all of it, as far as it is taken, and close the stream."""
        self._open.add(stream)
        os.set_blocking(stream.fileno(), False)
        self._loop.add_writer(stream.fileno(), self._write, stream, memoryview(data))
        self._write(stream, memoryview(data))

    def _write(self, stream: IO[bytes], data: memoryview) -> None:
        try:
            data = data[os.write(stream.fileno(), data) :]
        except BlockingIOError:
            return
        except BrokenPipeError:
            data = data[:0]  # it has heard enough
        if data:
            self._loop.add_writer(stream.fileno(), self._write, stream, data)
        else:
            self._end(stream)

    def _end(self, stream: IO[bytes]) -> None:
        self._drop(stream)
        self._open.discard(stream)
        if not self._open and not self.over.done():
            self.over.set_result(None)

    def close(self) -> None:
        """Whatever is still open."""
        for stream in self._open:
            self._drop(stream)

    def _drop(self, stream: IO[bytes]) -> None:
        self._loop.remove_reader(stream.fileno())
        self._loop.remove_writer(stream.fileno())
        stream.close()


async def _wait(process: subprocess.Popen[bytes]) -> int:
    if process.poll() is None:
        await _exit(process)
    return process.wait()


async def _exit(process: subprocess.Popen[bytes]) -> None:
    """Its end is mostly there when its streams have ended, and a moment away otherwise."""
    if sys.platform == "linux":
        try:
            watched = os.pidfd_open(process.pid)
        except OSError:  # an old kernel, or none at all below a sandbox
            pass
        else:
            loop = asyncio.get_running_loop()
            gone = asyncio.Event()
            loop.add_reader(watched, gone.set)
            try:
                await gone.wait()
            finally:
                loop.remove_reader(watched)
                os.close(watched)
            return
    await asyncio.to_thread(process.wait)


def kill_group(process: "subprocess.Popen[bytes] | asyncio.subprocess.Process") -> None:
    """Kill a process that leads a group, and all of that."""
    try:
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass


async def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        kill_group(process)
    try:
        async with asyncio.timeout(_KILL_WAIT):
            await _wait(process)
    except TimeoutError:
        pass

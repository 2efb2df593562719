"""Processes of our own: a group each, output as a stream, an environment without secrets, killed as a whole."""

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from kimi_code.errors import ToolError
from kimi_code.values import frozen

GRACE = 2.0  # seconds between TERM and KILL
HELD_OPEN = 1.0  # seconds that output is awaited after the process has ended
_CHUNK = 65_536
_KILL_WAIT = 5.0  # seconds for the kernel to end what was sent KILL
_GROUP_POLL = 0.01  # there is no event for the end of a process group
_LAST_WORDS = 0.1  # seconds for the output of a killed group to arrive; what came can still be read after `kill`


@frozen
class Exit:
    """How a process ended. `code` is None when it was killed by us, `signal` set when a signal ended it."""

    code: int | None
    signal: int | None = None
    timed_out: bool = False


@frozen
class Finished:
    """A program that was run to its end; `cut` when its output was longer than asked for and the rest is lost."""

    code: int | None
    stdout: bytes
    stderr: bytes
    cut: bool = False
    timed_out: bool = False


class LocalProcess:
    """A running command on this machine; satisfies the Process protocol."""

    def __init__(self, transport: asyncio.SubprocessTransport, watcher: "_Watcher") -> None:
        self._transport = transport
        self._watcher = watcher
        self._pid = transport.get_pid()
        self._killed = False

    @property
    def pid(self) -> int:
        return self._pid

    def output(self) -> AsyncIterator[bytes]:
        """What it prints, as it comes. Ends with the stream, or 1 s after the process if others keep it open."""
        return self.stream(1)

    async def stream(self, fd: int) -> AsyncIterator[bytes]:
        """As `output`, of one of the streams 1 and 2."""
        reader = self._watcher.readers[fd]
        try:
            while True:
                async with asyncio.timeout_at(self._watcher.deadline) as scope:
                    self._watcher.scopes[fd] = scope
                    data = await reader.read(_CHUNK)
                # The process may end while the caller is busy with the data: a scope that is over cannot be moved.
                self._watcher.scopes.pop(fd, None)
                if not data:
                    return
                yield data
        except TimeoutError:
            self._watcher.abandon(fd)
        finally:
            self._watcher.scopes.pop(fd, None)

    def write(self, data: bytes) -> None:
        """Send to its standard input, if it was started with one; lost when it no longer listens."""
        pipe = cast("asyncio.WriteTransport | None", self._transport.get_pipe_transport(0))
        if pipe is not None and not pipe.is_closing():
            pipe.write(data)

    async def wait(self) -> Exit:
        """Wait for its end, whoever keeps its streams open."""
        await self._watcher.exited.wait()
        code = self._transport.get_returncode()
        if code is not None and code < 0:
            return Exit(None, signal=-code)
        return Exit(None if self._killed else code)

    async def kill(self, grace: float = GRACE) -> None:
        """TERM to the whole group, at most 2 s of grace, KILL; returns when it is gone. Safe to call twice."""
        self._killed = self._killed or not self._watcher.exited.is_set()
        try:
            self._signal_group(signal.SIGTERM)
            await _within(grace, self._group_end())
            self._end_group()
            await _within(_KILL_WAIT, self._watcher.exited.wait())
            await _within(_LAST_WORDS, self._watcher.over.wait())
        except asyncio.CancelledError:
            self._end_group()
            raise
        finally:
            self._transport.close()

    async def _group_end(self) -> None:
        await self._watcher.exited.wait()
        pause = _GROUP_POLL
        for _ in range(int(GRACE / _GROUP_POLL)):  # `kill` stops waiting earlier
            if not self._group_lives():
                return
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 0.2)

    def _end_group(self) -> None:
        if sys.platform != "win32":
            self._signal_group(signal.SIGKILL)

    if sys.platform == "win32":

        def _signal_group(self, number: int) -> None:
            import subprocess

            if not self._watcher.exited.is_set():
                subprocess.run(["taskkill", "/F", "/T", "/PID", str(self._pid)], capture_output=True, check=False)

        def _group_lives(self) -> bool:
            return False

    else:

        def _signal_group(self, number: int) -> None:
            # macOS answers EPERM for a group of which only zombies are left.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._pid, number)

        def _group_lives(self) -> bool:
            try:
                os.killpg(self._pid, 0)
            except (ProcessLookupError, PermissionError):
                return False
            return sys.platform != "linux" or _has_running_member(self._pid)


def _has_running_member(group: int) -> bool:
    """Whether a process group has more than zombies in it: in containers nobody may collect orphans for a while."""
    for entry in os.scandir("/proc"):
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                # After the name, which is in parentheses and may contain anything: state, parent, group.
                fields = Path(entry.path, "stat").read_bytes().rpartition(b")")[2].split()
                if int(fields[2]) == group and fields[0] not in (b"Z", b"X"):
                    return True
    return False


async def spawn(
    command: Sequence[str] | str, *, cwd: Path, env: Mapping[str, str], split: bool = False, talk: bool = False
) -> LocalProcess:
    """Start a program (a sequence) or a command line of the platform's own shell (a string).

    With `split`, standard error is a stream of its own (2); with `talk`, its standard input can be written to.
    Raises ToolError when it cannot be started. Cancelling waits for the start, then kills: CPython 3.11 hangs for ever
    when a start is cancelled (cpython#125502).
    """
    starting = _Uncancellable(_spawn(command, cwd, env, split, talk), loop=asyncio.get_running_loop())
    try:
        return await starting
    except asyncio.CancelledError:
        if starting.done() and not starting.exception():
            await starting.result().kill()
        raise
    except (OSError, ValueError) as error:
        raise ToolError(f"The command could not be started: {_reason(error)}") from error


async def run(
    argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], timeout: float, limit: int = 32 << 20
) -> Finished:
    """Run a program to its end; it is killed after `timeout` seconds or `limit` bytes of output, what came is kept."""
    process = await spawn(argv, cwd=cwd, env=env, split=True)
    out, err = bytearray(), bytearray()
    cut = timed_out = False
    try:
        async with asyncio.timeout(timeout), asyncio.TaskGroup() as group:
            errors = group.create_task(_collect(process, 2, err, limit))
            cut = await _collect(process, 1, out, limit)
            if cut:
                errors.cancel()
    except TimeoutError:
        timed_out = True
    except BaseException:
        await process.kill()
        raise
    if cut or timed_out:
        await process.kill()
    return Finished((await process.wait()).code, bytes(out), bytes(err), cut, timed_out)


async def _within(seconds: float, work: Awaitable[object]) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(work, seconds)


async def _collect(process: LocalProcess, fd: int, into: bytearray, limit: int) -> bool:
    """Read a stream into `into`; True when it was longer than `limit`."""
    async for data in process.stream(fd):
        into += data
        if len(into) > limit:
            del into[limit:]
            return True
    return False


class _Uncancellable(asyncio.Task[LocalProcess]):
    """A task that runs to its end (a millisecond or two): its awaiter gets its own cancellation after that."""

    def cancel(self, msg: Any | None = None) -> bool:
        return False


async def _spawn(
    command: Sequence[str] | str, cwd: Path, env: Mapping[str, str], split: bool, talk: bool
) -> LocalProcess:
    import subprocess

    loop = asyncio.get_running_loop()
    options: dict[str, Any] = {
        "stdin": subprocess.PIPE if talk else subprocess.DEVNULL,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE if split else subprocess.STDOUT,
        "cwd": cwd,
        "env": dict(env),
    }
    if sys.platform == "win32":
        options["creationflags"] = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
    else:
        options["start_new_session"] = True
    if isinstance(command, str):
        transport, watcher = await loop.subprocess_shell(_Watcher, command, **options)
    else:
        transport, watcher = await loop.subprocess_exec(_Watcher, *command, **options)
    return LocalProcess(transport, watcher)


class _Watcher(asyncio.SubprocessProtocol):
    """Hears from the event loop: output into readers with back-pressure, and the process's end apart from its pipes'.

    (`Process.wait` of asyncio waits for the pipes too in some versions of CPython.)
    """

    def __init__(self) -> None:
        self.readers: dict[int, asyncio.StreamReader] = {}
        self.scopes: dict[int, asyncio.Timeout] = {}
        self.exited = asyncio.Event()
        self.over = asyncio.Event()
        self.deadline: float | None = None
        self._open: set[int] = set()
        self._transport: asyncio.SubprocessTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.SubprocessTransport, transport)
        for fd in (1, 2):
            pipe = self._transport.get_pipe_transport(fd)
            if pipe is not None:
                self.readers[fd] = asyncio.StreamReader()
                self.readers[fd].set_transport(pipe)
                self._open.add(fd)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd in self._open:
            self.readers[fd].feed_data(data)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        if fd in self._open:
            self._open.discard(fd)
            self.readers[fd].feed_eof()
        self._close_when_over()

    def process_exited(self) -> None:
        self.exited.set()
        self.deadline = asyncio.get_running_loop().time() + HELD_OPEN
        for scope in self.scopes.values():
            if not scope.expired():
                scope.reschedule(self.deadline)
        self._close_when_over()

    def abandon(self, fd: int) -> None:
        """Close a stream that another process keeps open."""
        pipe = self._transport and self._transport.get_pipe_transport(fd)
        if pipe:
            pipe.close()

    def _close_when_over(self) -> None:
        if self._transport and self.exited.is_set() and not self._open:
            self.over.set()
            self._transport.close()


def _reason(error: OSError | ValueError) -> str:
    import errno

    if isinstance(error, ValueError):
        return "it contains a NUL character."
    if error.errno == errno.E2BIG:
        return "it is too long for the system. Write it to a file and run that."
    return f"{error.strerror or error}."


# --- The environment of commands -----------------------------------------------------------------------------------

_KEPT = re.compile(
    r"PATH|HOME|USER|LOGNAME|SHELL|LANG|LANGUAGE|LC_\w+|TERM|TZ|TMPDIR|TMP|TEMP|PWD|VIRTUAL_ENV|CONDA_\w+|PYTHON(?!STARTUP)\w*"
    r"|NODE_\w+|NVM_\w+|NPM_CONFIG_\w+|CARGO_\w+|RUSTUP_\w+|GO[A-Z0-9]+|JAVA_HOME|XDG_\w+|PIP_\w+|UV_\w+"
    r"|SSL_CERT_(?:FILE|DIR)|REQUESTS_CA_BUNDLE|(?:HTTPS?|ALL|NO)_PROXY"
    # What programs on Windows do not start without.
    r"|SYSTEMROOT|SYSTEMDRIVE|WINDIR|COMSPEC|PATHEXT|USERPROFILE|USERNAME|APPDATA|LOCALAPPDATA|PROGRAMDATA"
    r"|PROGRAMFILES(?:\(X86\))?|PROGRAMW6432|HOMEDRIVE|HOMEPATH|NUMBER_OF_PROCESSORS|PROCESSOR_ARCHITECTURE",
    re.IGNORECASE,
)
_SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL|AUTH", re.IGNORECASE)
_SECRET_VALUE = re.compile(r"://[^/\s@]+@")  # a URL with a user or a password in it

# Nobody is there to answer a prompt, scroll a pager or fill in an editor.
_UNATTENDED = {
    "PAGER": "cat",
    "GIT_PAGER": "cat",
    "MANPAGER": "cat",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_EDITOR": "true",
    "PIP_NO_INPUT": "1",
    "DEBIAN_FRONTEND": "noninteractive",
    "NO_COLOR": "1",
    "KIMI_CODE": "1",
}


def command_environment(source: Mapping[str, str]) -> dict[str, str]:
    """What of `source` a command may see: an allow-list without anything that looks like a secret, and no prompts."""
    kept = {
        name: value
        for name, value in source.items()
        if _KEPT.fullmatch(name) and not _SECRET_NAME.search(name) and not _SECRET_VALUE.search(value)
    }
    return {"PATH": os.defpath, **kept, **_UNATTENDED}

"""Starts of the program without its imports: each is forked from a process that has them all.

What is forked is a process of its own in every other way: arguments, folder, environment, streams, terminal, signals,
end. What an interpreter does before the program's first line (its PYTHON variables, the user it runs as, what it
imports when) and after its last one cannot be seen so; tests of that start it freshly.
"""

import asyncio
import atexit
import errno
import gc
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).parent.parent
# Elsewhere programs do not outlive a fork reliably (macOS), or there is none (Windows).
POSSIBLE = sys.platform == "linux"
_PATIENCE = 30.0  # seconds


class Forked:
    """As much of subprocess.Popen as tests use."""

    def __init__(
        self,
        args: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        stdin: Any = None,
        stdout: Any = None,
        stderr: Any = None,
        terminal: bool = False,
        code: str = "",
    ) -> None:
        """Streams are given as to Popen; with `terminal` standard input becomes the controlling terminal.

        `code` is run in place of the program, as by `python -c`.
        """
        self.returncode: int | None = None
        self._reports, reporting = os.pipe()
        theirs: list[int] = []
        self.stdin: IO[bytes] | None = _stream(stdin, "wb", theirs)
        self.stdout: IO[bytes] | None = _stream(stdout, "rb", theirs)
        self.stderr: IO[bytes] | None = _stream(stderr, "rb", theirs)
        order = {"args": args, "cwd": str(cwd), "env": dict(env), "terminal": terminal, "code": code}
        socket.send_fds(_nursery(), [json.dumps(order).encode()], [*theirs, reporting])
        for fd, given in zip(theirs, (stdin, stdout, stderr), strict=True):
            if given in (subprocess.PIPE, subprocess.DEVNULL):
                os.close(fd)
        os.close(reporting)
        self.pid = self._report(None)

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        if self.returncode is None and select.select([self._reports], [], [], 0)[0]:
            self.wait()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end. Raises subprocess.TimeoutExpired."""
        if self.returncode is None:
            self.returncode = self._report(timeout)
            os.close(self._reports)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """At once."""
        self.send_signal(signal.SIGKILL)

    def communicate(
        self, input: bytes | None = None, timeout: float | None = None
    ) -> tuple[bytes | None, bytes | None]:
        """All it says until its end. `input` must fit into a pipe. Raises subprocess.TimeoutExpired."""
        deadline = None if timeout is None else time.monotonic() + timeout
        if self.stdin is not None:
            try:
                self.stdin.write(input or b"")
                self.stdin.close()
            except BrokenPipeError:
                pass
        streams = [self.stdout, self.stderr]
        said = {stream.fileno(): bytearray() for stream in streams if stream is not None}
        waiting = set(said)
        while waiting:
            for fd in self._ready(list(waiting), deadline, timeout):
                data = os.read(fd, 65_536)
                said[fd] += data
                if not data:
                    waiting.discard(fd)
        self.wait(None if deadline is None else max(0.0, deadline - time.monotonic()))
        out, err = (b"" if stream is None else bytes(said[stream.fileno()]) for stream in streams)
        for stream in streams:
            if stream is not None:
                stream.close()
        return out, err

    def _report(self, timeout: float | None) -> int:
        """The process's number, then, at its end, its exit code."""
        self._ready([self._reports], None if timeout is None else time.monotonic() + timeout, timeout)
        report = os.read(self._reports, 4)
        if not report:
            raise RuntimeError("the process that programs are forked from has ended")
        return struct.unpack("i", report)[0]

    def _ready(self, fds: list[int], deadline: float | None, timeout: float | None) -> list[int]:
        ready = select.select(fds, [], [], None if deadline is None else max(0.0, deadline - time.monotonic()))[0]
        if not ready:
            raise subprocess.TimeoutExpired("kimi-code", timeout or 0)
        return ready


def _stream(given: Any, mode: str, theirs: list[int]) -> "IO[bytes] | None":
    """Our end of what was given to Popen for a stream; theirs is appended."""
    if given == subprocess.PIPE:
        reading, writing = os.pipe()
        ours, other = (writing, reading) if mode == "wb" else (reading, writing)
        theirs.append(other)
        return open(ours, mode)  # noqa: PTH123  (open until it is read)
    if given == subprocess.DEVNULL:
        theirs.append(os.open(os.devnull, os.O_RDWR))
    else:
        theirs.append(given if isinstance(given, int) else given.fileno())
    return None


_ours: list[socket.socket] = []


def _nursery() -> socket.socket:
    """Where orders go. The workers of one run share the process behind it: the first to ask starts it."""
    if not _ours:
        address = "\0kimi-code-tests-" + os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
        ours = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
            while not _ours:
                try:
                    listening.bind(address)
                except OSError as error:
                    if error.errno != errno.EADDRINUSE:
                        raise
                else:
                    listening.listen(64)
                    _start_nursery(listening)
                try:
                    ours.connect(address)
                except ConnectionRefusedError:  # in the microseconds between another's bind and listen
                    continue
                _ours.append(ours)
        atexit.register(ours.close)
    return _ours[0]


def _start_nursery(listening: socket.socket) -> None:
    """It ends once all who have asked it for something are gone."""
    # Read when modules are imported: paint screens an eighth as often, ask no package for plugins of pydantic.
    told = {"TEXTUAL_FPS": "8", "PYDANTIC_DISABLE_PLUGINS": "1", "LC_ALL": "C.UTF-8", "PYTHONPATH": str(ROOT)}
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.warm", str(listening.fileno())],
        cwd=ROOT,
        env={**kept, **told},
        stdin=subprocess.DEVNULL,
        pass_fds=[listening.fileno()],
        start_new_session=True,
    )
    atexit.register(process.wait)  # after what is registered later: our own connection is closed by then


# --- In the process that is forked --------------------------------------------------------------------------------


def _import_everything() -> None:
    from importlib import import_module
    from pkgutil import walk_packages

    import kimi_code
    from kimi_code.llm import sdk

    for module in walk_packages(kimi_code.__path__, "kimi_code."):
        import_module(module.name)
    sdk.load()
    for name in LATE:
        import_module(name)
    _read_a_command_line()
    asyncio.run(_play())
    tempfile.tempdir = None
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 1_000)


def _read_a_command_line() -> None:
    """The flags of the root stand before each command: what reads them is there, as are the commands themselves."""
    from kimi_code.cli.app import command

    tree = command()
    for name in tree.list_commands(None):
        tree.get_command(None, name)
    with tree.make_context("kimi-code", ["-p", "hello"]):
        pass


async def _play() -> None:
    """One turn on a screen that nobody sees: what is made once in a process, as style sheets and schemas, is there."""
    from kimi_code.cli.run import RunFlags
    from kimi_code.cli.tui import LocalHost
    from kimi_code.tui.app import KimiApp
    from kimi_code.tui.host import Which

    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "script.yaml")
        script.write_text("steps:\n  - text: Hello, world.\n")
        host = LocalHost(RunFlags(model=f"scripted:{script}"), Path(folder), {"KIMI_CODE_DIR": folder})
        app = KimiApp(host, Which(), prompt="hello", dark=True)
        async with app.run_test(), asyncio.timeout(_PATIENCE):
            while not app.main.transcript.find("world") or app.main.conversation.state != "idle":
                await asyncio.sleep(0.01)
            await app.main.conversation.close()


# What else functions of the program and its screen import; the rest is not worth it, or reads the environment.
LATE = (
    *("encodings.ascii", "linkify_it", "markdown_it", "pygments.lexers.special", "rich.syntax", "tree_sitter_bash"),
    *("textual.layouts.factory", "textual.layouts.horizontal", "textual.layouts.stream", "textual.pilot"),
    *("textual.scrollbar", "yaml"),
)


def _serve(listening: socket.socket) -> dict[str, Any] | None:
    """Fork for each order. Returns it in the process that is to obey, and None at the end."""
    poll = select.poll()
    poll.register(listening, select.POLLIN)
    asking: dict[int, socket.socket] = {}
    running: dict[int, tuple[int, int]] = {}
    while True:
        for ready, _ in poll.poll():
            if ready in running:
                pid, reporting = running.pop(ready)
                os.write(reporting, struct.pack("i", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])))
                poll.unregister(ready)
                os.close(ready)
                os.close(reporting)
                continue
            if ready == listening.fileno():
                control = listening.accept()[0]
                if not _is_ours(control):
                    control.close()
                    continue
                asking[control.fileno()] = control
                poll.register(control, select.POLLIN)
                continue
            order, fds, _, _ = socket.recv_fds(asking[ready], 1 << 20, 4)
            if not order:
                poll.unregister(ready)
                asking.pop(ready).close()
                if not asking:
                    return None
                continue
            *streams, reporting = fds
            pid = os.fork()
            if pid == 0:
                for inherited in (listening, *asking.values()):
                    inherited.detach()
                _take(streams)
                return json.loads(order)
            os.write(reporting, struct.pack("i", pid))
            for stream in streams:
                os.close(stream)
            watched = os.pidfd_open(pid)
            running[watched] = (pid, reporting)
            poll.register(watched, select.POLLIN)


def _is_ours(asking: socket.socket) -> bool:
    """Anybody on the machine could connect: orders are taken from our own user alone."""
    credentials = asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return struct.unpack("3i", credentials)[1] == os.getuid()


def _take(streams: Sequence[int]) -> None:
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.closerange(3, max(256, *(stream + 1 for stream in streams)))


def _obey(order: Mapping[str, Any]) -> int:
    """What exec and a new interpreter would do, then the program."""
    if order["terminal"]:
        import fcntl
        import termios

        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["env"])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    sys.stdin = sys.__stdin__ = open(0, encoding="utf-8", errors="surrogateescape", closefd=False)  # noqa: SIM115  (open until the end)
    sys.stdout = sys.__stdout__ = open(1, "w", encoding="utf-8", errors="surrogateescape", closefd=False)  # noqa: SIM115  (open until the end)
    sys.stderr = sys.__stderr__ = open(2, "w", 1, "utf-8", "backslashreplace", closefd=False)  # noqa: SIM115  (open until the end)
    from kimi_code import __main__

    sys.argv = [str(__main__.__file__), *order["args"]]
    if order["code"]:
        exec(order["code"], {"__name__": "__main__"})
    return __main__.main()


def _end(code: Any) -> None:
    """What an interpreter does at its end, but for taking all modules apart: that would copy what is shared here."""
    if not isinstance(code, int | None):
        sys.exit(code)
    threading._shutdown()  # pyright: ignore  (waits for threads; it has no other name)
    atexit._run_exitfuncs()  # pyright: ignore[reportPrivateUsage]  (the same)
    gc.collect()  # what complains when it is dropped does so now
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        sys.exit(code)
    os._exit((code or 0) & 0xFF)


if __name__ == "__main__":
    _import_everything()
    if (taken := _serve(socket.socket(fileno=int(sys.argv[1])))) is not None:
        try:
            ended: Any = _obey(taken)
        except SystemExit as leaving:
            ended = leaving.code
        _end(ended)

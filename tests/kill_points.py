"""A piece of work that is killed, or interrupted, at its n-th change, or once a file of its says something.

Each attempt is forked: from the process that programs are, or else from one that is started for it.
"""

import asyncio
import gc
import json
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from functools import partial
from glob import glob
from pathlib import Path

from tests.warm import POSSIBLE, Forked

_CHANGES = {"os.rename", "os.remove", "os.link", "os.mkdir", "os.rmdir", "os.chmod", "os.truncate", "subprocess.Popen"}

_ROOT = Path(__file__).parents[1]

Attempt = Callable[..., int]


@contextmanager
def dying(work: str) -> Generator[Attempt]:
    """`attempt(n, *args)` runs `work`, code that defines `async def work(*args: str)`, in a process of its own.

    It dies at its n-th call that changes files or starts a program, like a machine that loses its power; with
    `by=signal.SIGINT` Ctrl-C is pressed there. With `once=(FILE, TEXT)` only calls count after that file (a pattern
    from the root) holds that text. Returns the exit code, negative for a signal.
    """
    if POSSIBLE:
        yield partial(_fork, work)
        return
    code = f"{work}\nfrom tests.kill_points import serve\nserve(work)"
    argv, pipe = [sys.executable, "-c", code], subprocess.PIPE
    with subprocess.Popen(argv, cwd=_ROOT, stdin=pipe, stdout=pipe, text=True) as process:
        asked, answers = process.stdin, process.stdout
        assert asked is not None
        assert answers is not None

        def attempt(
            number: int, *args: object, by: signal.Signals = signal.SIGKILL, once: tuple[str, str] | None = None
        ) -> int:
            asked.write(json.dumps([number, int(by), once, *map(str, args)]) + "\n")
            asked.flush()
            return int(answers.readline())

        yield attempt
        asked.close()


def _fork(
    work: str, number: int, *args: object, by: signal.Signals = signal.SIGKILL, once: tuple[str, str] | None = None
) -> int:
    facts = json.dumps([number, int(by), once, [*map(str, args)]])
    code = f"{work}\nimport json\nfrom tests.kill_points import do\ndo(work, *json.loads({facts!r}))"
    none = subprocess.DEVNULL
    return Forked([], cwd=_ROOT, env=os.environ, stdin=none, stdout=none, stderr=2, code=code).wait()


def serve(work: Callable[..., Awaitable[None]]) -> None:
    """The process's side: a child for each line."""
    gc.collect()
    gc.freeze()  # or each child copies the pages of all that is loaded
    for line in sys.stdin:
        number, by, once, *args = json.loads(line)
        pid = os.fork()
        if pid == 0:
            do(work, number, by, once, args)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


def _listen(pattern: str, text: str) -> Callable[[], bool]:
    """Whether a file that fits the pattern holds the text by now; asked hundreds of times."""
    found: list[str] = []

    def says() -> bool:
        nonlocal found
        found = found or glob(pattern)  # noqa: PTH207  (absolute)
        try:
            return any(text.encode() in Path(path).read_bytes() for path in found)
        except FileNotFoundError:
            found = []
            return False

    return says


def do(
    work: Callable[..., Awaitable[None]], number: int, by: int, once: tuple[str, str] | None, args: list[str]
) -> None:
    """In the process that is to die: never returns."""
    count = 0
    counts = _listen(*once) if once else None

    def watch(event: str, facts: tuple[object, ...]) -> None:
        nonlocal count
        flags = facts[2] if event == "open" else 0
        if number and (event in _CHANGES or (isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR))):
            count += counts is None or counts()
            if count == number:
                os.kill(os.getpid(), by)

    async def run() -> None:
        await work(*args)

    sys.addaudithook(watch)
    code = 0
    try:
        asyncio.run(run())
    except KeyboardInterrupt:
        code = 130
    except BaseException as error:
        print(repr(error), file=sys.stderr)
        code = 1
    os._exit(code)

"""A piece of work that is killed, or interrupted, at its n-th change, or once a file of its says something.

One process is started, and forked for each attempt.
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
from glob import glob
from pathlib import Path

_CHANGES = {"os.rename", "os.remove", "os.link", "os.mkdir", "os.rmdir", "os.chmod", "os.truncate", "subprocess.Popen"}

Attempt = Callable[..., int]


@contextmanager
def dying(work: str) -> Generator[Attempt]:
    """`attempt(n, *args)` runs `work`, code that defines `async def work(*args: str)`, in a process of its own.

    It dies at its n-th call that changes files or starts a program, like a machine that loses its power; with
    `by=signal.SIGINT` Ctrl-C is pressed there. With `once=(FILE, TEXT)` only calls count after that file (a pattern
    from the root) holds that text. Returns the exit code, negative for a signal.
    """
    code = f"{work}\nfrom tests.kill_points import serve\nserve(work)"
    argv, pipe = [sys.executable, "-c", code], subprocess.PIPE
    with subprocess.Popen(argv, cwd=Path(__file__).parents[1], stdin=pipe, stdout=pipe, text=True) as process:
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


def serve(work: Callable[..., Awaitable[None]]) -> None:
    """The process's side: a child for each line."""
    gc.collect()
    gc.freeze()  # or each child copies the pages of all that is loaded
    for line in sys.stdin:
        number, by, once, *args = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _do(work, number, by, once, args)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


def _says(pattern: str, text: str) -> bool:
    """Whether a file that fits the pattern holds the text."""
    return any(text in Path(found).read_text(errors="replace") for found in glob(pattern))  # noqa: PTH207  (absolute)


def _do(
    work: Callable[..., Awaitable[None]], number: int, by: int, once: tuple[str, str] | None, args: list[str]
) -> None:
    count = 0

    def watch(event: str, facts: tuple[object, ...]) -> None:
        nonlocal count
        flags = facts[2] if event == "open" else 0
        if number and (event in _CHANGES or (isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR))):
            count += once is None or _says(*once)
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

"""The map in a session's first message: drawn by a process of its own while the session starts, taken if it is ready.

Nobody waits long for it: what it costs is spent on another core, and a map that comes too late is left out. The process
goes on to read what the index does not know yet, so that the next question finds it.
"""

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from pathlib import Path

from kimi_code.controls import clean
from kimi_code.repo.indexing.languages import NOT_CODE, language_of
from kimi_code.repo.process import command_environment

TINY = 25  # files with code: fewer are seen by one listing
HUGE = 50_000  # files: a map would not be ready before the session is over
_FOLDERS_MOST = 60  # looked into for that
_WORDS_MOST = 20_000  # characters of a prompt
MOMENT = 0.05  # seconds that a map which is not there yet may cost
ATTENDED_MOMENT = 0.5  # where a person has just typed: the model answers in seconds, and better with a map
_PACKAGE = Path(__file__).parents[2]
_PROGRAM = "import sys; sys.path.insert(0, sys.argv[1]); from kimi_code.agent.map_child import main; main()"


class FirstMap:
    """The map of the tree at `root`, of at most `tokens` tokens; `folder` is where indexes are kept.

    `patience` is in seconds.
    """

    def __init__(self, root: Path, folder: Path, tokens: int, patience: float = MOMENT) -> None:
        self._root = root
        self._patience = patience
        told = (str(_PACKAGE), str(root), str(folder), str(tokens), str(HUGE))
        self._command = (sys.executable, "-P", "-c", _PROGRAM, *told)
        self._wanted = tokens > 0
        self._process: subprocess.Popen[bytes] | None = None
        self._answer: Future[bytes] = Future()
        self._taken = False

    def start(self) -> None:
        """Begin, where a map is of use; returns at once. Needs no event loop: the earlier the better."""
        if not self._wanted or self._process is not None or is_tiny(self._root) or is_huge(self._root):
            return
        with suppress(OSError):  # without a map then
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd=_PACKAGE,
                env=command_environment(os.environ),
                start_new_session=True,
            )
            threading.Thread(target=self._listen, name="first-map", daemon=True).start()

    def _listen(self) -> None:
        process = self._process
        line = process.stdout.readline() if process is not None and process.stdout is not None else b""
        with suppress(InvalidStateError):  # nobody waits any more
            self._answer.set_result(line)

    async def take(
        self,
        prompt: str,
        ready: Callable[[], Awaitable[object]],
        show: Callable[[Path], str] = str,
        may_read: Callable[[Path], bool] = lambda _: True,
    ) -> str:
        """The map for a session's first prompt, "" when there is none by the end of `ready` and our patience.

        `show` is how the model knows a path, `may_read` says whether it may be told about it.
        """
        process = self._process
        if process is None or process.stdin is None or self._taken:
            return ""
        self._taken = True
        with suppress(OSError):  # it has ended
            process.stdin.write(json.dumps(prompt[:_WORDS_MOST]).encode() + b"\n")
            process.stdin.flush()
        answer = asyncio.wrap_future(self._answer)
        until = asyncio.ensure_future(ready())
        try:
            await asyncio.wait({answer, until}, return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                await asyncio.wait({answer}, timeout=self._patience)
            return self._render(answer.result(), show, may_read) if answer.done() else ""
        finally:
            until.cancel()
            answer.cancel()

    def end(self) -> None:
        """Stop it: the index is open in this process, and need not be read twice."""
        if self._process is not None:
            self._taken = True
            self._process.kill()

    async def close(self) -> None:
        """End the process. Safe to call twice."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        await asyncio.to_thread(process.wait)
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):  # a prompt that it did not take
                    pipe.close()

    def _render(self, line: bytes, show: Callable[[Path], str], may_read: Callable[[Path], bool]) -> str:
        try:
            files: list[list[str]] = json.loads(line)
        except ValueError:  # it ended
            return ""
        parts = [
            f"{show(self._root / path)}\n{clean(lines).replace('</map>', '< /map>')}"
            for path, lines in files
            if may_read(self._root / path)
        ]
        if not parts:
            return ""
        return "\n".join((
            "<map>",
            "Definitions that may matter, with line numbers; far from all. For more: Symbols, Outline, Read by symbol.",
            *parts,
            "</map>",
        ))  # fmt: skip


def is_huge(root: Path) -> bool:
    """Whether git tracks too many files: its index says how many in its first bytes (gitformat-index)."""
    with suppress(OSError), (root / ".git" / "index").open("rb") as index:
        head = index.read(12)
        return head[:4] == b"DIRC" and int.from_bytes(head[8:12], "big") > HUGE
    return False


def is_tiny(root: Path) -> bool:
    """Whether there are but a few files with code, or it is no project at all: the home folder, or one around it."""
    home = Path(os.path.expanduser("~"))
    if root == home or root in home.parents:
        return True
    found, folders = 0, [str(root)]
    for folder in folders:
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith(".") or entry.name in ("node_modules", "__pycache__"):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                else:
                    found += language_of(entry.name) not in NOT_CODE
            if found >= TINY:
                return False
        if len(folders) > _FOLDERS_MOST:
            return False
    return True

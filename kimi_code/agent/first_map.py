"""The map in a session's first message: drawn by a process of its own while the session starts, taken if it is ready.

Nobody waits for it: what it costs is spent on another core, and a map that comes too late is left out. The process goes
on to read what the index does not know yet, so that the next question finds it.
"""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from kimi_code.controls import clean
from kimi_code.errors import ToolError
from kimi_code.repo.languages import language_of
from kimi_code.repo.process import LocalProcess, command_environment, spawn

TINY = 10  # files with code: fewer are seen at a glance
_NOT_CODE = ("", "json", "yaml", "toml", "markdown", "css")
_FOLDERS_MOST = 60  # looked into for that
_WORDS_MOST = 20_000  # characters of a prompt
_MOMENT = 0.05  # seconds that a map which is not there yet may cost
_PROGRAM = "import sys; sys.path.insert(0, sys.argv[1]); from kimi_code.agent.map_child import main; main()"


class FirstMap:
    """The map of the tree at `root`, of at most `tokens` tokens; `folder` is where indexes are kept.

    `show` is how the model knows a path, `may_read` says whether it may be told about it.
    """

    def __init__(
        self, root: Path, folder: Path, tokens: int, show: Callable[[Path], str], may_read: Callable[[Path], bool]
    ) -> None:
        self._root = root
        self._folder = folder
        self._tokens = tokens
        self._show = show
        self._may_read = may_read
        self._starting: asyncio.Task[LocalProcess | None] | None = None
        self._closing: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, where a map is of use; returns at once."""
        if self._tokens and not is_tiny(self._root):
            self._starting = asyncio.create_task(self._spawn())

    async def take(self, prompt: str, ready: Callable[[], Awaitable[object]]) -> str:
        """The map for a prompt, "" when there is none by the time that `ready` is and a moment has passed."""
        if self._starting is None or self._closing is not None:
            return ""
        process = await self._starting
        if process is None:
            return ""
        process.write(json.dumps(prompt[:_WORDS_MOST]).encode() + b"\n")
        answer = asyncio.create_task(_first_line(process))
        until = asyncio.ensure_future(ready())
        try:
            await asyncio.wait({answer, until}, return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                await asyncio.wait({answer}, timeout=_MOMENT)
            return self._render(answer.result()) if answer.done() else ""
        finally:
            until.cancel()
            answer.cancel()

    def end(self) -> None:
        """The index is open in this process: it need not be read twice."""
        if self._starting is not None and self._closing is None:
            self._closing = asyncio.create_task(self._end())

    async def close(self) -> None:
        """End the process. Safe to call twice."""
        self.end()
        if self._closing is not None:
            await self._closing

    async def _end(self) -> None:
        process = await self._starting if self._starting is not None else None
        if process is not None:
            await process.kill()

    async def _spawn(self) -> LocalProcess | None:
        package = Path(__file__).parents[2]
        command = (sys.executable, "-P", "-c", _PROGRAM, str(package), str(self._root), str(self._folder))
        with suppress(ToolError):  # without a map then
            env = command_environment(os.environ)
            return await spawn((*command, str(self._tokens)), cwd=package, env=env, talk=True)
        return None

    def _render(self, line: bytes) -> str:
        try:
            files: list[list[str]] = json.loads(line)
        except ValueError:  # it ended
            return ""
        parts = [
            f"{self._show(self._root / path)}\n{clean(lines).replace('</map>', '< /map>')}"
            for path, lines in files
            if self._may_read(self._root / path)
        ]
        if not parts:
            return ""
        return "\n".join((
            "<map>",
            "Definitions that may matter, with line numbers; far from all. For more: Symbols, Outline, Read by symbol.",
            *parts,
            "</map>",
        ))  # fmt: skip


async def _first_line(process: LocalProcess) -> bytes:
    line = b""
    async for data in process.output():
        line += data
        if b"\n" in line:
            break
    return line


def is_tiny(root: Path) -> bool:
    """Whether there are but a few files with code, or it is no project at all: the home folder, or one around it."""
    home = Path(os.path.expanduser("~"))  # noqa: PTH111  (Path.home raises where there is none)
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
                    found += language_of(entry.name) not in _NOT_CODE
            if found >= TINY:
                return False
        if len(folders) > _FOLDERS_MOST:
            return False
    return True

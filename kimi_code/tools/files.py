"""What the model last saw of each file, so that no edit overwrites what it has not seen; opening files for edits."""

import contextlib
from collections.abc import Sequence
from difflib import get_close_matches
from hashlib import blake2b
from pathlib import Path

from kimi_code.errors import ToolError
from kimi_code.repo.syntax_check import new_problem
from kimi_code.repo.text import UTF8, Encoding, binary_kind, decode, encode
from kimi_code.tools.tool import ToolContext
from kimi_code.values import frozen

EDITABLE_MOST = 16 << 20  # bytes; larger files are read in parts and changed by commands


class FileMemory:
    """One per session. Knows a file by the digest of its content, not by its time stamp."""

    def __init__(self) -> None:
        self._seen: dict[Path, bytes] = {}

    def remember(self, path: Path, content: bytes) -> None:
        """The model has seen (or written) `content`."""
        self._seen[path] = _digest(content)

    def forget(self) -> None:
        """The conversation in which the model saw files is gone."""
        self._seen.clear()

    def knows(self, path: Path, content: bytes) -> bool:
        """Whether the model has seen this very content."""
        return self._seen.get(path) == _digest(content)

    def check(self, path: Path, content: bytes, shown: str) -> None:
        """Raise ToolError unless the model has seen this very content; `shown` is the path as the model knows it."""
        if not content:
            return
        seen = self._seen.get(path)
        if seen is None:
            raise ToolError(f"{shown} exists and has not been read in this session. Read it first.")
        if seen != _digest(content):
            raise ToolError(
                f"{shown} has changed since it was read. Read it again, then repeat the call if it still fits."
            )


@frozen
class Current:
    """A file as it is before a change. `text` is None when there is none yet."""

    path: Path
    shown: str
    text: str | None
    encoding: Encoding = UTF8


async def open_current(path: str, ctx: ToolContext, files: FileMemory) -> Current:
    """The text file at `path`, which the model has seen as it is, or nothing. Raises ToolError for anything else."""
    resolved = ctx.workspace.resolve(path)
    shown = ctx.workspace.display(resolved)
    status = await ctx.workspace.status(resolved)
    if status is None:
        return Current(resolved, shown, None)
    if status.kind == "folder":
        raise ToolError(f"{shown} is a folder. Give the path of a file.")
    if status.kind == "other":
        raise ToolError(f"{shown} is a pipe, socket or device, not a file.")
    if status.size > EDITABLE_MOST:
        raise ToolError(f"{shown} is too large to edit ({size_of(status.size)}). Change it with a command.")
    content = await ctx.workspace.read(resolved)
    decoded = decode(content)
    if decoded is None:
        raise ToolError(f"{shown} is {binary_kind(content)}, not text. Change it with a command, or use another path.")
    files.check(resolved, content, shown)
    return Current(resolved, shown, decoded.text, decoded.encoding)


async def missing(path: Path, ctx: ToolContext) -> str:
    """That there is no file at `path`, and what has a similar name beside it."""
    shown, parent = ctx.workspace.display(path), path.parent
    status = await ctx.workspace.status(parent)
    if status is None or status.kind != "folder":
        return f"{shown} does not exist, nor does its folder."
    similar = get_close_matches(path.name, await ctx.workspace.names(parent), n=3, cutoff=0.6)
    return f"{shown} does not exist." + (f" In its folder are: {', '.join(similar)}." if similar else "")


async def write_all(changes: Sequence[tuple[Current, str | None]], ctx: ToolContext) -> list[bytes | None]:
    """Write the texts in place of the files, None removes one; where one fails, those before it are taken back.

    Returns what was written. Raises ToolError with the files as they were.
    """
    contents = [None if text is None else encode_like(text, current) for current, text in changes]
    done: list[Current] = []
    try:
        for (current, _), content in zip(changes, contents, strict=True):
            done.append(current)
            await _put(current.path, content, ctx)
    except BaseException:
        for current in reversed(done):
            before = None if current.text is None else encode_like(current.text, current)
            with contextlib.suppress(ToolError):  # such as of the very file that could not be written
                await _put(current.path, before, ctx)
        raise
    return contents


async def _put(path: Path, content: bytes | None, ctx: ToolContext) -> None:
    if content is None:
        await ctx.workspace.remove(path)
    else:
        await ctx.workspace.write(path, content)


def encode_like(text: str, current: Current) -> bytes:
    """`text` in the file's encoding. Raises ToolError naming the first character that has no place in it."""
    try:
        return encode(text, current.encoding)
    except UnicodeEncodeError as error:
        bad = text[error.start]
        raise ToolError(
            f"{bad!r} (line {text.count(chr(10), 0, error.start) + 1} of the new text) cannot be written to "
            f"{current.shown}, which is {current.encoding.label or 'UTF-8'}. Leave it out."
        ) from error


def warn(current: Current, text: str) -> str:
    """A warning for the end of a result when `text` has syntax errors that the file had not; else nothing."""
    problem = new_problem(current.shown, current.text, text)
    return f"\nWarning: {problem}" if problem else ""


def size_of(count: int) -> str:
    """A size for reading: 312 bytes, 4.5 kB, 1.1 GB."""
    if count < 1000:
        return f"{count} bytes"
    size = float(count)
    for unit in ("kB", "MB", "GB"):
        size /= 1000
        if size < 1000:
            return f"{size:.1f} {unit}"
    return f"{size / 1000:.1f} TB"


def _digest(content: bytes) -> bytes:
    return blake2b(content, digest_size=16).digest()

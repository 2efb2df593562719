"""Read a text file, or a part of it, with line numbers."""

import codecs
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from kimi_code.errors import ToolError, UsageError
from kimi_code.events import Block, Effect
from kimi_code.repo.images import BYTES_MOST, SUFFIXES, keep, media_type
from kimi_code.repo.indexing.indexes import Indexes
from kimi_code.repo.text import Encoding, binary_kind, decode, detect
from kimi_code.tools.files import EDITABLE_MOST, FileMemory, missing, size_of
from kimi_code.tools.symbols import describe, place, readable, show
from kimi_code.tools.tool import Params, ToolContext, ToolResult

LINES = 2000
_LINE_MOST = 2000  # characters
_TEXT_MOST = 50_000  # characters
_TOGETHER_MOST = 5  # definitions of one name in one file
_HEAD = 65_536  # bytes that tell the encoding of a large file


class ReadParams(Params):
    path: str | None = None
    symbol: str | None = Field(
        default=None, min_length=1, description="Only this definition, such as Class.method; path may narrow it."
    )
    offset: int | None = Field(default=None, ge=0, description="First line, from 1.")
    limit: int | None = Field(default=None, ge=1, description="Lines; default 2000.")


class Read:
    """Read a text file, or one definition: each line as its number, a tab and the text. Images are shown to you."""

    name: ClassVar[str] = "Read"
    effect: ClassVar[Effect] = Effect.READ
    params: ClassVar[type[Params]] = ReadParams

    def __init__(self, files: FileMemory, indexes: Indexes) -> None:
        self._files = files
        self._indexes = indexes

    def title(self, params: ReadParams) -> str:
        if params.symbol:
            return f"{params.symbol} in {params.path}" if params.path else params.symbol
        return f"{params.path or ''}:{params.offset}" if params.offset else params.path or ""

    def targets(self, params: ReadParams) -> Sequence[str]:
        return (params.path or ".",)

    async def preview(self, params: ReadParams, ctx: ToolContext) -> Sequence[Block]:
        return ()

    async def run(self, params: ReadParams, ctx: ToolContext) -> ToolResult:
        if params.symbol:
            return await self._read_symbol(params.symbol, params, ctx)
        if params.path is None:
            raise ToolError("Give a path, or a symbol.")
        path = ctx.workspace.resolve(params.path)
        shown = ctx.workspace.display(path)
        status = await ctx.workspace.status(path)
        if status is None:
            raise ToolError(f"{await missing(path, ctx)} Use Glob to find the file.")
        if status.kind == "folder":
            raise ToolError(f"{shown} is a folder. Use Glob to list its files.")
        if status.kind == "other":
            raise ToolError(f"{shown} is a pipe, socket or device, not a file: it cannot be read.")
        if path.suffix.lower() in SUFFIXES and (image := await self._see(path, shown, status.size, ctx)):
            return image
        window = _Window(max(params.offset or 1, 1), params.limit or LINES)
        if status.size > EDITABLE_MOST:
            encoding = await self._read_large(path, shown, status.size, window, ctx)
        else:
            encoding = await self._read_whole(path, shown, window, ctx)
        window.end()
        return _result(window, shown, encoding, status.size)

    async def _see(self, path: Path, shown: str, size: int, ctx: ToolContext) -> ToolResult | None:
        """An image for a model that sees; None for what is none, as its name notwithstanding."""
        if size > 20 * BYTES_MOST:
            return None
        content = await ctx.workspace.read(path)
        if not media_type(content):
            return None
        if not await ctx.sees():
            kind = f"{binary_kind(content)} ({size_of(size)})"
            raise ToolError(f"{shown} is {kind}, not text, and you cannot see images. Go on without it.")
        try:
            image = keep(content, shown, ctx.spill.parent / "blobs")
        except UsageError as error:
            raise ToolError(error.message) from None
        words = f"{image.width} x {image.height} pixels"
        return ToolResult(f"{shown}: an image of {words}; it follows.", summary=words, images=(image,))

    async def _read_symbol(self, symbol: str, params: ReadParams, ctx: ToolContext) -> ToolResult:
        """One definition; several of the same name only where they stand in one file (overloads, a property's two)."""
        if params.offset is not None:
            raise ToolError("Give either symbol or offset.")
        index, within = await place(params.path, self._indexes, ctx)
        answer = await index.definitions_of(symbol, within)
        found = readable(answer.items, index, ctx)
        if not found:
            similar = readable((await index.symbols(symbol, path=within, limit=8)).items, index, ctx)
            raise ToolError(_not_defined(symbol, params.path, [describe(each, index, ctx) for each in similar]))
        if len({each.path for each in found}) > 1 or len(found) > _TOGETHER_MOST:
            listed = "\n".join(describe(each, index, ctx) for each in found)
            raise ToolError(f"{symbol} is defined {len(found)} times. Give its full name, or its path:\n{listed}")
        path = ctx.workspace.resolve(str(index.root / found[0].path))
        content = await ctx.workspace.read(path)
        decoded = decode(content)
        if decoded is None:
            raise ToolError(_binary(ctx.workspace.display(path), content, len(content)))
        self._files.remember(path, content)
        encoded = decoded.text.encode("utf-8", "replace")
        parts: list[str] = []
        for each in sorted(found, key=lambda definition: definition.line):
            # What is around the name belongs to it: decorators.
            first = min(each.line, encoded.count(b"\n", 0, each.start_byte) + 1)
            window = _Window(first, min(params.limit or LINES, each.end_line - first + 1))
            window.feed(decoded.text)
            window.end()
            parts.append(_result(window, show(path, ctx), decoded.encoding, len(content), until=each.end_line).text)
        return ToolResult("\n".join(parts), summary=", ".join(f"lines {d.line}-{d.end_line}" for d in found))

    async def _read_whole(self, path: Path, shown: str, window: "_Window", ctx: ToolContext) -> Encoding:
        content = await ctx.workspace.read(path)
        decoded = decode(content)
        if decoded is None:
            raise ToolError(_binary(shown, content, len(content)))
        self._files.remember(path, content)
        window.feed(decoded.text)
        return decoded.encoding

    async def _read_large(self, path: Path, shown: str, size: int, window: "_Window", ctx: ToolContext) -> Encoding:
        """One pass over the file in pieces; it is not remembered, for it cannot be edited."""
        pieces = ctx.workspace.chunks(path)
        head = await anext(pieces, b"")
        encoding = detect(head[:_HEAD])
        if encoding is None:
            raise ToolError(_binary(shown, head, size))
        decoder = codecs.getincrementaldecoder(encoding.name)("replace")
        window.feed(decoder.decode(head[len(encoding.bom) :]))
        async for piece in _rest(pieces):
            if window.is_full and encoding.name in ("utf-8", "latin-1"):
                window.count(piece.count(b"\n"), piece.endswith(b"\n"))
            else:
                window.feed(decoder.decode(piece))
        return encoding


async def _rest(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for piece in pieces:
        yield piece


class _Window:
    """Keeps the lines asked for out of a text that comes in pieces, and counts them all."""

    def __init__(self, first: int, limit: int) -> None:
        self.first = first
        self.lines: list[str] = []
        self.total = 0  # lines that have ended
        self._limit = limit
        self._size = 0
        self._kept: list[str] = []  # of the line that has not ended
        self._length = 0
        self._open = False

    @property
    def is_full(self) -> bool:
        return len(self.lines) >= self._limit or self._size > _TEXT_MOST

    @property
    def last(self) -> int:
        return self.first + len(self.lines) - 1

    def feed(self, text: str) -> None:
        *whole, rest = text.split("\n")
        for index, part in enumerate(whole):
            if self.is_full:
                self.count(len(whole) - index, not rest)
                break
            self._add(part)
            self._end_line()
        if rest:
            self._add(rest)

    def count(self, lines: int, ends_line: bool) -> None:
        """Lines that only count, once the window is full."""
        self.total += lines
        self._open = not ends_line

    def end(self) -> None:
        if self._open:
            self._end_line()

    def _add(self, part: str) -> None:
        self._open = True
        if self._length <= _LINE_MOST:
            self._kept.append(part[: _LINE_MOST + 1])
        self._length += len(part)

    def _end_line(self) -> None:
        self.total += 1
        if self.total >= self.first and not self.is_full:
            line = "".join(self._kept).removesuffix("\r")
            if len(line) > _LINE_MOST:
                line = f"{line[:_LINE_MOST]} [cut: {self._length} characters]"
            self.lines.append(line)
            self._size += len(line)
        self._kept, self._length, self._open = [], 0, False


def _not_defined(symbol: str, path: str | None, similar: Sequence[str]) -> str:
    where = f" in {path}" if path else ""
    if not similar:
        return f"No definition of {symbol} is known{where}. Look for it with Grep."
    listed = "\n".join(similar)
    return f"No definition is named {symbol}{where}. Similar:\n{listed}"


def _result(window: _Window, shown: str, encoding: Encoding, size: int, until: int = 0) -> ToolResult:
    """`until` is the last line of the definition that was asked for; 0 for the file."""
    if not window.total:
        return ToolResult(f"{shown} is empty.", summary="empty")
    if window.first > window.total:
        raise ToolError(f"{shown} has only {window.total} lines; offset {window.first} is past its end.")
    parts = [f"{number}\t{line}" for number, line in enumerate(window.lines, window.first)]
    notes: list[str] = []
    if until or window.first > 1 or window.last < window.total:
        of = f"{shown}, " if until else ""
        notes.append(f"{of}lines {window.first}-{window.last} of {window.total} ({size_of(size)})")
    if window.last < (until or window.total):
        notes.append(f"continue with offset={window.last + 1}")
    if encoding.label:
        notes.append(f"encoding {encoding.label}, kept by Edit and Write")
    if notes:
        parts.append(f"[{'; '.join(notes)}]")
    count = len(window.lines)
    return ToolResult("\n".join(parts), summary=f"{count} line{'' if count == 1 else 's'}")


def _binary(shown: str, content: bytes, size: int) -> str:
    return f"{shown} is {binary_kind(content)} ({size_of(size)}), not text. Look at it with a command if you need to."

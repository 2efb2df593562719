"""Show what a file or a folder defines."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from kimi_code.controls import clean
from kimi_code.errors import ToolError
from kimi_code.events import Block, Effect
from kimi_code.llm.tokens import estimate_tokens
from kimi_code.repo.indexing.indexes import Indexes
from kimi_code.tools.files import missing
from kimi_code.tools.symbols import note_partial, place, show
from kimi_code.tools.tool import Params, ToolContext, ToolResult

if TYPE_CHECKING:
    from kimi_code.repo.indexing.answers import FileOutline
    from kimi_code.repo.outline import MapFile, MapSymbol

_FOLDER_TOKENS = 3_000
_LINES_MOST = 400


class OutlineParams(Params):
    path: str = Field(description="File or folder.")
    depth: int | None = Field(default=None, ge=1, description="Levels of nesting; default all.")


class Outline:
    """What a file defines, with line numbers; of a folder, what matters most in it."""

    name: ClassVar[str] = "Outline"
    effect: ClassVar[Effect] = Effect.READ
    params: ClassVar[type[Params]] = OutlineParams

    def __init__(self, indexes: Indexes) -> None:
        self._indexes = indexes

    def title(self, params: OutlineParams) -> str:
        return params.path

    def targets(self, params: OutlineParams) -> Sequence[str]:
        return (params.path,)

    async def preview(self, params: OutlineParams, ctx: ToolContext) -> Sequence[Block]:
        return ()

    async def run(self, params: OutlineParams, ctx: ToolContext) -> ToolResult:
        path = ctx.workspace.resolve(params.path)
        status = await ctx.workspace.status(path)
        if status is None:
            raise ToolError(f"{await missing(path, ctx)} Use Glob to find it.")
        if status.kind == "other":
            raise ToolError(f"{show(path, ctx)} is a pipe, socket or device, not a file.")
        if status.kind == "folder":
            return await self._folder(path, params.depth, ctx)
        return await self._file(path, params.depth, ctx)

    async def _folder(self, path: Path, depth: int | None, ctx: ToolContext) -> ToolResult:
        index, within = await place(str(path), self._indexes, ctx)
        found = await index.map(_FOLDER_TOKENS, estimate_tokens, folder=within)
        shown = [file for file in found.files if ctx.may_read(index.root / file.path)]
        parts = [_render(replace(file, path=show(index.root / file.path, ctx)), depth) for file in shown]
        notes = [note_partial(index)] if found.partial else []
        if not parts:
            text = f"Nothing in {show(path, ctx)} has definitions that are known. Use Glob to list its files."
            return ToolResult("\n".join([text, *notes]), summary="nothing")
        if found.tokens > _FOLDER_TOKENS * 0.9:
            notes.append("[the most important; outline a folder in it or a file for the rest]")
        return ToolResult("\n".join(parts + notes), summary=f"{len(parts)} file{'' if len(parts) == 1 else 's'}")

    async def _file(self, path: Path, depth: int | None, ctx: ToolContext) -> ToolResult:
        shown = show(path, ctx)
        found = await self._indexes.at(path).outline(path)
        if found is None:
            raise ToolError(f"{shown} cannot be outlined now. Read it, or search it with Grep.")
        if not found.definitions:
            why = f" ({found.problem})" if found.problem not in ("", "unparsed") else ""
            return ToolResult(f"{shown} has no definitions{why}. Read it.", summary="nothing")
        lines, left_out = _lines(found, depth)
        count = len(found.definitions)
        note = [f"[{left_out} nested or later definitions are left out]"] if left_out else []
        return ToolResult("\n".join([shown, *lines, *note]), summary=f"{count} definition{'' if count == 1 else 's'}")


def _lines(found: "FileOutline", depth: int | None) -> tuple[list[str], int]:
    """The definitions down to `depth`, or as deep as there is room; and how many are left out."""
    from kimi_code.repo.outline import parents_of, skeleton

    symbols = skeleton(found.definitions, parents_of(found.definitions), range(len(found.definitions)))
    limit = depth or max(symbol.depth for symbol in symbols) + 1
    while not depth and limit > 1 and sum(symbol.depth < limit for symbol in symbols) > _LINES_MOST:
        limit -= 1
    lines = [_line(symbol) for symbol in symbols if symbol.depth < limit][:_LINES_MOST]
    return lines, len(symbols) - len(lines)


def _render(file: "MapFile", depth: int | None) -> str:
    return "\n".join((file.path, *(_line(symbol) for symbol in file.symbols if not depth or symbol.depth < depth)))


def _line(symbol: "MapSymbol") -> str:
    return f"{symbol.line:6} {'  ' * symbol.depth}{clean(symbol.signature)}"

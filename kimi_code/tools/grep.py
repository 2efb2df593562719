"""Search file contents."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field, WithJsonSchema, field_validator

from kimi_code.controls import clean
from kimi_code.errors import ToolError
from kimi_code.events import Block, Effect
from kimi_code.repo.indexing.indexes import Indexes
from kimi_code.repo.search import LINE_MOST, Hit, Query, Search
from kimi_code.tools.tool import Params, ToolContext, ToolResult

if TYPE_CHECKING:
    from kimi_code.repo.indexing.answers import FileOutline

_LIMIT = 100
_TEXT_MOST = 30_000  # characters
_OUTLINED_MOST = 40  # files whose definitions are shown around matches


class GrepParams(Params):
    pattern: str = Field(description="Regular expression (Rust syntax); \\n in it makes it multi-line.")
    path: str | None = Field(default=None, description="Folder or file.")
    glob: str | None = Field(default=None, description="Such as *.py or src/**/*.{ts,tsx}")
    type: str | None = Field(default=None, description="py, js, rust ...")
    mode: Literal["content", "files", "count"] | None = Field(
        default=None, description="Default content: lines with numbers."
    )
    # A string to the model, for a schema with two types is not understood everywhere.
    context: Annotated[int | Literal["definition"] | None, WithJsonSchema({"type": "string"})] = Field(
        default=None, description='Lines around each match, such as 2; or "definition": what each match is in.'
    )

    @field_validator("context")
    @classmethod
    def _counts_lines(cls, value: int | str | None) -> int | str | None:
        if isinstance(value, int) and value < 0:
            raise ValueError("it cannot be negative")
        return value

    ignore_case: bool | None = None
    offset: int | None = Field(default=None, ge=0, description="Matches to skip.")
    limit: int | None = Field(default=None, ge=1, description="Default 100.")


class Grep:
    """Search in files with ripgrep; ignored files are left out."""

    name: ClassVar[str] = "Grep"
    effect: ClassVar[Effect] = Effect.READ
    params: ClassVar[type[Params]] = GrepParams

    def __init__(self, search: Search, indexes: Indexes) -> None:
        self._search = search
        self._indexes = indexes

    def title(self, params: GrepParams) -> str:
        where = params.path or params.glob or params.type
        return f"{params.pattern} in {where}" if where else params.pattern

    def targets(self, params: GrepParams) -> Sequence[str]:
        return (params.path or ".",)

    async def preview(self, params: GrepParams, ctx: ToolContext) -> Sequence[Block]:
        return ()

    async def run(self, params: GrepParams, ctx: ToolContext) -> ToolResult:
        target = await searched(params.path, ctx)
        query = Query(
            params.pattern,
            params.mode or "content",
            params.glob or "",
            params.type or "",
            min(params.context, 50) if isinstance(params.context, int) else 0,
            bool(params.ignore_case),
        )
        found = await self._search.grep(target, query)
        folder = target if await _is_folder(target, ctx) else target.parent
        hits, withheld = _readable(found.hits, folder, target, ctx)
        note = [f"[{withheld} more files match, but may not be read without asking]"] if withheld else []
        total = sum(hit.is_match for hit in hits)
        if not total:
            return ToolResult("\n".join(["No matches.", *note]), summary="no matches")
        offset = params.offset or 0
        if offset >= total:
            raise ToolError(f"There are only {total} matches; offset {offset} is past their end.")
        page = _page(hits, offset, params.limit or _LIMIT, query.context)
        around = await self._definitions(page, folder) if params.context == "definition" else {}
        lines, shown = _render(page, query, lambda path: quoted(ctx.workspace.display(folder / path)), around)
        note = _rest(offset, shown, total, found.complete) + note
        return ToolResult("\n".join(lines + note), summary=_summary(total, query.mode))

    async def _definitions(self, hits: Sequence[Hit], folder: Path) -> dict[tuple[str, int], str]:
        """The innermost definition around each line, for as many files as that is quick for."""
        from kimi_code.repo.indexing.answers import innermost

        try:
            index = self._indexes.at(folder)
        except ToolError:
            return {}
        asked: dict[str, asyncio.Task[FileOutline | None]] = {}
        try:
            async with asyncio.TaskGroup() as group:
                for path in list(dict.fromkeys(hit.path for hit in hits))[:_OUTLINED_MOST]:
                    asked[path] = group.create_task(index.outline(folder / path))
        except* ToolError:  # the tree cannot be indexed now; what was found stands without
            asked = {}
        outlines = {path: outline.definitions for path, task in asked.items() if (outline := task.result())}
        found = ((hit, innermost(outlines.get(hit.path, ()), hit.number)) for hit in hits)
        return {(hit.path, hit.number): around.qualified for hit, around in found if around}


def _readable(hits: Sequence[Hit], folder: Path, target: Path, ctx: ToolContext) -> tuple[list[Hit], int]:
    """Hits in files that may be read (the file asked for was permitted with the call); how many files are not."""
    verdicts = {path: folder / path == target or ctx.may_read(folder / path) for path in {hit.path for hit in hits}}
    return [hit for hit in hits if verdicts[hit.path]], sum(not verdict for verdict in verdicts.values())


async def searched(path: str | None, ctx: ToolContext) -> Path:
    """The folder or file to search; raises ToolError where nothing can be searched."""
    target = ctx.workspace.resolve(path or ".")
    status = await ctx.workspace.status(target)
    if status is None:
        raise ToolError(f"{ctx.workspace.display(target)} does not exist.")
    if status.kind == "other":
        raise ToolError(f"{ctx.workspace.display(target)} is a pipe, socket or device: it cannot be searched.")
    return target


async def _is_folder(target: Path, ctx: ToolContext) -> bool:
    status = await ctx.workspace.status(target)
    return status is not None and status.kind == "folder"


def quoted(path: str) -> str:
    """A path for one line of text: as it is, unless it has control characters in it."""
    return path if path.isprintable() else ascii(path) if not path.isascii() else repr(path)


def _page(hits: Sequence[Hit], offset: int, limit: int, context: int) -> list[Hit]:
    """The matches from `offset` on, and the context lines around just these."""
    matches = [hit for hit in hits if hit.is_match][offset : offset + limit]
    chosen = {(hit.path, hit.number) for hit in matches}
    near = {(hit.path, hit.number + by) for hit in matches for by in range(-context, context + 1)}
    return [hit for hit in hits if (hit.path, hit.number) in (chosen if hit.is_match else near)]


def _render(
    hits: Sequence[Hit], query: Query, name: Callable[[str], str], around: Mapping[tuple[str, int], str]
) -> tuple[list[str], int]:
    """Lines under the path of their file, up to the size limit; and how many matches these are."""
    lines: list[str] = []
    size = shown = 0
    before = Hit("")
    for hit in hits:
        if size > _TEXT_MOST:
            break
        if query.mode != "content":
            lines.append(name(hit.path) if query.mode == "files" else f"{name(hit.path)}: {hit.number}")
        else:
            if hit.path != before.path:
                lines.append(name(hit.path))
            elif query.context and hit.number != before.number + 1:
                lines.append("--")
            definition = around.get((hit.path, hit.number), "")
            enclosing = f"  [in {definition}]" if definition else ""
            lines.append(f"{hit.number}{':' if hit.is_match else '-'} {_short(hit.text)}{enclosing}")
        before = hit
        shown += hit.is_match
        size += len(lines[-1])
    return lines, shown


def _rest(offset: int, shown: int, total: int, complete: bool) -> list[str]:
    """What is said below the matches when they are not all."""
    last = offset + shown
    if complete and offset == 0 and last == total:
        return []
    of = str(total) if complete else f"more than {total} (narrow the search)"
    more = f"; continue with offset={last}" if last < total else ""
    return [f"[matches {offset + 1}-{last} of {of}{more}]"]


def _short(line: str) -> str:
    line = clean(line)
    return line if len(line) <= LINE_MOST else f"{line[:LINE_MOST]} [cut]"


def _summary(total: int, mode: str) -> str:
    noun = "match" if mode == "content" else "file"
    return f"{total} {noun}{'' if total == 1 else 'es' if noun == 'match' else 's'}"

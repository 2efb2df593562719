"""Find definitions by name; and how definitions are shown to the model."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from kimi_code.controls import clean
from kimi_code.counting import counted
from kimi_code.errors import ToolError
from kimi_code.events import Block, Effect
from kimi_code.repo.indexing.indexes import Indexes
from kimi_code.tools.grep import quoted
from kimi_code.tools.tool import Params, ToolContext, ToolResult

if TYPE_CHECKING:
    from kimi_code.repo.index import Index
    from kimi_code.repo.indexing.answers import Definition

_LIMIT = 30
_PATIENCE = 3.0  # seconds


class SymbolsParams(Params):
    query: str = Field(min_length=1, description="A name or part of one, such as QuerySet, Session.close or gqs.")
    kind: str | None = Field(default=None, description="class, function, method, interface, struct, enum, type ...")
    path: str | None = Field(default=None, description="Folder or file.")


class Symbols:
    """Find where things are defined: fuzzy, best first. Quicker than Grep for a name."""

    name: ClassVar[str] = "Symbols"
    effect: ClassVar[Effect] = Effect.READ
    params: ClassVar[type[Params]] = SymbolsParams

    def __init__(self, indexes: Indexes) -> None:
        self._indexes = indexes

    def title(self, params: SymbolsParams) -> str:
        return f"{params.query} in {params.path}" if params.path else params.query

    def targets(self, params: SymbolsParams) -> Sequence[str]:
        return (params.path or ".",)

    async def preview(self, params: SymbolsParams, ctx: ToolContext) -> Sequence[Block]:
        return ()

    async def run(self, params: SymbolsParams, ctx: ToolContext) -> ToolResult:
        index, within = await place(params.path, self._indexes, ctx)
        answer = await index.symbols(params.query, check_kind(params.kind), within, limit=_LIMIT * 2, loose=False)
        found = readable(answer.items, index, ctx)
        notes = [note_partial(index)] if answer.partial else []
        if not found:
            return ToolResult("\n".join([f"No definition fits {params.query!r}.", *notes]), summary="nothing")
        lines = [describe(each, index, ctx) for each in found[:_LIMIT]]
        if len(found) > _LIMIT:
            lines.append(f"[the best {_LIMIT}; there are more: narrow the query, or give kind or path]")
        return ToolResult("\n".join(lines + notes), summary=f"{len(found[:_LIMIT])} found")


def check_kind(kind: str | None) -> str:
    """A kind of symbol, "" for any. Raises ToolError when there is none of that name."""
    from typing import get_args

    from kimi_code.repo.symbols import Kind

    known: tuple[str, ...] = get_args(Kind)
    if kind and kind not in known:
        raise ToolError(f"There is no kind {kind!r}. The kinds are: {', '.join(known)}.")
    return kind or ""


async def place(path: str | None, indexes: Indexes, ctx: ToolContext) -> "tuple[Index, str]":
    """The index for a path that a call gave, and the path in it, "" for all. Raises ToolError where nothing is.

    It gets a moment to become complete: a model that is told too little asks again, which takes longer.
    """
    if path is None:
        index, inside = indexes.at(), "."
    else:
        resolved = ctx.workspace.resolve(path)
        if await ctx.workspace.status(resolved) is None:
            raise ToolError(f"{ctx.workspace.display(resolved)} does not exist.")
        index = indexes.at(resolved)
        inside = resolved.relative_to(index.root).as_posix()
    await index.wait(_PATIENCE)
    return index, "" if inside == "." else inside


def readable(found: "Iterable[Definition]", index: "Index", ctx: ToolContext) -> "list[Definition]":
    """Those in files that may be shown."""
    verdicts: dict[str, bool] = {}
    kept: list[Definition] = []
    for each in found:
        if each.path not in verdicts:
            verdicts[each.path] = ctx.may_read(index.root / each.path)
        if verdicts[each.path]:
            kept.append(each)
    return kept


def describe(definition: "Definition", index: "Index", ctx: ToolContext) -> str:
    """One line: place, kind, full name, signature."""
    where = f"{show(index.root / definition.path, ctx)}:{definition.line}"
    signature = clean(definition.signature)
    return f"{where} {definition.kind} {definition.qualified}" + (f": {signature}" if signature else "")


def show(path: Path, ctx: ToolContext) -> str:
    """A path in a line of text."""
    return quoted(ctx.workspace.display(path))


def note_partial(index: "Index") -> str:
    """That an answer may lack something, and why."""
    status = index.status
    if status.notes and not status.partial:
        return f"[incomplete: {'; '.join(status.notes)}]"
    left = f"still to be read: {counted(status.pending, 'file')}" if status.pending else "files are still being listed"
    return f"[incomplete: {left}; ask again, or use Grep]"

"""Find where a symbol is used."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from kimi_code.controls import clean
from kimi_code.errors import ToolError
from kimi_code.events import Block, Effect
from kimi_code.repo.indexing.indexes import Indexes
from kimi_code.tools.symbols import describe, note_partial, place, readable, show
from kimi_code.tools.tool import Params, ToolContext, ToolResult

if TYPE_CHECKING:
    from kimi_code.repo.index import Index
    from kimi_code.repo.indexing.answers import FileUses

_USES_MOST = 150
_DEFINITIONS_MOST = 5
_LINE_MOST = 160  # characters


class ReferencesParams(Params):
    symbol: str = Field(min_length=1, description="A name, such as open_store or Store.put.")
    path: str | None = Field(default=None, description="Only uses in this folder or file.")


class References:
    """Find the uses of a definition, by file, each with its line and the definition around it."""

    name: ClassVar[str] = "References"
    effect: ClassVar[Effect] = Effect.READ
    params: ClassVar[type[Params]] = ReferencesParams

    def __init__(self, indexes: Indexes) -> None:
        self._indexes = indexes

    def title(self, params: ReferencesParams) -> str:
        return f"{params.symbol} in {params.path}" if params.path else params.symbol

    def targets(self, params: ReferencesParams) -> Sequence[str]:
        return (params.path or ".",)

    async def preview(self, params: ReferencesParams, ctx: ToolContext) -> Sequence[Block]:
        return ()

    async def run(self, params: ReferencesParams, ctx: ToolContext) -> ToolResult:
        index, within = await place(params.path, self._indexes, ctx)
        answer = await index.references_to(params.symbol)
        files = [
            file
            for file in answer.items
            if (not within or file.path == within or file.path.startswith(f"{within}/"))
            and ctx.may_read(index.root / file.path)
        ]
        notes = [note_partial(index)] if answer.partial else []
        head = await _definitions(params.symbol, index, ctx)
        total = sum(len(file.uses) for file in files)
        if not total:
            where = f" in {params.path}" if params.path else ""
            return ToolResult("\n".join([*head, f"No use of {params.symbol}{where} is known.", *notes]), "no uses")
        lines = await _uses(files, params.symbol, index, ctx)
        if total > _USES_MOST:
            notes.append(f"[{_USES_MOST} of {total} uses; give a path for the rest]")
        summary = f"{total} use{'' if total == 1 else 's'} in {len(files)} file{'' if len(files) == 1 else 's'}"
        return ToolResult("\n".join([*head, *lines, *notes]), summary)


async def _definitions(symbol: str, index: "Index", ctx: ToolContext) -> list[str]:
    """What the name is defined as, and whether that leaves open which of them a use means."""
    asked = readable((await index.definitions_of(symbol)).items, index, ctx)
    name = symbol.rpartition(".")[2]
    of_name = asked if name == symbol else readable((await index.definitions_of(name)).items, index, ctx)
    if not asked:
        return [f"No definition of {symbol} is known here; uses of the name {name}:"]
    lines = [f"defined {describe(each, index, ctx)}" for each in asked[:_DEFINITIONS_MOST]]
    if len(asked) > _DEFINITIONS_MOST:
        lines.append(f"and {len(asked) - _DEFINITIONS_MOST} more")
    if len(of_name) > 1:
        lines.append(f"[{len(of_name)} definitions have the name {name}: a use below may be of any of them]")
    return lines


async def _uses(files: "Sequence[FileUses]", symbol: str, index: "Index", ctx: ToolContext) -> list[str]:
    name, lines, left, by_name = symbol.rpartition(".")[2], list[str](), _USES_MOST, False
    for file in files:
        if left <= 0:
            break
        if not file.resolved and not by_name:
            by_name = True
            lines.append("By name only, in files that neither define nor import it; perhaps something else:")
        lines.append(show(index.root / file.path, ctx))
        texts = await _texts(file, index, ctx)
        for use in file.uses[:left]:
            text = texts[use.line - 1] if use.line <= len(texts) and name in texts[use.line - 1] else ""
            around = f"  [in {use.enclosing}]" if use.enclosing else ""
            lines.append(f"{use.line}: {clean(text.strip())[:_LINE_MOST]}{around}")
        left -= len(file.uses)
    return lines


async def _texts(file: "FileUses", index: "Index", ctx: ToolContext) -> list[str]:
    """The file's lines; none when it cannot be read any more."""
    from kimi_code.repo.text import decode

    try:
        # Resolved again: what was indexed may be a link by now.
        decoded = decode(await ctx.workspace.read(ctx.workspace.resolve(str(index.root / file.path))))
    except ToolError:
        return []
    return decoded.text.split("\n") if decoded else []

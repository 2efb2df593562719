"""Rename a definition and all its uses."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from kimi_code.errors import ToolError
from kimi_code.events import Block, Diff, Effect
from kimi_code.repo.indexing.indexes import Indexes
from kimi_code.repo.large_diff import diff_of
from kimi_code.repo.text import decode
from kimi_code.tools.edit import where
from kimi_code.tools.files import Current, FileMemory, warn, write_all
from kimi_code.tools.settle import Proposed, settle, tell
from kimi_code.tools.symbols import place
from kimi_code.tools.tool import Params, ToolContext, ToolResult
from kimi_code.values import frozen

if TYPE_CHECKING:
    from kimi_code.repo.index import Index
    from kimi_code.repo.indexing.rename_case import Replacement


class RenameParams(Params):
    symbol: str = Field(min_length=1, description="A name, such as open_store or Store.put.")
    new_name: str = Field(min_length=1, description="Without what it stands in.")
    path: str | None = Field(default=None, description="File or folder of the definition, if several have the name.")


@frozen
class _Change:
    """A file's text before and after."""

    current: Current
    text: str
    seen: bool

    async def diff(self) -> Diff:
        return await diff_of(self.current.shown, self.current.text, self.text)


class Rename:
    """Rename a definition with all its uses in all files (Python, JavaScript, TypeScript, Go). Refuses, with the
    reason, where uses cannot all be known; then use References and Edit."""

    name: ClassVar[str] = "Rename"
    effect: ClassVar[Effect] = Effect.EDIT
    params: ClassVar[type[Params]] = RenameParams

    def __init__(self, files: FileMemory, indexes: Indexes) -> None:
        self._files = files
        self._indexes = indexes

    def title(self, params: RenameParams) -> str:
        return f"{params.symbol} to {params.new_name}"

    def targets(self, params: RenameParams) -> Sequence[str]:
        return (params.path or ".",)

    async def find_targets(self, params: RenameParams, ctx: ToolContext) -> Sequence[str]:
        changes, _ = await self._changes(params, ctx)
        return [str(change.current.path) for change in changes]

    async def preview(self, params: RenameParams, ctx: ToolContext) -> Sequence[Block]:
        changes, _ = await self._changes(params, ctx)
        return [await change.diff() for change in changes]

    async def run(self, params: RenameParams, ctx: ToolContext) -> ToolResult:
        changes, notes = await self._changes(params, ctx)
        if ctx.targets and not {str(change.current.path) for change in changes} <= set(ctx.targets):
            raise ToolError("Files have changed meanwhile, and others use the name now. Nothing was done; call again.")
        settled = await settle([Proposed(change.current, change.text) for change in changes], ctx.approved)
        altered = tell(settled, ctx.approved)
        both = [(change, part) for change, part in zip(changes, settled, strict=True) if not part.unchanged]
        if not both:
            raise ToolError(f"Nothing was done.{altered}")
        contents = await write_all([(part.current, part.text) for _, part in both], ctx)
        for (change, _), content in zip(both, contents, strict=True):
            # What the model had not seen it still has not; what it had, it knows with the change.
            if change.seen and content is not None:
                self._files.remember(change.current.path, content)
        diffs = [await diff_of(part.current.shown, part.current.text, part.text) for _, part in both]
        lines = [
            f"{part.current.shown}: {where(diff)}.{warn(part.current, part.text or '')}"
            for (_, part), diff in zip(both, diffs, strict=True)
        ]
        count = sum(diff.added for diff in diffs)
        files = f"{len(diffs)} file{'' if len(diffs) == 1 else 's'}"
        summary = f"{count} line{'' if count == 1 else 's'} in {files}"
        return ToolResult("\n".join([f"Renamed in {files}:", *lines, *notes]) + altered, summary, tuple(diffs))

    async def _changes(self, params: RenameParams, ctx: ToolContext) -> tuple[list[_Change], tuple[str, ...]]:
        """The files before and after, by the definition and uses as they are now."""
        from kimi_code.repo.indexing.rename import plan_rename

        index, within = await place(params.path, self._indexes, ctx)
        opened: dict[str, tuple[Current, bool]] = {}

        async def read(path: str) -> bytes | None:
            if path not in opened:
                found = await self._open(index, path, ctx)
                if found is None:
                    return None
                opened[path] = found
            return (opened[path][0].text or "").encode("utf-8", "surrogatepass")

        plan = await plan_rename(index, params.symbol, params.new_name, within, read)
        changes = [
            _Change(opened[path][0], _replaced(opened[path][0].text or "", edits), opened[path][1])
            for path, edits in plan.edits.items()
        ]
        return changes, plan.notes

    async def _open(self, index: "Index", path: str, ctx: ToolContext) -> tuple[Current, bool] | None:
        """A text file, and whether the model has seen it as it is; None for what is none. Raises ToolError."""
        real = ctx.workspace.resolve(str(index.root / path))
        if not ctx.may_read(real):
            raise ToolError(f"{ctx.workspace.display(real)} holds the name, but may not be read without asking.")
        if not real.is_relative_to(index.root) or (status := await ctx.workspace.status(real)) is None:
            return None
        if status.kind != "file":
            return None
        content = await ctx.workspace.read(real)
        decoded = decode(content)
        if decoded is None:
            return None
        shown = ctx.workspace.display(Path(real))
        return Current(real, shown, decoded.text, decoded.encoding), self._files.knows(real, content)


def _replaced(text: str, edits: "Sequence[Replacement]") -> str:
    encoded = text.encode("utf-8", "surrogatepass")
    for start, end, new in sorted(edits, reverse=True):
        encoded = encoded[:start] + new.encode() + encoded[end:]
    return encoded.decode("utf-8", "surrogatepass")

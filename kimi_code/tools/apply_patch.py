"""Apply a patch to several files at once, for models that were trained to write patches."""

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from kimi_code.errors import PatchError, ToolError
from kimi_code.events import Block, Diff, Effect
from kimi_code.repo import patch
from kimi_code.repo.large_diff import diff_of
from kimi_code.repo.patchset import FilePatch, parse
from kimi_code.tools.edit import levels, warn, where
from kimi_code.tools.files import Current, FileMemory, missing, open_current, write_all
from kimi_code.tools.tool import Params, ToolContext, ToolResult
from kimi_code.values import frozen


class ApplyPatchParams(Params):
    input: str = Field(description="From *** Begin Patch to *** End Patch, or a unified diff.")


@frozen
class _Change:
    """What happens to one file: None for `text` removes it. `said` tells the model."""

    current: Current
    text: str | None
    said: str

    async def diff(self) -> Diff:
        return await diff_of(self.current.shown, self.current.text, self.text)


class ApplyPatch:
    """Patch files that you have Read: all hunks, or none. Each hunk's old lines must stand at one place in the file."""

    name: ClassVar[str] = "ApplyPatch"
    effect: ClassVar[Effect] = Effect.EDIT
    params: ClassVar[type[Params]] = ApplyPatchParams

    def __init__(self, files: FileMemory) -> None:
        self._files = files

    def title(self, params: ApplyPatchParams) -> str:
        return ", ".join(self.targets(params)) or "a patch that cannot be read"

    def targets(self, params: ApplyPatchParams) -> Sequence[str]:
        try:
            return [path for part in parse(params.input) for path in part.paths]
        except PatchError:
            return ()  # `run` refuses it by the same reading, before it touches anything

    async def preview(self, params: ApplyPatchParams, ctx: ToolContext) -> Sequence[Block]:
        return [await change.diff() for change in await self._changes(params, ctx)]

    async def run(self, params: ApplyPatchParams, ctx: ToolContext) -> ToolResult:
        changes = await self._changes(params, ctx)
        await self._write(changes, ctx)
        diffs = [await change.diff() for change in changes]
        summary = f"+{sum(diff.added for diff in diffs)} −{sum(diff.removed for diff in diffs)}"
        return ToolResult("\n".join(change.said for change in changes if change.said), summary, tuple(diffs))

    async def _changes(self, params: ApplyPatchParams, ctx: ToolContext) -> list[_Change]:
        """Everything that the patch does, worked out before anything is written."""
        changes: list[_Change] = []
        for part in parse(params.input):
            changes += await self._planned(part, ctx)
        paths = [change.current.path for change in changes]
        if twice := next((change.current.shown for change in changes if paths.count(change.current.path) > 1), None):
            raise ToolError(f"Two sections of the patch are about {twice}. Nothing was done.")
        return changes

    async def _planned(self, part: FilePatch, ctx: ToolContext) -> list[_Change]:
        current = await open_current(part.path, ctx, self._files)
        if part.action == "add":
            if current.text:
                raise ToolError(f"{current.shown} exists already. Use '*** Update File: '. Nothing was done.")
            return [_Change(current, part.text, f"Created {current.shown}.{warn(current, part.text)}")]
        if current.text is None:
            raise ToolError(f"{await missing(current.path, ctx)} Nothing was done.")
        if part.action == "delete":
            return [_Change(current, None, f"Deleted {current.shown}.")]
        patched = _patched(current, part)
        if not part.move_to:
            diff = await diff_of(current.shown, current.text, patched.text)
            said = f"Edited {current.shown}: {where(diff)}.{levels(patched, 'hunk')}{warn(current, patched.text)}"
            return [_Change(current, patched.text, said)]
        goal = await open_current(part.move_to, ctx, self._files)
        if goal.text is not None:
            raise ToolError(f"{goal.shown} exists already. Nothing was done.")
        goal = Current(goal.path, goal.shown, None, current.encoding)
        said = f"Moved {current.shown} to {goal.shown}.{levels(patched, 'hunk')}{warn(current, patched.text)}"
        return [_Change(goal, patched.text, said), _Change(current, None, "")]

    async def _write(self, changes: Sequence[_Change], ctx: ToolContext) -> None:
        contents = await write_all([(change.current, change.text) for change in changes], ctx)
        for change, content in zip(changes, contents, strict=True):
            if content is not None:
                self._files.remember(change.current.path, content)


def _patched(current: Current, part: FilePatch) -> patch.Patched:
    text = current.text or ""
    if not part.edits:
        return patch.Patched(text, 0)
    try:
        return patch.apply(text, part.edits, noun="Hunk")
    except PatchError as error:
        raise PatchError(f"{current.shown}: {error.message} Nothing was done.") from None

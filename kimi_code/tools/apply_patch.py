"""Apply a patch to several files at once, for models that were trained to write patches."""

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from kimi_code.errors import PatchError, ToolError
from kimi_code.events import Block, Diff, Effect
from kimi_code.repo import patch
from kimi_code.repo.large_diff import diff_of
from kimi_code.repo.patchset import FilePatch, parse
from kimi_code.tools.edit import levels, where
from kimi_code.tools.files import Current, FileMemory, missing, open_current, warn, write_all
from kimi_code.tools.settle import Proposed, Settled, settle, tell
from kimi_code.tools.tool import Params, ToolContext, ToolResult
from kimi_code.values import frozen


class ApplyPatchParams(Params):
    input: str = Field(description="From *** Begin Patch to *** End Patch, or a unified diff.")


@frozen
class _Change:
    """What happens to one file. `done` tells the model (nothing of a move's source), `matched` how it was found."""

    proposed: Proposed
    done: str
    matched: str = ""
    edited: bool = False

    @property
    def current(self) -> Current:
        return self.proposed.current


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
        changes = await self._changes(params, ctx)
        return [await _diff(change.current, change.proposed.text) for change in changes]

    async def run(self, params: ApplyPatchParams, ctx: ToolContext) -> ToolResult:
        changes = await self._changes(params, ctx)
        settled = await settle([change.proposed for change in changes], ctx.approved)
        both = [(change, part) for change, part in zip(changes, settled, strict=True) if not part.unchanged]
        altered = tell(settled, ctx.approved)
        if not both and altered:
            raise ToolError(f"Nothing was done.{altered}")
        await self._write([part for _, part in both], ctx)
        diffs = [await _diff(part.current, part.text) for _, part in both]
        summary = f"+{sum(diff.added for diff in diffs)} −{sum(diff.removed for diff in diffs)}"
        said = [_said(change, part, diff) for (change, part), diff in zip(both, diffs, strict=True) if change.done]
        return ToolResult("\n".join(said) + altered, summary, tuple(diffs))

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
            return [_Change(Proposed(current, part.text), f"Created {current.shown}.")]
        if current.text is None:
            raise ToolError(f"{await missing(current.path, ctx)} Nothing was done.")
        if part.action == "delete":
            return [_Change(Proposed(current, None), f"Deleted {current.shown}.")]
        patched = _patched(current, part)
        if not part.move_to:
            return [_Change(Proposed(current, patched.text), f"Edited {current.shown}", levels(patched, "hunk"), True)]
        goal = await open_current(part.move_to, ctx, self._files)
        if goal.text is not None:
            raise ToolError(f"{goal.shown} exists already. Nothing was done.")
        goal = Current(goal.path, goal.shown, None, current.encoding)
        moved = f"Moved {current.shown} to {goal.shown}."
        come = _Change(Proposed(goal, patched.text), moved, levels(patched, "hunk"))
        return [come, _Change(Proposed(current, None, with_path=goal.shown), "")]

    async def _write(self, changes: Sequence[Settled], ctx: ToolContext) -> None:
        contents = await write_all([(change.current, change.text) for change in changes], ctx)
        for change, content in zip(changes, contents, strict=True):
            if content is not None:
                self._files.remember(change.current.path, content)


async def _diff(current: Current, text: str | None) -> Diff:
    return await diff_of(current.shown, current.text, text)


def _said(change: _Change, settled: Settled, diff: Diff) -> str:
    where_to = f": {where(diff)}." if change.edited else ""
    warning = warn(settled.current, settled.text) if settled.text is not None else ""
    return f"{change.done}{where_to}{change.matched}{warning}"


def _patched(current: Current, part: FilePatch) -> patch.Patched:
    text = current.text or ""
    if not part.edits:
        return patch.Patched(text, 0)
    try:
        return patch.apply(text, part.edits, noun="Hunk")
    except PatchError as error:
        raise PatchError(f"{current.shown}: {error.message} Nothing was done.") from None

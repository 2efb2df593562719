"""Replace parts of a file."""

from collections.abc import Iterator, Sequence
from typing import ClassVar

from pydantic import Field

from kimi_code.errors import PatchError, ToolError
from kimi_code.events import Block, Diff, Effect
from kimi_code.repo import patch
from kimi_code.repo.large_diff import diff_of
from kimi_code.tools.files import Current, FileMemory, missing, open_current, warn
from kimi_code.tools.settle import Proposed, settle, tell
from kimi_code.tools.tool import Params, ToolContext, ToolResult
from kimi_code.tools.write import put, summarise


class Replacement(Params):
    old_string: str
    new_string: str
    replace_all: bool | None = None


class EditParams(Params):
    path: str
    old_string: str | None = Field(
        default=None, description="Text as it is in the file, without line numbers; unique unless replace_all."
    )
    new_string: str | None = None
    replace_all: bool | None = None
    edits: list[Replacement] | None = Field(
        default=None, description="Instead of the three above: several, in order, all or none."
    )


class Edit:
    """Replace text in a file that you have Read."""

    name: ClassVar[str] = "Edit"
    effect: ClassVar[Effect] = Effect.EDIT
    params: ClassVar[type[Params]] = EditParams

    def __init__(self, files: FileMemory) -> None:
        self._files = files

    def title(self, params: EditParams) -> str:
        return params.path

    def targets(self, params: EditParams) -> Sequence[str]:
        return (params.path,)

    async def preview(self, params: EditParams, ctx: ToolContext) -> Sequence[Block]:
        current = await open_current(params.path, ctx, self._files)
        patched = await _patched(current, params, ctx)
        if patched.text == current.text:
            raise _idle(current)
        return (await diff_of(current.shown, current.text, patched.text),)

    async def run(self, params: EditParams, ctx: ToolContext) -> ToolResult:
        current = await open_current(params.path, ctx, self._files)
        patched = await _patched(current, params, ctx)
        settled = await settle((Proposed(current, patched.text),), ctx.approved)
        text = settled[0].text or ""
        diff = await put(current, text, ctx, self._files)
        if diff is None:
            raise _idle(current, tell(settled, ctx.approved))
        altered = tell(settled, ctx.approved)
        if current.text is None:
            return ToolResult(f"Created {current.shown}.{warn(current, text)}{altered}", summarise(diff), (diff,))
        places = f", {patched.replaced} places" if patched.replaced > 1 and not altered else ""
        said = f"Edited {current.shown}{places}: {where(diff)}.{levels(patched)}"
        return ToolResult(said + warn(current, text) + altered, summarise(diff), (diff,))


async def _patched(current: Current, params: EditParams, ctx: ToolContext) -> patch.Patched:
    edits = _edits(params)
    if not current.text and len(edits) == 1 and not edits[0].old:
        return patch.Patched(edits[0].new, 1)
    if current.text is None:
        raise ToolError(f"{await missing(current.path, ctx)} Use Write to create it.")
    if not current.text:
        raise ToolError(f"{current.shown} is empty. Use Write to fill it.")
    try:
        return patch.apply(current.text, edits)
    except PatchError as error:
        raise PatchError(f"{current.shown}: {error.message}") from None


def _idle(current: Current, altered: str = "") -> ToolError:
    return ToolError(f"The edits leave {current.shown} as it is.{altered}")


def _edits(params: EditParams) -> list[patch.Edit]:
    one = params.old_string is not None or params.new_string is not None
    if one == bool(params.edits):
        raise ToolError("Give either old_string and new_string, or edits.")
    if params.edits:
        return [patch.Edit(e.old_string, e.new_string, bool(e.replace_all)) for e in params.edits]
    if params.old_string is None or params.new_string is None:
        raise ToolError("Give both old_string and new_string (an empty new_string deletes).")
    return [patch.Edit(params.old_string, params.new_string, bool(params.replace_all))]


def levels(patched: patch.Patched, noun: str = "edit") -> str:
    """What was overlooked to find the old texts; nothing when they were exact."""
    loose = [(number, level) for number, level in enumerate(patched.levels, 1) if level != "exact"]
    if not loose:
        return ""
    if len(patched.levels) == 1:
        return f" Matched by overlooking {loose[0][1]}."
    return f" Matched by overlooking {', '.join(f'{level} ({noun} {number})' for number, level in loose)}."


def where(diff: Diff) -> str:
    """The changed lines, by their numbers after the change."""
    ranges = [f"{first}-{last}" if last > first else str(first) for first, last in _ranges(diff)]
    listed = ", ".join(ranges[:10]) + (f" and {len(ranges) - 10} more" if len(ranges) > 10 else "")
    return f"line{'s' if len(ranges) > 1 or '-' in listed else ''} {listed}"


def _ranges(diff: Diff) -> Iterator[tuple[int, int]]:
    for hunk in diff.hunks:
        number, first, changing = hunk.new_start, hunk.new_start, False
        for line in (*hunk.lines, " "):
            if line[0] == " " and changing:
                yield first, max(number - 1, first)
                changing = False
            elif line[0] != " " and not changing:
                first, changing = number, True
            number += line[0] != "-"

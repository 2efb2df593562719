"""Write a whole file."""

from collections.abc import Sequence
from typing import ClassVar

from kimi_code.events import Block, Diff, Effect
from kimi_code.repo.large_diff import diff_of
from kimi_code.repo.text import line_ending, with_line_ending
from kimi_code.tools.files import Current, FileMemory, encode_like, open_current, warn
from kimi_code.tools.settle import Proposed, settle, tell
from kimi_code.tools.tool import Params, ToolContext, ToolResult


class WriteParams(Params):
    path: str
    content: str


class Write:
    """Create a file or replace its whole content; folders are made. To change part of a file, use Edit."""

    name: ClassVar[str] = "Write"
    effect: ClassVar[Effect] = Effect.EDIT
    params: ClassVar[type[Params]] = WriteParams

    def __init__(self, files: FileMemory) -> None:
        self._files = files

    def title(self, params: WriteParams) -> str:
        return params.path

    def targets(self, params: WriteParams) -> Sequence[str]:
        return (params.path,)

    async def done_already(self, params: WriteParams, ctx: ToolContext) -> ToolResult | None:
        current = await open_current(params.path, ctx, self._files)
        return _unchanged(current) if _in_style(params.content, current) == current.text else None

    async def preview(self, params: WriteParams, ctx: ToolContext) -> Sequence[Block]:
        current = await open_current(params.path, ctx, self._files)
        return (await diff_of(current.shown, current.text, _in_style(params.content, current)),)

    async def run(self, params: WriteParams, ctx: ToolContext) -> ToolResult:
        current = await open_current(params.path, ctx, self._files)
        settled = await settle((Proposed(current, _in_style(params.content, current)),), ctx.approved)
        text = settled[0].text or ""
        diff = await put(current, text, ctx, self._files)
        if diff is None:
            return _unchanged(current, tell(settled, ctx.approved))
        lines = text.count("\n") + (not text.endswith("\n") and text != "")
        verb = "Created" if current.text is None else "Rewrote"
        size = f"{lines} line{'' if lines == 1 else 's'}"
        said = f"{verb} {current.shown} ({size}).{warn(current, text)}{tell(settled, ctx.approved)}"
        return ToolResult(said, summarise(diff), (diff,))


async def put(current: Current, text: str, ctx: ToolContext, files: FileMemory) -> Diff | None:
    """Write `text` in place of `current`, in its encoding; None when that changes nothing."""
    if text == current.text:
        return None
    content = encode_like(text, current)
    await ctx.workspace.write(current.path, content)
    files.remember(current.path, content)
    return await diff_of(current.shown, current.text, text)


def _unchanged(current: Current, altered: str = "") -> ToolResult:
    return ToolResult(f"{current.shown} has this content already.{altered}", summary="unchanged")


def summarise(diff: Diff) -> str:
    """A change in a few characters."""
    return f"+{diff.added} −{diff.removed}"


def _in_style(text: str, current: Current) -> str:
    """New text that knows only LF gets the line endings of the file it replaces."""
    return text if "\r" in text else with_line_ending(text, line_ending(current.text or ""))

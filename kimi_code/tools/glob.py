"""Find files by name."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from kimi_code.errors import ToolError
from kimi_code.events import Block, Effect
from kimi_code.repo.search import Search
from kimi_code.tools.grep import quoted, searched
from kimi_code.tools.tool import Params, ToolContext, ToolResult

_LIMIT = 100


class GlobParams(Params):
    pattern: str = Field(description="Such as *.py (at any depth) or src/**/*.{ts,tsx}")
    path: str | None = Field(default=None, description="Folder.")


class Glob:
    """Find files by path, newest first; ignored files are left out."""

    name: ClassVar[str] = "Glob"
    effect: ClassVar[Effect] = Effect.READ
    params: ClassVar[type[Params]] = GlobParams

    def __init__(self, search: Search) -> None:
        self._search = search

    def title(self, params: GlobParams) -> str:
        return f"{params.pattern} in {params.path}" if params.path else params.pattern

    def targets(self, params: GlobParams) -> Sequence[str]:
        return (_split(params)[0],)

    async def preview(self, params: GlobParams, ctx: ToolContext) -> Sequence[Block]:
        return ()

    async def run(self, params: GlobParams, ctx: ToolContext) -> ToolResult:
        path, pattern = _split(params)
        folder = await searched(path, ctx)
        status = await ctx.workspace.status(folder)
        if status is None or status.kind != "folder":
            raise ToolError(f"{ctx.workspace.display(folder)} is a file. Give a folder as path.")
        found = (await self._search.files(folder, pattern)).paths
        paths = [path for path in found if ctx.may_read(folder / path)]
        if not paths:
            return ToolResult("No files match.", summary="no files")
        lines = [quoted(ctx.workspace.display(folder / name)) for name in paths[:_LIMIT]]
        if len(paths) > _LIMIT:
            lines.append(f"[{len(paths) - _LIMIT} more; narrow the pattern to see them]")
        return ToolResult("\n".join(lines), summary=f"{len(paths)} file{'' if len(paths) == 1 else 's'}")


def _split(params: GlobParams) -> tuple[str, str]:
    """The folder and the pattern in it: an absolute pattern, or one that climbs, names its folder itself."""
    parts = Path(params.pattern).parts
    if not (Path(params.pattern).is_absolute() or ".." in parts or params.pattern.startswith("~")):
        return params.path or ".", params.pattern
    plain = next((i for i, part in enumerate(parts) if any(c in part for c in "*?[{")), len(parts) - 1)
    folder = str(Path(*parts[:plain])) if plain else "."
    if params.path and not Path(folder).is_absolute():
        folder = str(Path(params.path) / folder)
    return folder, "/".join(parts[plain:])

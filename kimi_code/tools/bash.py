"""Run a command: to its end, or in the background."""

import shlex
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from kimi_code.errors import ToolError
from kimi_code.events import Block, Effect, Output
from kimi_code.tools.background import Background, Running, describe_exit
from kimi_code.tools.output import spill_file
from kimi_code.tools.tool import Params, ToolContext, ToolResult


class BashParams(Params):
    command: str | None = None
    timeout: float | None = Field(
        default=None,
        gt=0,
        description="Seconds until it is killed; 120 unless configured. With id: how long to wait for its end.",
    )
    cwd: str | None = None
    run_in_background: bool | None = Field(
        default=None, description="Returns an id at once; for servers and long work."
    )
    id: str | None = Field(
        default=None, description="Instead of command: show what a background command printed since."
    )
    stop: bool | None = Field(default=None, description="With id: kill it.")
    unconfined: bool | None = Field(
        default=None,
        description="Outside the sandbox, for a command that failed because it was confined; needs permission.",
    )

    def wants_freedom(self) -> bool:
        return bool(self.unconfined)

    def edited(self, text: str) -> "BashParams | None":
        return None if self.command is None else self.model_copy(update={"command": text})


class Bash:
    """Run a shell command. Each call is a new shell in the workspace: cd and variables do not last. There is no input
    and no terminal."""

    name: ClassVar[str] = "Bash"
    effect: ClassVar[Effect] = Effect.EXECUTE
    params: ClassVar[type[Params]] = BashParams

    def __init__(
        self, background: Background, timeout: float = 120.0, blocked: Callable[[str], str] = lambda output: ""
    ) -> None:
        """`blocked` reads from the output of a confined command that failed what was in its way; "" for nothing."""
        self._background = background
        self._timeout = timeout
        self._blocked = blocked
        self._confined: set[str] = set()  # of the background commands

    def title(self, params: BashParams) -> str:
        if params.command is None:
            return f"{'stop' if params.stop else 'poll'} {params.id or ''}".rstrip()
        first, *more = params.command.strip().split("\n", 1)
        return f"{first} ..." if more else first

    def targets(self, params: BashParams) -> Sequence[str]:
        if params.command is None:
            return ()
        # What the same words do depends on where they run.
        return (f"cd {shlex.quote(params.cwd)}\n{params.command}" if params.cwd else params.command,)

    async def preview(self, params: BashParams, ctx: ToolContext) -> Sequence[Block]:
        return (Output(params.command, "", None),) if params.command else ()

    async def run(self, params: BashParams, ctx: ToolContext) -> ToolResult:
        if (params.command is None) == (params.id is None):
            raise ToolError("Give either command, or the id of a background command.")
        if params.command is None:
            return await self._look_after(params.id or "", params)
        if not params.command.strip():
            raise ToolError("The command is empty.")
        cwd = _folder(params.cwd, ctx)
        process = await ctx.workspace.start(params.command, cwd=cwd, confined=ctx.confined)
        if params.run_in_background:
            name = self._background.start(params.command, process, ctx.spill)
            if ctx.confined:
                self._confined.add(name)
            return ToolResult(f"Started in the background with id {name}.", summary=f"started {name}")
        seconds = params.timeout or self._timeout
        running = Running(params.command, process, spill_file(ctx.spill, ctx.call_id), ctx.front.progress)
        await running.follow_for(seconds)
        result = _result(running, f"[timed out after {seconds:g} s and was killed; above is what it had printed]")
        return self._explained(result) if ctx.confined else result

    async def _look_after(self, name: str, params: BashParams) -> ToolResult:
        if params.stop:
            return _result(await self._background.stop(name), stopped=True)
        result = _result(await self._background.poll(name, params.timeout or 0))
        return self._explained(result) if name in self._confined else result

    def _explained(self, result: ToolResult) -> ToolResult:
        """The result of a confined command, with what was in its way if it failed."""
        words = "" if result.ok else self._blocked(result.text)
        return replace(result, text=f"{result.text}\n{words}") if words else result


def _folder(cwd: str | None, ctx: ToolContext) -> Path:
    # Permission was given for the command here: elsewhere the same words do something else.
    folder = ctx.workspace.resolve(cwd or ".")
    if not any(folder == root or root in folder.parents for root in ctx.workspace.roots):
        raise ToolError(f"cwd {cwd} is outside the workspace. Leave it out, or name a folder inside.")
    return folder


def _result(running: Running, overtime: str = "", *, stopped: bool = False) -> ToolResult:
    text = running.take()
    if running.exit is None:
        note, summary = "[still running]", "running"
    elif running.exit.timed_out:
        note, summary = overtime, "timed out"
    else:
        summary = describe_exit(running.exit)
        note = f"[{summary}]" if summary else ""
    return ToolResult(
        "\n".join(part for part in (text, note) if part) or "(no output)",
        summary or "done",
        (Output(running.command, text, running.exit.code if running.exit else None),),
        ok=running.exit is None or running.exit.code == 0 or stopped,
    )

"""Ask the person."""

from collections.abc import Sequence
from typing import ClassVar, assert_never

from kimi_code.events import Allow, AllowEdited, AllowHunks, Answer, Block, Deny, Effect, Question
from kimi_code.tools.tool import Params, ToolContext, ToolResult


class AskParams(Params):
    question: str
    options: list[str] | None = None


class Ask:
    """Ask the user what you cannot find out yourself and should not guess."""

    name: ClassVar[str] = "Ask"
    effect: ClassVar[Effect] = Effect.NONE
    params: ClassVar[type[Params]] = AskParams

    def title(self, params: AskParams) -> str:
        return params.question

    def targets(self, params: AskParams) -> Sequence[str]:
        return ()

    async def preview(self, params: AskParams, ctx: ToolContext) -> Sequence[Block]:
        return ()

    async def run(self, params: AskParams, ctx: ToolContext) -> ToolResult:
        reply = await ctx.front.ask(Question(ctx.call_id, params.question, tuple(params.options or ())))
        match reply:
            case Answer(text):
                return ToolResult(text or "(an empty answer)", summary="answered")
            case Deny(words):
                said = f" They said: {words}" if words else ""
                return ToolResult(f"Nobody can answer; decide yourself and say what you assumed.{said}", "no answer")
            case Allow() | AllowHunks() | AllowEdited():
                return ToolResult("Yes.", summary="answered")
            case _:
                assert_never(reply)

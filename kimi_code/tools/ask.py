"""Ask the person."""

from collections.abc import Sequence
from typing import ClassVar, assert_never, cast

from pydantic import Field, field_validator

from kimi_code.events import Allow, AllowEdited, AllowHunks, Answer, Block, Deny, Effect, Question
from kimi_code.tools.tool import Params, ToolContext, ToolResult


class Choice(Params):
    label: str
    description: str | None = Field(default=None, description="What it means, in a sentence.")


class AskParams(Params):
    question: str
    options: list[Choice] | None = Field(default=None, description="The user can always answer in other words.")
    several: bool | None = Field(default=None, description="More than one option can be chosen.")

    @field_validator("options", mode="before")
    @classmethod
    def _labels(cls, value: object) -> object:
        """Plain labels do as well."""
        if not isinstance(value, list):
            return value
        return [{"label": item} if isinstance(item, str) else item for item in cast("list[object]", value)]


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
        options = params.options or []
        details = tuple(option.description or "" for option in options)
        question = Question(
            ctx.call_id,
            params.question,
            tuple(option.label for option in options),
            details if any(details) else (),
            bool(params.several and options),
        )
        reply = await ctx.front.ask(question)
        match reply:
            case Answer(text):
                return ToolResult(
                    text or "(an empty answer)", summary=" · ".join(text.split("\n")) or "an empty answer"
                )
            case Deny(words):
                said = f" They said: {words}" if words else ""
                return ToolResult(
                    f"Nobody can answer; decide yourself and say what you assumed.{said}", summary="no answer"
                )
            case Allow() | AllowHunks() | AllowEdited():
                return ToolResult("Yes.", summary="answered")
            case _:
                assert_never(reply)

"""Which commands there are, loaded when they are asked for, and what a word in a command's place is."""

from collections.abc import Sequence
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

from kimi_code.errors import UsageError

# Modules of this package, each with a Typer called `app`; imported when they are asked for.
COMMANDS = (
    "swarm",
    "undo",
    "redo",
    "checkpoints",
    "map",
    "symbols",
    "login",
    "logout",
    "doctor",
    "models",
    "sessions",
    "config",
    "trust",
    "permissions",
    "schema",
    "completions",
)


PROMPT = "kimi_code.prompt"  # where the context keeps a prompt for the screen that was given as a word


class RootGroup(TyperGroup):
    """Loads commands late, groups the flags in the help text, and says what a stray word most likely was."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names, in the order of the help text."""
        return [*self.commands, *COMMANDS]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command, or None when there is none of that name."""
        if cmd_name not in COMMANDS:
            return self.commands.get(cmd_name)
        return _load(cmd_name)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """The flags under their panels' names, then the commands."""
        panels: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None:
                panels.setdefault(getattr(param, "rich_help_panel", None) or "Help", []).append(record)
        self.format_commands(ctx, formatter)
        for name, records in panels.items():
            with formatter.section(name):
                formatter.write_dl(records)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """A word in a command's place that is none is the prompt of the screen."""
        rest: list[str] = super().parse_args(ctx, args)
        given: list[str] = [*ctx._protected_args, *rest]
        if len(given) == 1 and ctx.params.get("prompt") is None and self._is_prompt(ctx, given[0]):
            ctx.meta[PROMPT] = given[0]
            ctx._protected_args, ctx.args = [], []
            return []
        return rest

    def _is_prompt(self, ctx: Any, word: str) -> bool:
        commands = self.list_commands(ctx)
        # One word that is nearly a command was meant to be it.
        return word not in commands and (" " in word.strip() or not get_close_matches(word, commands, 1, 0.75))

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The command that `args` begins with. Raises UsageError when it is none."""
        word = args[0]
        if self.get_command(ctx, word) is None:
            raise _stray_word(word, ctx.params.get("prompt"), self.list_commands(ctx))
        if ctx.params.get("prompt") is not None:
            raise UsageError(
                f"-p and the command {word} cannot be used together.",
                hint="Put the whole prompt into one pair of quotes.",
            )
        return super().resolve_command(ctx, args)


@cache
def _load(name: str) -> Any:
    loaded = typer.main.get_command(import_module(f"kimi_code.cli.{name}").app)
    loaded.name = name
    return loaded


def _stray_word(word: str, prompt: str | None, commands: Sequence[str]) -> UsageError:
    if prompt is not None:
        return UsageError(
            f"Unexpected argument {word!r} after -p {prompt!r}.",
            hint="Put the whole prompt into one pair of quotes.",
        )
    near = get_close_matches(word, commands, 1)
    if near:
        return UsageError(f"There is no command {word!r}; did you mean {near[0]!r}?")
    return UsageError(f"There is no command {word!r}.", hint=f'To ask for something: kimi-code -p "{word}"')

"""The command tree as plain data: what completions and reference pages are made from."""

from collections.abc import Iterator
from typing import Any

from kimi_code.values import frozen


@frozen
class Value:
    """What an option or argument takes; `choices` is empty when anything goes."""

    name: str
    choices: tuple[str, ...] = ()

    @property
    def is_file(self) -> bool:
        return self.name == "FILE"

    @property
    def is_folder(self) -> bool:
        return self.name == "DIR"


@frozen
class Option:
    """A flag by all its names; `value` is None for one that takes none."""

    names: tuple[str, ...]
    help: str
    panel: str
    value: Value | None
    repeatable: bool


@frozen
class Argument:
    """A positional argument."""

    value: Value
    help: str


@frozen
class Command:
    """A command by its path, () for the root; `help` is the whole text, `summary` its first line."""

    path: tuple[str, ...]
    help: str
    options: tuple[Option, ...]
    arguments: tuple[Argument, ...]
    commands: tuple["Command", ...]

    @property
    def name(self) -> str:
        return self.path[-1] if self.path else "kimi-code"

    @property
    def summary(self) -> str:
        return self.help.strip().partition("\n")[0].removesuffix(".")

    def walk(self) -> Iterator["Command"]:
        """This command and all below it, parents first."""
        yield self
        for command in self.commands:
            yield from command.walk()


def build_tree() -> Command:
    """The tree of `kimi-code`, read from the running definitions."""
    from kimi_code.cli.app import command

    return _command(command(), ())


def _command(node: Any, path: tuple[str, ...]) -> Command:
    # typer's own types for these are private; the attributes read here are as old as click.
    names: list[str] = node.list_commands(None) if hasattr(node, "list_commands") else []
    children = {name: node.get_command(None, name) for name in names}
    options = [_option(param) for param in node.params if param.param_type_name == "option" and not param.hidden]
    help_option = Option(("-h", "--help"), "Show this message and exit.", "Help", None, False)
    return Command(
        path,
        (node.help or "").replace("\b\n", ""),
        (*options, help_option),
        tuple(_argument(param) for param in node.params if param.param_type_name == "argument"),
        tuple(_command(child, (*path, name)) for name, child in children.items()),
    )


def _option(param: Any) -> Option:
    value = None if param.is_flag else _value(param)
    return Option(tuple(param.opts), param.help or "", param.rich_help_panel or "Help", value, param.multiple)


def _argument(param: Any) -> Argument:
    return Argument(_value(param), param.help or "")


def _value(param: Any) -> Value:
    choices = param.type_descriptor.choices or ()
    return Value(param.metavar or param.name.upper(), tuple(str(choice) for choice in choices))

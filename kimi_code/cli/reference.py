"""The reference pages in docs/ and the scripts in completions/, made from the code.

`python -m kimi_code.cli.reference` writes them, with --check it only says which ones are stale (exit 1).
"""

import dataclasses
import importlib
import inspect
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast, get_args

from kimi_code import errors, events
from kimi_code.cli.completion_scripts import SCRIPTS
from kimi_code.cli.output import say
from kimi_code.cli.tree import Argument, Command, Option, Value, build_tree
from kimi_code.config.file import (
    CheckoutsTable,
    CheckpointsTable,
    ConfigFile,
    ModelTable,
    PriceTable,
    ProviderTable,
    ScreenTable,
    add_descriptions,
)
from kimi_code.config.load import KEY_VARIABLES, PROJECT_LIMITS, PROJECT_LISTS, PROJECT_VALUES, URL_VARIABLES
from kimi_code.config.settings import (
    CheckoutSettings,
    CheckpointSettings,
    Settings,
    builtin_providers,
)

TOOLS = (
    "Read",
    "Write",
    "Edit",
    "ApplyPatch",
    "Grep",
    "Glob",
    "Outline",
    "Symbols",
    "References",
    "Rename",
    "Bash",
    "Todo",
    "Ask",
)
SWARM_TOOLS = {"offer": ("Agent", "Swarm"), "tools": ("SwarmUpdate", "SwarmRead", "Note")}

_MADE = "<!-- Made by `python -m kimi_code.cli.reference`; edit the code, not this page. -->\n"


def pages() -> dict[str, str]:
    """Every generated file by its path in the repository."""
    tree = build_tree()
    made = {f"completions/{name}": render(tree) for name, render in SCRIPTS.values()}
    docs = {
        "commands": commands(tree),
        "settings": settings(),
        "tools": tools(),
        "events": event_types(),
        "exit-codes": exit_codes(),
        "keys": keys(),
    }
    return made | {f"docs/{name}.md": _MADE + "\n" + text for name, text in docs.items()}


# --- Commands -------------------------------------------------------------------------------------------------------


def commands(tree: Command) -> str:
    """Every command with its arguments and flags."""
    return "# Commands\n\n" + "\n".join(_command(command) for command in tree.walk())


def _command(command: Command) -> str:
    name = " ".join(("kimi-code", *command.path))
    usage = " ".join((name, *(_argument_usage(argument) for argument in command.arguments), "[FLAGS]"))
    if command.commands:
        usage += " COMMAND" if command.path else " [COMMAND]"
    text, _, examples = command.help.partition("\n\nkimi-code ")
    parts = [f"## {name}\n", f"    {usage}\n", f"{text.strip()}\n"]
    if examples:
        parts.append("\n".join(f"    {line}" for line in ("kimi-code " + examples).strip().splitlines()) + "\n")
    if command.commands:
        rows = [
            (f"[{child.name}](#{'-'.join(('kimi-code', *child.path))})", child.summary) for child in command.commands
        ]
        parts.append(_table(("command", "what it does"), rows))
    panels: dict[str, list[Option]] = {}
    for option in command.options:
        panels.setdefault(option.panel, []).append(option)
    for panel, options in panels.items():
        rows = [(_option_names(option), option.help + _choices(option.value)) for option in options]
        parts.append(_table((panel.lower(), ""), rows))
    return "\n".join(parts)


def _argument_usage(argument: Argument) -> str:
    return argument.value.name


def _option_names(option: Option) -> str:
    names = ", ".join(option.names)
    return f"`{names} {option.value.name}`" if option.value else f"`{names}`"


def _choices(value: Value | None) -> str:
    return f" One of {', '.join(f'`{choice}`' for choice in value.choices)}." if value and value.choices else ""


# --- Settings -------------------------------------------------------------------------------------------------------


def settings() -> str:
    """config.toml, the environment, and who may set what."""
    add_descriptions()
    providers = [
        (f"`{p.name}`", p.base_url, f"`{p.key_variable}`" if p.key_variable else "none needed")
        for p in builtin_providers().values()
    ]
    return "\n".join(
        (
            "# Settings\n",
            "Flags win over the environment, the environment over the project's `.kimi-code/config.toml`, that over",
            "the user's `config.toml`, that over the defaults. Rules (`allow`, `ask`, `deny`) and `add_dirs` of all",
            "of them add up. `kimi-code config path` says where the files are, `kimi-code config show` what holds and",
            "why, `kimi-code config schema` prints the JSON Schema for an editor.\n",
            "`KIMI_CODE_DIR` moves all into one folder: `config.toml`, and the data (sessions) below `data/`.\n",
            "A project's file is used only when it is trusted (`kimi-code trust`), and can only narrow: it adds `ask`",
            "and `deny` rules, lowers limits, narrows the permission mode, and chooses a model at the user's provider.",
            "It never names keys, servers or folders, and allows nothing.\n",
            "## config.toml\n",
            _fields(ConfigFile, Settings()),
            "## [checkpoints]\n",
            _fields(CheckpointsTable, CheckpointSettings()),
            "## [checkouts]\n",
            _fields(CheckoutsTable, CheckoutSettings()),
            "## [providers.NAME]\n",
            _fields(ProviderTable),
            "Built in:\n",
            _table(("name", "base URL", "key from"), providers),
            "## [models.NAME]\n",
            _fields(ModelTable),
            "### price\n",
            _fields(PriceTable),
            "## [screen]\n",
            _fields(ScreenTable),
            "## Environment\n",
            _table(("variable", "what it sets"), list(_variables())),
        )
    )


def _fields(table: Any, defaults: object = None) -> str:
    """A row for every key; with `defaults` their values, and for those of Settings what a project may do."""
    project = isinstance(defaults, Settings)
    rows: list[tuple[str, ...]] = []
    properties: Mapping[str, Any] = table.model_json_schema()["properties"]
    for name, field in table.model_fields.items():
        row = (f"`{name}`", _type(properties[name]), field.description or "")
        if defaults is not None:
            row = (*row, _default(getattr(defaults, name)))
        rows.append((*row, _project(name)) if project else row)
    header = ("key", "type", "what it is", *(("default",) if defaults else ()), *(("project",) if project else ()))
    return _table(header, rows)


def _default(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(f"`{entry}`" for entry in cast("tuple[object, ...]", value))
    return f"`{value}`" if isinstance(value, str | int | float) and value != "" else ""


def _type(schema: Mapping[str, Any]) -> str:
    options: Sequence[Mapping[str, Any]] = schema.get("anyOf", [schema])
    return " or ".join(_one_type(option) for option in options if option.get("type") != "null")


def _one_type(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(f'`"{choice}"`' for choice in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_one_type(schema['items'])}s"
    if "$ref" in schema or schema.get("type") == "object":
        return "table"
    return {"integer": "whole number", "boolean": "true or false"}.get(schema["type"], str(schema["type"]))


def _project(name: str) -> str:
    if name in PROJECT_LISTS:
        return "may add"
    if name in PROJECT_LIMITS:
        return "may lower"
    return {"permission_mode": "may narrow"}.get(name, "may set" if name in PROJECT_VALUES else "ignored")


def _variables() -> Iterator[tuple[str, str]]:
    for group in KEY_VARIABLES.values():
        holders = [p.name for p in builtin_providers().values() if p.key_variable == group[0]]
        yield ", else ".join(f"`{name}`" for name in group), f"the key for {', '.join(holders)}"
    for provider, variable in URL_VARIABLES.items():
        chooses = "; also makes it the default provider" if provider == "moonshot" else ""
        yield f"`{variable}`", f"the base URL of {provider}{chooses}"
    yield "`KIMI_MODEL`", "`model`"
    yield "`KIMI_CODE_DIR`", "the folder of config.toml and data"
    yield (
        "`KIMI_CODE_RECORD`",
        "a file into which the model's answers are recorded, to be played with `-m scripted:FILE`",
    )
    yield "`NO_COLOR`", "no colours"
    yield (
        "`LC_ALL`, `LC_CTYPE`, `LANG`, `TERM`",
        "where the first that is set names no UTF-8, or `TERM` is `linux`, the screen's signs are plain ASCII",
    )


# --- Tools, events, exit codes --------------------------------------------------------------------------------------


def tools() -> str:
    """What the model can call, in the words it reads."""
    own = [getattr(importlib.import_module(f"kimi_code.tools.{_module(name)}"), name) for name in TOOLS]
    swarm = [
        getattr(importlib.import_module(f"kimi_code.swarm.{module}"), name)
        for module, names in SWARM_TOOLS.items()
        for name in names
    ]
    all_tools = [*own, *swarm]
    return "# Tools\n\nThe model reads these words, and nothing else about a tool.\n\n" + "\n".join(
        map(_tool, all_tools)
    )


def _module(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def _tool(tool: Any) -> str:
    properties: Mapping[str, Any] = tool.params.model_json_schema().get("properties", {})
    required = {name for name, field in tool.params.model_fields.items() if field.is_required()}
    rows = [
        (f"`{name}`", _type(schema), "yes" if name in required else "", schema.get("description", ""))
        for name, schema in properties.items()
    ]
    text = inspect.cleandoc(tool.__doc__ or "")
    return f"## {tool.name}\n\nEffect: {tool.effect.value}.\n\n{text}\n\n" + _table(
        ("parameter", "type", "needed", "what it is"), rows
    )


def event_types() -> str:
    """The lines of a journal and of `--output-format jsonl`."""
    from kimi_code.session.codec import wire_name

    parts = [
        "# Events\n",
        "A session's `records.jsonl` and `--output-format jsonl` hold a record a line: `type`, `seq` (from 1),",
        "`agent` (a path such as `main`), `at` (Unix seconds), and the event's own fields. `kimi-code schema events`",
        "prints the JSON Schema. A `jsonl` run ends in the `result` object that `--output-format json` prints alone.\n",
    ]
    for event in get_args(events.Event):
        parts.append(f"## {wire_name(event)}\n\n{_paragraph(event)}\n")
        rows = [(f"`{field.name}`", f"`{_annotation(field.type)}`") for field in dataclasses.fields(event)]
        parts.append(_table(("field", "type"), rows))
    return "\n".join(parts)


def _annotation(annotation: Any) -> str:
    text = annotation.__name__ if isinstance(annotation, type) and not get_args(annotation) else str(annotation)
    return re.sub(r"\b(?:typing|collections\.abc|kimi_code(?:\.[a-z_]+)+)\.", "", text)


def keys() -> str:
    """Every key of the screen, and its commands."""
    from kimi_code.tui.commands import COMMANDS
    from kimi_code.tui.keys import KEYS, TITLES, keys_of

    parts = [
        "# Keys\n",
        'Keys are changed below `[screen.keys]` in `config.toml`, by their ids: `"prompt.send" = "ctrl+enter"`;',
        "several with commas. `/keys` shows the table with your own in it.\n",
    ]
    for where, title in TITLES.items():
        rows = [(keys_of(key.id, {}), key.what, f"`{key.id}`") for key in KEYS if key.where == where]
        parts += [f"## {title}\n", _table(("keys", "what they do", "id"), rows)]
    rows = [
        (f"`/{command.name}{' ' * bool(command.argument)}{command.argument}`", command.what) for command in COMMANDS
    ]
    parts += ["## Commands\n", _table(("command", "what it does"), rows)]
    parts += [
        "`@` completes a file's path, `!command` runs a command of yours (its output is told to the model with your",
        "next words), `#note` adds a line to AGENTS.md.\n",
        "## The mouse\n",
        "The wheel scrolls; dragging selects, and Ctrl+C copies what is selected, also to the clipboard of the machine",
        "you sit at (OSC 52). A click on a card unfolds it, one on a file's path opens the file at its line: in a",
        "terminal of VS Code, Cursor or a JetBrains IDE there (by its command, `code` or `pycharm`, if that is in",
        "PATH), else in $VISUAL or $EDITOR; without one, the place is copied. Web addresses open in the browser, or",
        "are copied where there is no desktop. Your terminal's own way (Ctrl+click, mostly) works too: they are OSC 8",
        "links.\n",
    ]
    return "\n".join(parts)


def exit_codes() -> str:
    """The exit codes, and the exceptions that end in them."""
    meaning = {
        errors.ExitCode.DONE: "the work is done",
        errors.ExitCode.FAILED: "it failed: a bad answer, `--verify` or `--output-schema` not satisfied, a "
        "conflict on `--apply`, a `--commit` that was refused, a bug",
        errors.ExitCode.USAGE: "flags or configuration cannot be used; nothing was done",
        errors.ExitCode.AUTH: "no key, a wrong key, or no access",
        errors.ExitCode.BUDGET: "a limit was reached: steps, tokens, cost, time, quota, context",
        errors.ExitCode.DENIED: "something was denied, and no `--verify` passed in spite of it",
        errors.ExitCode.PARTIAL: "a swarm came to its end in part: what is good of it is merged, the rest is told",
        errors.ExitCode.UNAVAILABLE: "the provider could not be reached or kept failing: try again later",
        errors.ExitCode.INTERRUPTED: "interrupted (Ctrl-C)",
        errors.ExitCode.TERMINATED: "terminated (SIGTERM)",
    }
    rows = [(str(int(code)), code.name.lower(), meaning[code]) for code in errors.ExitCode]
    tree = (errors.__doc__ or "").partition("\n\n")[2].strip()
    return "\n".join(
        (
            "# Exit codes\n",
            _table(("code", "name", "meaning"), rows),
            "With `--output-format json` or `jsonl` the result object on standard output says the same in `exit_code`",
            "and `status`, in every case, usage errors included.\n",
            "The errors behind them:\n",
            f"```\n{tree}\n```\n",
        )
    )


# --- Writing --------------------------------------------------------------------------------------------------------


def _paragraph(thing: Any) -> str:
    return inspect.cleandoc(thing.__doc__ or "")


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    cells = [" | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in line) for line in lines]
    return "\n".join(f"| {line} |" for line in cells) + "\n"


def stale(root: Path) -> list[str]:
    """The generated files below `root` that differ from what the code says now."""
    return [path for path, text in pages().items() if not _holds(root / path, text)]


def _holds(file: Path, text: str) -> bool:
    try:
        return file.read_text(encoding="utf-8") == text
    except FileNotFoundError:
        return False


def main(argv: Sequence[str]) -> int:
    """Write or check the generated files of the checkout this module lies in; returns the exit code."""
    root = Path(__file__).resolve().parents[2]
    if argv == ["--check"]:
        old = stale(root)
        if old:
            say(f"Stale: {', '.join(old)}\nRun `python -m kimi_code.cli.reference`.", to=sys.stderr)
        return 1 if old else 0
    for path, text in pages().items():
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_text(text, encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The form of config.toml: pydantic reads it, the JSON Schema and the reference page are made from it.

A mistake names the file and the key; a key nobody knows is a warning with the nearest known one.
"""

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from kimi_code.config.settings import PermissionMode, Review, SandboxChoice, Thinking
from kimi_code.errors import ConfigError
from kimi_code.spelling import known_here

Count = Annotated[int, Field(ge=0)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
# The model's Profile knows the same styles; this layer cannot import it, a test compares.
ThinkingStyle = Literal["none", "thinking", "reasoning_effort", "thinking_effort", "chat_template_kwargs"]
FolderName = Annotated[str, Field(pattern=r"^[^/\\]+$")]
Url = Annotated[str, Field(pattern=r"^https?://[^\s/]+")]


class _Table(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow", defer_build=True)


class PriceTable(_Table):
    """US dollars per million tokens."""

    input: Amount
    """Input that was not in the provider's cache."""
    cached: Amount
    """Input that was in the provider's cache."""
    output: Amount
    """Output, reasoning included."""
    noted: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]
    """The day these prices were noted, YYYY-MM-DD."""


class ProviderTable(_Table):
    """A server that speaks the OpenAI chat API."""

    base_url: Url | None = None
    """Where its API begins, usually ending in /v1. Needed for a provider that is not built in."""
    kind: Literal["moonshot", "openai", "local"] | None = None
    """Whose quirks it has: moonshot, openai (the default), or local for a server of your own."""
    api_key: str | None = None
    """The key. Better kept in the environment: see api_key_env."""
    api_key_env: Annotated[str, Field(min_length=1)] | None = None
    """The environment variable that holds the key."""
    headers: dict[str, str] = {}
    """HTTP headers sent with every request."""


class ModelTable(_Table):
    """A model under a name of your own; what is left out is known from the model's id."""

    provider: str | None = None
    """The provider that serves it; the default provider when left out."""
    id: str | None = None
    """Its id at the provider; the table's name when left out."""
    context: Annotated[int, Field(gt=0)] | None = None
    """How many tokens fit, answer included."""
    max_output: Annotated[int, Field(gt=0)] | None = None
    """The longest answer, in tokens."""
    tools: bool | None = None
    """Whether it can call tools."""
    vision: bool | None = None
    """Whether it can see images; left out: as its family does, or as the server's list of models says."""
    thinking_style: ThinkingStyle | None = None
    """How it is told to think: the field of the request's body that carries the setting."""
    efforts: list[str] | None = None
    """The levels of thinking it knows, lowest first."""
    always_thinks: bool | None = None
    """Whether its thinking cannot be turned off."""
    echo_thought: bool | None = None
    """Whether its reasoning must be sent back with its tool calls."""
    response_format: bool | None = None
    """Whether it understands response_format with a JSON Schema."""
    prompt_cache_key: bool | None = None
    """Whether prompt_cache_key is sent."""
    apply_patch: bool | None = None
    """Whether it is offered ApplyPatch: patches, for models trained to write them."""
    price: PriceTable | None = None
    """What it costs."""


class CheckpointsTable(_Table):
    """What is kept for undo."""

    keep_days: Amount | None = None
    """How many days checkpoints are kept."""
    keep_mb: Count | None = None
    """How much disk space the checkpoints of a folder may take, in megabytes; the oldest go first."""
    file_mb: Annotated[int, Field(gt=0)] | None = None
    """Files larger than this are not saved, in megabytes."""


class CheckoutsTable(_Table):
    """What isolated copies of a project have of its ignored folders, by name; what is in neither list they lack."""

    linked: list[FolderName] | None = None
    """Seen read-only in every copy: what builds need and is too large to copy."""
    copied: list[FolderName] | None = None
    """Copied into each, to be written there."""


class ScreenTable(_Table):
    """How the screen looks and behaves."""

    theme: str = "auto"
    """auto follows the terminal's ground; dark, light, contrast, or a theme of Textual's."""
    keys: dict[str, str] = {}
    """Keys by the ids of docs/keys.md, such as "prompt.send" = "ctrl+enter"; several with commas."""
    notify: bool = True
    """Whether it rings and notifies when it waits or is done while nobody looks."""
    reduced_motion: bool = False
    """Whether nothing turns while it works."""
    vim: bool = False
    """Whether the prompt has Vim's keys; Esc leads to its normal mode."""


class ConfigFile(_Table):
    """kimi-code's config.toml."""

    model: str | None = None
    """The model: a name from [models], PROVIDER/ID, or an id at the default provider."""
    provider: str | None = None
    """The default provider: one of [providers] or a built-in one."""
    thinking: Thinking | None = None
    """How much the model thinks before it answers."""
    permission_mode: PermissionMode | None = None
    """What runs without asking; a project can only narrow it. Not set, the screen begins with ask."""
    allow: list[str] = []
    """Rules for calls that run without asking, such as "Bash(make test)"."""
    ask: list[str] = []
    """Rules for calls that are always asked for."""
    deny: list[str] = []
    """Rules for calls that never run; they win over all others."""
    add_dirs: list[str] = []
    """More folders the agent may work in."""
    review: Review | None = None
    """What is shown before it counts: each edit, a whole turn made in a copy of the tree, or nothing."""
    commit: bool | None = None
    """Whether a successful turn ends in a commit of what the agent changed."""
    sandbox: SandboxChoice | None = None
    """What confines commands: the first that works of bwrap and landlock (auto), one of them, or nothing (off)."""
    net: bool | None = None
    """Whether confined commands reach the network."""
    caches: list[str] = []
    """Folders that confined commands may write besides the workspace, such as a tool's cache."""
    max_steps: Count | None = None
    """The most requests to the model in a turn."""
    max_tokens: Count | None = None
    """The most tokens, input and output, in a turn."""
    max_cost: Amount | None = None
    """The most a turn may cost, in US dollars."""
    max_session_tokens: Count | None = None
    """The most tokens, input and output, in all turns of a session, those of earlier processes included;
    of a turn that was killed, the finished steps count, its sub-agents' too; what
    the step under way took is not known."""
    max_session_cost: Amount | None = None
    """The most all turns of a session may cost, in US dollars."""
    timeout: Amount | None = None
    """The longest a turn may take, in seconds."""
    silence_timeout: Seconds | None = None
    """How long the model may say nothing before the request is made again, in seconds."""
    max_retries: Count | None = None
    """How often a request that failed for a passing reason is made again."""
    retry_wait: Amount | None = None
    """The wait before the first retry, in seconds; each further one doubles."""
    command_timeout: Seconds | None = None
    """How long a command may run when the model sets no limit, in seconds."""
    instructions_limit: Count | None = None
    """The most bytes of AGENTS.md files that are shown to the model."""
    map_tokens: Count | None = None
    """The most tokens of the map of the repository that a session's first message carries; 0 for none."""
    local_servers: list[Url] | None = None
    """Where to look for a server on this machine when there is no key; an empty list turns that off."""
    checkpoints: CheckpointsTable | None = None
    """What is kept for undo."""
    checkouts: CheckoutsTable | None = None
    """What isolated copies (`review = "turn"`) have of ignored folders."""
    providers: dict[str, ProviderTable] = {}
    """Servers by name; a built-in name changes that provider."""
    models: dict[str, ModelTable] = {}
    """Models by name."""
    screen: ScreenTable = ScreenTable()
    """The screen: themes, keys, notifications."""


def read_file(path: Path, label: str) -> tuple[ConfigFile, list[str]] | None:
    """The file and the warnings about it; None when there is none. `label` is how messages call it.

    Raises:
        ConfigError: it cannot be read, is no TOML, or a value has the wrong type.
    """
    if path.is_fifo() or path.is_char_device():  # it would be waited for, or have no end
        raise ConfigError(f"{label}: it is a pipe or a device, not a file", hint="Move it away.")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ConfigError(f"{label}:{line}: not UTF-8 text", hint="Save the file as UTF-8.") from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigError(f"{label}: cannot be read: {reason}", hint="Mend or move the file.") from None
    tables = _parse(text, label)
    try:
        read = ConfigFile.model_validate(tables)
    except ValidationError as error:
        raise ConfigError("\n".join(_mistake(label, detail) for detail in error.errors())) from None
    return read, [f"{label}: {text}" for text in _unknown_keys(read, "")]


def _parse(text: str, label: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        place = re.search(r" \(at line (\d+), column (\d+)\)$", message)
        if place:
            message, where = message[: place.start()], f"{place[1]}:{place[2]}"
        else:
            message = message.removesuffix(" (at end of document)")
            where = f"{text.count(chr(10)) + 1}:{len(text) - text.rfind(chr(10))}"
        raise ConfigError(f"{label}:{where}: {message}", hint="Mend this line; the file must be TOML.") from None
    except ValueError:  # the only other one: Python reads no number of thousands of digits
        raise ConfigError(f"{label}: a number in it is too long.", hint="Mend the file.") from None
    except RecursionError:
        raise ConfigError(f"{label}: it is nested too deeply.", hint="Mend the file.") from None


def _mistake(label: str, detail: ErrorDetails) -> str:
    # Values are not shown: the one that is wrong may be a key.
    key = ".".join(str(part) for part in detail["loc"])
    message = detail["msg"].replace("Input should be ", "must be ").replace("String should ", "must ")
    given = f" (it is of type {type(detail['input']).__name__})" if detail["type"].endswith("_type") else ""
    return f"{label}: {key}: {message}{given}"


def _unknown_keys(table: _Table, prefix: str) -> Iterator[str]:
    known = list(type(table).model_fields)
    for key in table.model_extra or {}:
        near = difflib.get_close_matches(key, known, 1)
        yield f"unknown key {prefix}{key}" + (
            f"; did you mean {near[0]}?" if near else f", ignored; {known_here(key, known)}"
        )
    for name in known:
        value: object = getattr(table, name)
        if isinstance(value, _Table):
            yield from _unknown_keys(value, f"{prefix}{name}.")
        elif isinstance(value, Mapping):
            for key, entry in cast("Mapping[str, object]", value).items():
                if isinstance(entry, _Table):
                    yield from _unknown_keys(entry, f"{prefix}{name}.{key}.")


def add_descriptions() -> None:
    """Give every field the text below it as its description.

    Only the schema and the reference need them; pydantic's own way reads the source at every start (60 ms).
    """
    import ast
    import inspect

    for node in ast.parse(Path(__file__).read_text(encoding="utf-8")).body:
        table = globals().get(node.name) if isinstance(node, ast.ClassDef) else None
        if not isinstance(node, ast.ClassDef) or not isinstance(table, type) or not issubclass(table, _Table):
            continue
        for field, below in pairwise(node.body):
            match field, below:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                    table.model_fields[name].description = inspect.cleandoc(text)
                case _:
                    pass
        table.model_rebuild(force=True)


def schema() -> dict[str, Any]:
    """The JSON Schema of config.toml, for editors."""
    add_descriptions()
    body = ConfigFile.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **body, "title": "kimi-code config.toml"}

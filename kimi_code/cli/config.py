"""`kimi-code config`: what is set and where it comes from, where the files are, and their form."""

import os
from dataclasses import fields
from typing import Annotated, cast

import typer

from kimi_code.cli.folder import load_settings, working_folder
from kimi_code.cli.output import mask, say_json, say_table, warn
from kimi_code.config import Settings, find_places
from kimi_code.values import frozen

app = typer.Typer(add_completion=False, rich_markup_mode=None, help="Show settings, where they come from, their files.")

_TABLES = ("checkpoints", "checkouts", "screen")
_NOT_SETTINGS = (*_TABLES, "providers", "models", "secrets", "warnings", "origins")


@frozen
class Row:
    """A setting as it is shown: `value` is plain data, keys masked; `origin` says where it is from."""

    key: str
    value: object
    origin: str


def rows_of(settings: Settings) -> list[Row]:
    """Every setting that is not a server or a model, then these."""
    rows = [
        Row(field.name, _plain(getattr(settings, field.name)), settings.origins.get(field.name, "default"))
        for field in fields(settings)
        if field.name not in _NOT_SETTINGS
    ]
    for name in _TABLES:
        table, origin = getattr(settings, name), settings.origins.get(name, "default")
        rows += [Row(f"{name}.{field.name}", _plain(getattr(table, field.name)), origin) for field in fields(table)]
    for name, provider in settings.providers.items():
        shown = {"base_url": provider.base_url, "kind": provider.kind}
        if provider.api_key:
            shown["api_key"] = mask(provider.api_key)
        for key, value in shown.items():
            full = f"providers.{name}.{key}"
            rows.append(Row(full, value, settings.origins.get(full, "default")))
    for name, model in settings.models.items():
        value = {"provider": model.provider, "id": model.id, **model.profile}
        rows.append(Row(f"models.{name}", value, settings.origins[f"models.{name}"]))
    return rows


def _plain(value: object) -> object:
    if isinstance(value, tuple):
        return [str(entry) for entry in cast("tuple[object, ...]", value)]
    return value if value is None or isinstance(value, str | int | float) else str(value)


@app.command()
def show(
    ctx: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Every setting, its value, and where it comes from. Keys are masked."""
    settings = load_settings(ctx.find_root().obj)
    for text in settings.warnings:
        warn(text)
    rows = rows_of(settings)
    if as_json:
        say_json({row.key: {"value": row.value, "from": row.origin} for row in rows})
    else:
        say_table(("SETTING", "VALUE", "FROM"), [(row.key, _words(row.value), row.origin) for row in rows])


def _words(value: object) -> str:
    if value is None or value == "" or value == []:
        return "-"
    if isinstance(value, list):
        return ", ".join(map(str, cast("list[object]", value)))
    return str(value)


@app.command()
def path(
    ctx: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Where the configuration files and the data are; they need not exist."""
    folder = working_folder(ctx.find_root().obj)
    places = find_places(os.environ, folder)
    project = places.project_file or folder / ".kimi-code" / "config.toml"
    paths = {"user": places.user_file, "project": project, "data": places.data_dir}
    if as_json:
        say_json({name: str(path) for name, path in paths.items()})
    else:
        say_table(("WHAT", "PATH"), [(name, str(path)) for name, path in paths.items()])


@app.command("schema")
def show_schema() -> None:
    """The JSON Schema of config.toml, for editors."""
    from kimi_code.config.file import schema

    say_json(schema())

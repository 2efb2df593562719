"""`kimi-code symbols`: definitions by name, best first."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kimi_code.cli.folder import working_folder
from kimi_code.cli.index_at import index_at, warn_if_partial
from kimi_code.cli.output import say, say_json, say_table
from kimi_code.repo.symbols import Kind

if TYPE_CHECKING:
    from kimi_code.repo.indexing.answers import Definition

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_LIMIT = 50


@app.command()
def symbols(
    ctx: typer.Context,
    query: Annotated[str, typer.Argument(metavar="QUERY", help="A name or part of one: QuerySet, Session.close, gqs.")],
    kind: Annotated[Kind | None, typer.Option(metavar="KIND", help="Only classes, functions, ...")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Find definitions by name.

    Exact names first, then those that begin with it, then by the beginnings of their words, then by letters in that
    order; 50 at most. Exit 1 when nothing fits.

    \b
    kimi-code symbols QuerySet
    kimi-code symbols Session.clo --kind method --json
    """
    import asyncio

    cwd = working_folder(ctx.find_root().obj)
    found, root = asyncio.run(_find(query, kind or "", cwd))
    base = root if not cwd.is_relative_to(root) else cwd
    if as_json:
        say_json([_plain(each, root, base) for each in found])
    elif found:
        rows = [(f"{_relative(root / each.path, base)}:{each.line}", each.kind, each.qualified) for each in found]
        say_table(("PLACE", "KIND", "NAME"), rows)
    else:
        say(f"No definition fits {query!r}.")
    raise typer.Exit(0 if found else 1)


async def _find(query: str, kind: str, cwd: Path) -> "tuple[tuple[Definition, ...], Path]":
    async with index_at(cwd) as index:
        answer = await index.symbols(query, kind, limit=_LIMIT, whole=True)
        warn_if_partial(index)
        return answer.items, index.root


def _relative(path: Path, base: Path) -> str:
    return os.path.relpath(path, base).replace(os.sep, "/")


def _plain(each: "Definition", root: Path, base: Path) -> dict[str, object]:
    return {
        "name": each.name,
        "kind": each.kind,
        "path": _relative(root / each.path, base),
        "line": each.line,
        "container": each.container,
        "signature": each.signature,
    }

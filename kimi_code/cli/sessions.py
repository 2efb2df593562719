"""`kimi-code sessions`: list, show, export, fork and delete what was done."""

import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from kimi_code.cli.folder import load_settings, working_folder
from kimi_code.cli.output import clean, confirm, say, say_json, say_table
from kimi_code.cli.run import RunFlags
from kimi_code.secrets import Scrubber

if TYPE_CHECKING:
    from kimi_code.events import Record
    from kimi_code.session.store import SessionMeta, Store

app = typer.Typer(add_completion=False, rich_markup_mode=None, help="List, show, export, fork and delete sessions.")

SessionId = Annotated[str, typer.Argument(metavar="ID", help="The session's id, or the beginning of it.")]


def _store(flags: RunFlags) -> "Store":
    from kimi_code.session.store import Store

    return Store(load_settings(flags).data_dir)


@app.command("list")
def list_sessions(
    ctx: typer.Context,
    everywhere: Annotated[bool, typer.Option("--all", help="Of all folders, not of this one only.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """The sessions of this folder, newest first."""
    flags: RunFlags = ctx.find_root().obj
    found = _store(flags).list()
    here = str(working_folder(flags))
    shown = found if everywhere else [meta for meta in found if meta.cwd == here]
    if as_json:
        say_json([_summary(meta) for meta in shown])
        return
    if shown:
        header = ("ID", "AGE", "TURNS", "COST", "FOLDER", "TITLE")
        say_table(header, [_cells(meta, time.time()) for meta in shown])
    if len(shown) < len(found):
        say(f"{len(found) - len(shown)} of other folders: kimi-code sessions list --all", to=sys.stderr)
    elif not found:
        say("There are no sessions yet.", to=sys.stderr)


def _summary(meta: "SessionMeta") -> dict[str, object]:
    return {
        "id": meta.id,
        "cwd": meta.cwd,
        "title": meta.title,
        "model": meta.model,
        "created": meta.created,
        "updated": meta.updated,
        "turns": meta.turns,
        "cost_usd": meta.cost_usd,
        "path": str(meta.path),
    }


def _cells(meta: "SessionMeta", now: float) -> tuple[str, ...]:
    cost = "-" if meta.cost_usd is None else f"${meta.cost_usd:.4f}"
    return (meta.id, age(now - meta.updated), str(meta.turns), cost, meta.cwd, meta.title)


def age(seconds: float) -> str:
    """How long ago, in the largest unit that fits: "now", "5 min", "3 h", "12 d"."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return "now"


@app.command()
def show(ctx: typer.Context, session: SessionId) -> None:
    """The session's conversation, readable."""
    meta = _store(ctx.find_root().obj).find(session)
    from kimi_code.session.export import markdown

    for line in markdown(meta, _records(meta)):
        say(_printable(line))


def _printable(text: str) -> str:
    """`text` with its line breaks and tabs, without what would move a terminal's cursor."""
    return "\n".join("\t".join(clean_part(part) for part in line.split("\t")) for line in text.split("\n"))


def clean_part(text: str) -> str:
    """Like `clean`, but leading and trailing blanks stay."""
    blank = len(text) - len(text.lstrip(" "))
    return " " * blank + clean(text)


@app.command()
def export(
    ctx: typer.Context,
    session: SessionId,
    form: Annotated[
        Literal["markdown", "jsonl"], typer.Option("--format", metavar="FORMAT", help="markdown or jsonl.")
    ] = "markdown",
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write here instead of standard output.")
    ] = None,
) -> None:
    """The session as Markdown or as JSON lines, without secrets."""
    flags: RunFlags = ctx.find_root().obj
    meta = _store(flags).find(session)
    scrub = Scrubber(load_settings(flags).secrets).scrub
    from kimi_code.session.export import markdown

    lines = markdown(meta, _records(meta)) if form == "markdown" else _lines(meta)
    text = "".join(scrub(line) + "\n" for line in lines)
    if output is None:
        sys.stdout.write(text)
        return
    output.write_text(text, encoding="utf-8", errors="backslashreplace")
    say(f"Written to {output}", to=sys.stderr)


@app.command()
def fork(ctx: typer.Context, session: SessionId) -> None:
    """A new session that begins with this one's history; prints its id, for `-r`. The first stays as it is."""
    store = _store(ctx.find_root().obj)
    say(store.fork(store.find(session)).id)


@app.command()
def delete(
    ctx: typer.Context,
    sessions: Annotated[list[str], typer.Argument(metavar="ID...", help="Ids, or their beginnings.")],
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Do not ask.")] = False,
) -> None:
    """Delete sessions for good."""
    store = _store(ctx.find_root().obj)
    metas = [store.find(session) for session in sessions]
    for meta in metas:
        say(f"{meta.id}  {clean(meta.title)}  ({meta.turns} turn{'s' * (meta.turns != 1)}, {meta.cwd})", to=sys.stderr)
    if not yes and not confirm(f"Delete {len(metas)} session{'s' * (len(metas) > 1)} for good? [y/N] "):
        say("Nothing was deleted.", to=sys.stderr)
        raise typer.Exit(1)
    for meta in metas:
        store.delete(meta)
        say(f"Deleted {meta.id}", to=sys.stderr)


def _records(meta: "SessionMeta") -> Iterable["Record"]:
    from kimi_code.session.journal import read

    return read(meta.journal).records


def _lines(meta: "SessionMeta") -> Iterator[str]:
    with meta.journal.open(encoding="utf-8", errors="replace") as file:
        yield from (line.rstrip("\n") for line in file if line.strip())

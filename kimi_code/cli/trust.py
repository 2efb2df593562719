"""`kimi-code trust`: show what a project's own files would do here, and remember the user's word on them."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from kimi_code.cli.folder import working_folder
from kimi_code.cli.output import confirm, say, say_json, say_table
from kimi_code.cli.run import working_folder as resolved
from kimi_code.config import find_places
from kimi_code.config.trust import FOLDER, Contents, Trust, read
from kimi_code.errors import UsageError

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def trust(
    ctx: typer.Context,
    directory: Annotated[
        str | None, typer.Argument(metavar="[DIR]", help="The project; this folder if left out.")
    ] = None,
    show_list: Annotated[bool, typer.Option("--list", help="What is trusted.")] = False,
    revoke: Annotated[bool, typer.Option("--revoke", help="Trust it no longer.")] = False,
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Do not ask.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --list: as JSON.")] = False,
) -> None:
    """Use a project's own settings, after showing them.

    What is in the project's .kimi-code folder takes effect once it is trusted, and until it changes.
    """
    if show_list and (revoke or directory or yes):
        raise UsageError("--list shows all that is trusted and takes nothing else.", hint="Leave the rest out.")
    folder = resolved(directory) if directory else working_folder(ctx.find_root().obj)
    places = find_places(os.environ, folder)
    store = Trust(places.data_dir)
    if show_list:
        _list(store, as_json=as_json)
        return
    project = places.project_file.parent if places.project_file else folder / FOLDER
    if revoke:
        _revoke(store, project)
    else:
        _grant(store, project, yes=yes)


def _list(store: Trust, *, as_json: bool) -> None:
    rows = [(str(kept.folder.parent), store.state(kept.folder), kept.digest) for kept in store.granted()]
    if as_json:
        say_json([{"folder": folder, "state": state, "sha256": digest} for folder, state, digest in rows])
    elif rows:
        say_table(("FOLDER", "STATE", "SHA256"), [(folder, state, digest[:12]) for folder, state, digest in rows])
    else:
        say("Nothing is trusted.", to=sys.stderr)


def _revoke(store: Trust, project: Path) -> None:
    if not store.revoke(project):
        raise UsageError(f"{project.parent} was not trusted.", hint="kimi-code trust --list shows what is.")
    say(f"No longer trusted: {project.parent}", to=sys.stderr)


def _grant(store: Trust, project: Path, *, yes: bool) -> None:
    if not project.is_dir():
        raise UsageError(
            f"{project.parent} has no {FOLDER} folder, so there is nothing to trust.",
            hint="Name the project: kimi-code trust DIR",
        )
    contents = read(project)
    state = store.state(project)
    if state == "trusted":
        say(f"Trusted already, and unchanged: {project.parent}", to=sys.stderr)
        return
    _show(contents)
    if state == "changed":
        say("It has changed since you trusted it.", to=sys.stderr)
    if not yes and not confirm(f"Use these files whenever kimi-code works in {visible(str(project.parent))}? [y/N] "):
        say("Not trusted.", to=sys.stderr)
        raise typer.Exit(1)
    store.grant(contents)  # what was shown, whatever is on the disk by now
    say(f"Trusted: {project.parent}", to=sys.stderr)


def _show(contents: Contents) -> None:
    for name, content in contents.files:
        say(f"--- {visible(str(contents.folder / name))}")
        for line in content.decode("utf-8", "backslashreplace").split("\n"):
            say(visible(line))


def visible(text: str) -> str:
    """`text` with everything that a terminal would not show as it is (controls, invisible and turning ones) escaped."""
    return "".join(
        char if char.isprintable() or char == "\t" else char.encode("unicode_escape").decode() for char in text
    )

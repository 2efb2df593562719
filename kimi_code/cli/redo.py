"""`kimi-code redo`: bring back what undo took."""

import typer

from kimi_code.cli.undo import Asked, Count, Directory, DryRun, Force, Json, Merge, Resume, rewind

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def redo(
    ctx: typer.Context,
    count: Count = 1,
    resume: Resume = None,
    directory: Directory = None,
    force: Force = False,
    merge: Merge = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Bring back what the last undo took, files and conversation.

    Impossible once a new turn has been built on what the undo left.
    """
    asked = Asked(count, resume, force, merge, dry_run, as_json)
    raise typer.Exit(rewind(ctx, "redo", asked, directory))

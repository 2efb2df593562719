"""`kimi-code schema`: the forms of what kimi-code writes, as JSON Schemas."""

import typer

from kimi_code.cli.output import say_json

app = typer.Typer(add_completion=False, rich_markup_mode=None, help="JSON Schemas of what kimi-code writes.")


@app.callback()
def schema() -> None:
    """JSON Schemas of what kimi-code writes."""


@app.command()
def events() -> None:
    """A line of a session's journal and of --output-format jsonl."""
    from kimi_code.session.codec import schema

    say_json(schema())

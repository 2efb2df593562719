"""`kimi-code logout`: remove a key that `kimi-code login` kept."""

import sys
from typing import Annotated

import typer

from kimi_code.cli.folder import load_settings
from kimi_code.cli.output import say
from kimi_code.errors import UsageError

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def logout(
    ctx: typer.Context,
    provider: Annotated[
        str | None, typer.Argument(metavar="[PROVIDER]", help="Whose key; the default provider's if left out.")
    ] = None,
) -> None:
    """Remove a key that `kimi-code login` or the screen kept."""
    from kimi_code.config.keystore import Keystore
    from kimi_code.config.settings import DEFAULT_PROVIDER

    settings = load_settings(ctx.find_root().obj)
    name = provider or settings.provider or DEFAULT_PROVIDER
    store = Keystore(settings.data_dir)
    kept = store.where(name)
    if kept is None or not store.forget(name):
        raise UsageError(f"No key is kept for {name}.", hint="kimi-code login --list shows which are.")
    say(f"Removed from {kept.where}: the key for {name}.", to=sys.stderr)

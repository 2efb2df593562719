"""`kimi-code login`: keep an API key, after asking its server whether it is one."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from kimi_code.cli.folder import load_settings
from kimi_code.cli.output import mask, say, say_json, say_table
from kimi_code.errors import AuthError, UsageError

if TYPE_CHECKING:
    from kimi_code.config import ProviderSettings, Settings
    from kimi_code.config.keystore import Keystore

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def login(
    ctx: typer.Context,
    provider: Annotated[
        str | None, typer.Argument(metavar="[PROVIDER]", help="Whose key it is; the default provider if left out.")
    ] = None,
    show_list: Annotated[bool, typer.Option("--list", help="Which keys are kept, and where.")] = False,
    no_check: Annotated[
        bool, typer.Option("--no-check", help="Do not ask the server whether it takes the key.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --list: as JSON.")] = False,
) -> None:
    """Keep an API key, so that it need not be in the environment.

    In the system's keyring where there is one, else in a file that only you can read. It is asked for without being
    shown, or read from a pipe. A key in the environment or the configuration wins over it.

    \b
    kimi-code login
    pass show moonshot | kimi-code login moonshot-cn
    """
    from kimi_code.config.keystore import Keystore, check_key

    settings = load_settings(ctx.find_root().obj)
    store = Keystore(settings.data_dir)
    if show_list:
        if provider or no_check:
            raise UsageError("--list shows all keys that are kept and takes nothing else.")
        _list(store, as_json=as_json)
        return
    chosen = find_provider(settings, provider)
    key = check_key(_read_key(chosen))
    if not no_check:
        _check(chosen, key)
    kept = store.keep(chosen.name, chosen.base_url, key)
    say(f"Kept in {kept.where}: the key {mask(key)} for {chosen.name} ({chosen.base_url}).", to=sys.stderr)
    origin = settings.origins.get(f"providers.{chosen.name}.api_key")
    if origin:
        say(f"While there is one from {origin}, that one is used.", to=sys.stderr)


def _list(store: "Keystore", *, as_json: bool) -> None:
    rows = [(kept.provider, kept.base_url, kept.where) for kept in store.list()]
    if as_json:
        say_json([{"provider": name, "base_url": url, "where": where} for name, url, where in rows])
    elif rows:
        say_table(("PROVIDER", "SERVER", "WHERE"), rows)
    else:
        say("No key is kept.", to=sys.stderr)


def find_provider(settings: "Settings", name: str | None) -> "ProviderSettings":
    """The provider of that name, the default one without. Raises UsageError when there is none, or it is a script."""
    from kimi_code.config.settings import DEFAULT_PROVIDER

    wanted = name or settings.provider or DEFAULT_PROVIDER
    found = settings.providers.get(wanted)
    if found is None:
        known = ", ".join(sorted(settings.providers))
        raise UsageError(f"There is no provider {wanted!r}; there are {known}.", hint="Add it to config.toml first.")
    return found


def _read_key(provider: "ProviderSettings") -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline()
    from getpass import getpass

    return getpass(f"API key for {provider.name} ({provider.base_url}), not shown: ")


def _check(provider: "ProviderSettings", key: str) -> None:
    import asyncio
    from dataclasses import replace

    from kimi_code.cli.models import list_models

    try:
        asyncio.run(list_models(replace(provider, api_key=key)))
    except AuthError as error:
        raise AuthError(
            error.message, hint=f"{error.hint} Nothing was kept; --no-check keeps it all the same."
        ) from None

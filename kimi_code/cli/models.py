"""`kimi-code models`: what the configured server offers, and what is known of it."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from kimi_code.cli.folder import load_settings
from kimi_code.cli.output import say, say_json, say_table, warn
from kimi_code.config import Choice, ProviderSettings, Settings, choose
from kimi_code.errors import UsageError
from kimi_code.values import frozen

if TYPE_CHECKING:
    from kimi_code.llm.model import ModelListing, Price
    from kimi_code.llm.profiles import Kind


app = typer.Typer(add_completion=False, rich_markup_mode=None)


@frozen
class ModelRow:
    """A model as it is listed; `context` is in tokens, `chosen` is the one that runs without -m."""

    id: str
    display_name: str
    context: int
    reasoning: bool
    vision: bool
    price: "Price | None"
    chosen: bool


@app.command()
def models(
    ctx: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """List the models the server offers.

    With context length, abilities, and the price per million tokens where it is known.
    """
    import asyncio

    settings = load_settings(ctx.find_root().obj)
    for text in settings.warnings:
        warn(text)
    choice = choose(settings)
    rows = [_row(settings, choice, listing) for listing in asyncio.run(list_models(choice.provider))]
    if as_json:
        say_json([asdict(row) for row in rows])
        return
    header = ("MODEL", "NAME", "CONTEXT", "REASONING", "VISION", "PRICE IN/CACHED/OUT")
    say_table(header, [_cells(row) for row in rows])
    if any(row.chosen for row in rows):
        say("\n* what runs now without -m")


def _dialect(provider: ProviderSettings) -> "Kind":
    if provider.kind == "scripted":
        raise UsageError("A script is no server: it has no list of models.", hint="Leave out -m scripted:FILE.")
    return provider.kind


async def list_models(provider: ProviderSettings, silence: float = 10.0) -> "list[ModelListing]":
    """What the server offers; `silence` is in seconds.

    Raises:
        ModelError: the server cannot be asked.
        UsageError: the provider is a script.
    """
    from kimi_code.llm.openai_chat import OpenAIChat
    from kimi_code.llm.profiles import profile_for

    chat = OpenAIChat(
        provider.base_url,
        provider.api_key,
        profile_for("", _dialect(provider)),
        kind=_dialect(provider),
        headers=provider.headers,
        silence_timeout=silence,
    )
    try:
        return await chat.list_models()
    finally:
        await chat.close()


def _row(settings: Settings, choice: Choice, listing: "ModelListing") -> ModelRow:
    """What the server says, completed by the user's words about the model, then by what is built in."""
    from kimi_code.llm.profiles import profile_for

    provider = choice.provider
    own = [m.profile for m in settings.models.values() if (m.provider, m.id) == (provider.name, listing.id)]
    profile = profile_for(listing.id, _dialect(provider), own[0] if own else None)
    return ModelRow(
        id=listing.id,
        display_name=listing.display_name,
        context=listing.context or profile.context,
        reasoning=profile.thinking != "none" if listing.reasoning is None else listing.reasoning,
        vision=profile.vision if listing.vision is None else listing.vision,
        price=profile.price,
        chosen=listing.id == choice.model_id,
    )


def _cells(row: ModelRow) -> tuple[str, ...]:
    price = row.price
    return (
        f"{row.id} *" if row.chosen else row.id,
        row.display_name or "-",
        f"{row.context:,}",
        "yes" if row.reasoning else "no",
        "yes" if row.vision else "no",
        f"${price.input:g} / ${price.cached:g} / ${price.output:g} ({price.noted})" if price else "-",
    )

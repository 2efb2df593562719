"""Which server and which model a run uses, and whether it has the key for it."""

import os
from collections.abc import Mapping
from dataclasses import field, replace

from kimi_code.config.keystore import Keystore
from kimi_code.config.settings import DEFAULT_MODEL, DEFAULT_PROVIDER, ProviderSettings, Settings
from kimi_code.errors import AuthError, ConfigError, UsageError
from kimi_code.values import frozen

SCRIPTED = "scripted:"


@frozen
class Choice:
    """A server and a model on it; `profile` overrides fields of the built-in profile.

    A script has a provider of kind "scripted", and its file as `model_id`. `model_id` is "" for a server on this
    machine when nobody chose: take the first model it offers.
    """

    provider: ProviderSettings
    model_id: str
    profile: Mapping[str, object] = field(default_factory=dict[str, object])


def choose(settings: Settings) -> Choice:
    """What `settings.model` and `settings.provider` mean.

    A key that neither the environment nor a file gives is looked up where `kimi-code login` keeps it.

    Raises:
        AuthError: the server needs a key and there is none; the hint says how to go on.
        ConfigError: the server's address can be none, or a proxy's; the key is in a keyring that does not give it.
        UsageError: no model is chosen and the provider has no default one.
    """
    choice = _resolve(settings)
    provider = choice.provider
    if provider.kind != "scripted":
        _check_addresses(settings, provider)
    if provider.kind != "scripted" and not provider.api_key:
        key = Keystore(settings.data_dir).find(provider.name, provider.base_url)
        choice = replace(choice, provider=replace(provider, api_key=key))
    if needs_key(choice.provider):
        raise _no_key(settings, choice.provider)
    return choice


def _check_addresses(settings: Settings, provider: ProviderSettings) -> None:
    """Refuse what would fail with the first request, while it is known where it stands."""
    from kimi_code.addresses import proxy_problem, url_problem, without_password

    if problem := url_problem(provider.base_url):
        place = settings.origins.get(f"providers.{provider.name}.base_url", "configuration")
        shown = without_password(provider.base_url)
        raise ConfigError(f"{place}: providers.{provider.name}.base_url: {shown!r} {problem}.", hint="Mend it there.")
    if problem := proxy_problem(os.environ):
        raise ConfigError(f"environment {problem}.", hint="Mend or unset it.")


def _resolve(settings: Settings) -> Choice:
    name = settings.model
    if name.startswith(SCRIPTED):
        return Choice(ProviderSettings("scripted", "", "scripted"), name.removeprefix(SCRIPTED))
    if name in settings.models:
        model = settings.models[name]
        return Choice(settings.providers[model.provider], model.id, model.profile)
    head, slash, rest = name.partition("/")
    if slash and head in settings.providers:
        provider = settings.providers[head]
        return Choice(provider, rest.strip() or _default_model(provider))
    provider = settings.providers[settings.provider or DEFAULT_PROVIDER]
    return Choice(provider, name or _default_model(provider))


def _default_model(provider: ProviderSettings) -> str:
    if provider.kind == "moonshot":
        return DEFAULT_MODEL
    if provider.kind == "local":
        return ""
    raise UsageError(
        f"No model is chosen for the provider {provider.name}.",
        hint=f"Give one with -m {provider.name}/ID, or set `model` in the configuration.",
    )


def needs_key(provider: ProviderSettings) -> bool:
    """Whether the provider lacks a key that it needs; servers of this machine or of a private network need none."""
    return bool(provider.key_variable) and not provider.api_key and not is_local(provider.base_url)


def is_local(base_url: str) -> bool:
    """Whether the URL's host is this machine or a private address."""
    from ipaddress import ip_address
    from urllib.parse import urlsplit

    try:
        host = urlsplit(base_url).hostname or ""
    except ValueError:
        return False  # it is none at all
    if host == "localhost" or host.endswith((".localhost", ".local", ".internal")):
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_private


def is_unconfigured(settings: Settings) -> bool:
    """Whether nobody chose a server or a model and there is no key: the moment to look for a local server."""
    provider = settings.providers[DEFAULT_PROVIDER]
    untouched = not settings.model and not settings.provider
    return untouched and needs_key(provider) and not Keystore(settings.data_dir).has(provider.name, provider.base_url)


def _no_key(settings: Settings, provider: ProviderSettings) -> AuthError:
    variable = provider.key_variable
    others = [p for p in settings.providers.values() if p.api_key and p.kind != provider.kind]
    spare = f"\nThere is a key for {others[0].name}: `-m {others[0].name}/MODEL` uses it." if others else ""
    return AuthError(
        f"There is no API key for {provider.name} ({provider.base_url}).",
        hint=(
            "Three ways to go on:\n"
            f"  1. export {variable}=...   with a key of yours, or `kimi-code login`, which keeps it\n"
            "  2. start a local server, such as Ollama, and choose its model: -m ollama/MODEL\n"
            "  3. kimi-code demo          shows the whole thing with scripted words, no key needed" + spare
        ),
    )

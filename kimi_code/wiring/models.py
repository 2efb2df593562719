"""Which model a session talks to, and the adapter for it."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

from kimi_code.config import Choice, ProviderSettings, Settings, choose, is_unconfigured
from kimi_code.events import Notice
from kimi_code.llm.model import Model
from kimi_code.secrets import Scrubber


async def choose_model(settings: Settings) -> tuple[Choice, list[Notice]]:
    """The one that is configured, else one of a local server's, and what is to be said of that."""
    if not is_unconfigured(settings):
        return choose(settings), []
    from kimi_code.llm.discovery import find_local

    for base_url, models in await find_local(settings.local_servers):
        if models:
            named = next((p for p in settings.providers.values() if p.base_url == base_url), None)
            provider = named or ProviderSettings("local", base_url, "local")
            words = f"No key is set: using {models[0]} of the local server at {base_url}."
            return Choice(provider, models[0]), [Notice("info", words)]
    return choose(settings), []


def make_model(
    choice: Choice,
    settings: Settings,
    scrubber: Scrubber,
    observe: Callable[[Mapping[str, str]], object] = lambda headers: None,
) -> Model:
    """The adapter; `observe` sees the headers of its answers."""
    provider = choice.provider
    scrubber.learn(provider.api_key)  # which may come from where settings do not look
    if provider.kind == "scripted":
        from kimi_code.llm.scripted import ScriptedModel

        model: Model = ScriptedModel(Path(choice.model_id))
    else:
        from kimi_code.llm.openai_chat import OpenAIChat
        from kimi_code.llm.profiles import profile_for

        model = OpenAIChat(
            provider.base_url,
            provider.api_key,
            profile_for(choice.model_id, provider.kind, choice.profile),
            kind=provider.kind,
            headers=provider.headers,
            silence_timeout=settings.silence_timeout,
            observe=observe,
            ask_vision="vision" not in choice.profile,
        )
    if settings.record is not None:
        from kimi_code.llm.recording import RecordingModel

        model = RecordingModel(model, settings.record, scrubber.scrub)
    return model


async def model_ready(settings: Settings) -> None:
    """Until a first request could be sent: the import of the SDK takes longest."""
    if not settings.model.startswith("scripted:"):
        from kimi_code.llm.sdk import preload

        await asyncio.to_thread(preload)

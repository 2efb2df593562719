"""Which models a session and its sub-agents talk to, the adapters for them, and the queues to their providers."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from kimi_code.config import Choice, ProviderSettings, Settings, choose, is_unconfigured
from kimi_code.events import Notice
from kimi_code.llm.model import Model
from kimi_code.secrets import Scrubber

if TYPE_CHECKING:
    from kimi_code.llm.limiter import Limiter, Waiting


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


@dataclass(slots=True)
class Models:
    """A session's own model and those of its sub-agents; `use` chooses the own one before any other is asked for.

    Once there are sub-agents (`queue`), all requests to a provider pass one limiter, in which the session's go first.
    """

    settings: Settings
    scrubber: Scrubber
    _own: tuple[Model, str] | None = None
    _others: dict[str, tuple[Model, str]] = field(default_factory=dict[str, tuple[Model, str]])
    _limiters: "dict[str, Limiter]" = field(default_factory=dict[str, "Limiter"])
    _queued: bool = False

    def use(self, choice: Choice) -> Model:
        """The session's own model, from now on."""
        self._own = self._make(choice, self.settings)
        return self.queue() if self._queued else self.own

    @property
    def own(self) -> Model:
        """The session's own, past the queue."""
        assert self._own is not None
        return self._own[0]

    def queue(self) -> Model:
        """The session's own in the queue, in which all stand from now on."""
        assert self._own is not None
        self._queued = True
        return self._limited(*self._own, "main", urgent=True)

    def of(self, name: str, path: str, waiting: "Waiting") -> Model:
        """The model of the sub-agent at `path`, by the name it has in the settings; the session's own for ""."""
        if name and name not in self._others:
            settings = replace(self.settings, model=name, record=None)
            self._others[name] = self._make(choose(settings), settings)
        made = self._others[name] if name else self._own
        assert made is not None
        return self._limited(*made, path, waiting=waiting)

    async def close(self) -> None:
        """Close the connections of other models than the session's."""
        for model, _ in self._others.values():
            await model.close()

    def _make(self, choice: Choice, settings: Settings) -> tuple[Model, str]:
        provider = choice.provider.base_url
        return make_model(choice, settings, self.scrubber, partial(self._observe, provider)), provider

    def _observe(self, provider: str, headers: Mapping[str, str]) -> None:
        if provider in self._limiters:
            self._limiters[provider].observe(headers)

    def _limited(
        self, model: Model, provider: str, path: str, *, urgent: bool = False, waiting: "Waiting | None" = None
    ) -> Model:
        from kimi_code.llm.limiter import Limited, Limiter

        limiter = self._limiters.setdefault(provider, Limiter())
        return Limited(model, limiter, path, urgent=urgent, waiting=waiting)


async def model_ready(settings: Settings) -> None:
    """Until a first request could be sent: the import of the SDK takes longest."""
    if not settings.model.startswith("scripted:"):
        from kimi_code.llm.sdk import preload

        await asyncio.to_thread(preload)

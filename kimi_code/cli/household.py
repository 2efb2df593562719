"""What the screen's set-up needs of this machine: servers found, keys kept, choices written, folders trusted."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from kimi_code.cli.run import RunFlags
from kimi_code.config import Places, ProviderSettings, Settings, is_unconfigured, load
from kimi_code.config.keystore import Keystore, check_key
from kimi_code.config.settings import DEFAULT_MODEL, builtin_providers
from kimi_code.errors import ConfigError
from kimi_code.tui.welcome import ProjectFiles, Server

if TYPE_CHECKING:
    from kimi_code.llm.profiles import Kind

_SOFTWARE = {"ollama": "Ollama", "lmstudio": "LM Studio", "vllm": "vLLM", "llamacpp": "llama.cpp"}
_KIMI = ("moonshot", "moonshot-cn")
_SILENCE = 60.0  # seconds; a local server may have to load the model first
_OTHER = "other"


class LocalHousehold:
    """This machine and this user's configuration. Loads what talks to servers only when one is asked."""

    def __init__(self, flags: RunFlags, env: Mapping[str, str], folder: Path, places: Places) -> None:
        self._flags, self._env, self._folder, self._places = flags, env, folder, places

    def _settings(self, *, trusted: bool | None = None) -> Settings:
        return load(self._flags, self._env, self._folder, trusted=self._flags.trust if trusted is None else trusted)

    async def is_new(self) -> bool:
        return await asyncio.to_thread(lambda: is_unconfigured(self._settings()))

    # --- Servers ---

    async def found(self) -> Sequence[Server]:
        from kimi_code.llm.discovery import find_local

        settings = self._settings()
        named = {provider.base_url: provider.name for provider in settings.providers.values()}
        return [
            Server(named.get(url, _OTHER), _label(named.get(url, "")), url, models, needs_key=False)
            for url, models in await find_local(settings.local_servers)
            if models
        ]

    def known(self) -> Sequence[Server]:
        providers = builtin_providers()
        return [Server(name, "Kimi", providers[name].base_url) for name in _KIMI]

    async def list_models(self, server: Server, key: str) -> Sequence[str]:
        from kimi_code.cli.models import list_models

        listings = await list_models(_provider(server, key), silence=_SILENCE)
        ids = [listing.id for listing in listings]
        # The one that runs without a choice is the choice of most.
        return sorted(ids, key=lambda id: id != DEFAULT_MODEL)

    async def try_out(self, server: Server, key: str, model: str) -> float:
        from contextlib import aclosing

        from kimi_code.llm.model import ModelRequest
        from kimi_code.llm.openai_chat import OpenAIChat
        from kimi_code.llm.profiles import profile_for
        from kimi_code.messages import Message

        provider = _provider(server, key)
        kind: Kind = "openai" if provider.kind == "scripted" else provider.kind
        chat = OpenAIChat(
            provider.base_url, provider.api_key, profile_for(model, kind), kind=kind, silence_timeout=_SILENCE
        )
        request = ModelRequest("", [Message("user", "Answer with one word: ready")], thinking="off")
        try:
            await asyncio.to_thread(chat.prepare)
            began = time.monotonic()
            async with aclosing(chat.stream(request)) as chunks:
                async for _ in chunks:
                    pass
            return time.monotonic() - began
        finally:
            await chat.close()

    # --- Choices ---

    def keep(self, server: Server, key: str, model: str) -> str:
        from kimi_code.config.remember import choose_in

        name = server.name
        values: dict[tuple[str, ...], str] = {}
        if name == _OTHER:
            name = self._free_name(server.base_url)
            values["providers", name, "base_url"] = server.base_url
        where = Keystore(self._places.data_dir).keep(name, server.base_url, key).where if key.strip() else ""
        values["provider",] = name
        values["model",] = f"{name}/{model}"
        choose_in(self._places.user_file, values)
        return where

    def _free_name(self, base_url: str) -> str:
        """A provider's name for this server: one that it has, or that is free."""
        providers = self._settings().providers
        same = [name for name, provider in providers.items() if provider.base_url == base_url]
        if same:
            return same[0]
        return next(name for name in ("own", *(f"own{n}" for n in range(2, 1_000))) if name not in providers)

    def keep_theme(self, name: str) -> None:
        from kimi_code.config.remember import choose_in

        choose_in(self._places.user_file, {("screen", "theme"): name})

    # --- The folder's own files ---

    async def project_files(self) -> ProjectFiles | None:
        return await asyncio.to_thread(self._project_files)

    def _project_files(self) -> ProjectFiles | None:
        file = self._places.project_file
        if file is None or self._flags.trust:
            return None
        from kimi_code.config.trust import Trust, read

        trust = Trust(self._places.data_dir)
        state = trust.state(file.parent)
        if state == "trusted":
            return None
        contents = read(file.parent)
        text = "\n".join(
            f"--- {name}\n{content.decode('utf-8', 'backslashreplace')}" for name, content in contents.files
        )
        from kimi_code.cli.trust import visible

        shown = "\n".join(visible(line) for line in text.split("\n"))
        return ProjectFiles(
            str(file.parent.parent), self._effects(file), shown, contents.digest, changed=state == "changed"
        )

    def _effects(self, file: Path) -> tuple[str, ...]:
        """What the project's settings would change, and what of them would be left out, in the loader's own words."""
        from kimi_code.cli.trust import visible

        try:
            before, after = self._settings(trusted=False), self._settings(trusted=True)
        except ConfigError as error:
            return (f"none, for it cannot be used: {visible(error.message)}",)
        lines: list[str] = []
        for key, origin in after.origins.items():
            if str(file) not in origin:
                continue
            old, new = getattr(before, key, None), getattr(after, key, None)
            if isinstance(new, tuple):
                known = len(cast("tuple[object, ...]", old)) if isinstance(old, tuple) else 0
                added = cast("tuple[object, ...]", new)[known:]
                lines.append(f"{key}: also {', '.join(map(str, added))}")
            else:
                lines.append(f"{key} = {new}" + (f", instead of {old}" if key in before.origins else ""))
        ignored = [text.removeprefix(f"{file}: ") for text in after.warnings if text.startswith(str(file))]
        return tuple(visible(line) for line in (*lines, *ignored))

    def trust(self, files: ProjectFiles) -> None:
        from kimi_code.config.trust import Trust, read

        assert self._places.project_file is not None
        contents = read(self._places.project_file.parent)
        if contents.digest != files.digest:
            raise ConfigError(
                f"The files in {contents.folder} changed while you looked at them: they are not trusted.",
                hint="Start again to see them as they are now.",
            )
        Trust(self._places.data_dir).grant(contents)


def _label(name: str) -> str:
    return _SOFTWARE.get(name, "A local server")


def _provider(server: Server, key: str) -> ProviderSettings:
    known = builtin_providers().get(server.name)
    base = known or ProviderSettings(server.name, server.base_url, "openai" if server.needs_key else "local")
    return replace(base, base_url=server.base_url, api_key=check_key(key) if key.strip() else "")

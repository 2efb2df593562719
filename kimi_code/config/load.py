"""Precedence: defaults, then the user's file, the project's (trusted, narrowing), the environment, the flags."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kimi_code.config.settings import (
    DEFAULT_PROVIDER,
    MODES,
    CheckoutSettings,
    CheckpointSettings,
    Flags,
    ModelSettings,
    ProviderSettings,
    ScreenSettings,
    Settings,
    builtin_providers,
)
from kimi_code.errors import ConfigError, UsageError
from kimi_code.values import frozen

if TYPE_CHECKING:
    from kimi_code.config.file import ConfigFile, ModelTable, ProviderTable

# What a repository may say about its own work. It may never name servers or keys, nor allow anything.
PROJECT_LISTS = ("ask", "deny")
PROJECT_LIMITS = ("max_steps", "max_tokens", "max_cost", "max_session_tokens", "max_session_cost", "timeout")
PROJECT_VALUES = ("model", "thinking", "permission_mode", "command_timeout", "instructions_limit", "map_tokens")

_CHECKPOINT_KEYS = {field.name for field in fields(CheckpointSettings)}
_RULE_LISTS = ("allow", *PROJECT_LISTS)

KEY_VARIABLES: Mapping[str, tuple[str, ...]] = {
    "KIMI_API_KEY": ("KIMI_API_KEY", "MOONSHOT_API_KEY"),
    "OPENAI_API_KEY": ("OPENAI_API_KEY",),
}
URL_VARIABLES: Mapping[str, str] = {"moonshot": "KIMI_BASE_URL", "openai": "OPENAI_BASE_URL"}

_APP = "kimi-code"
# Shorter ones are placeholders such as "ollama": hiding those would blacken ordinary words.
_SHORTEST_SECRET = 8
_SECRET_HEADER = re.compile(r"auth|key|token|cookie|secret", re.IGNORECASE)


@frozen
class Places:
    """Where configuration and data are. The files need not exist; `project_file` is None when there is none."""

    user_file: Path
    project_file: Path | None
    data_dir: Path


def find_places(env: Mapping[str, str], cwd: Path) -> Places:
    """`$KIMI_CODE_DIR/config.toml` and `$KIMI_CODE_DIR/data`, or the platform's places; and the project's file.

    Raises:
        ConfigError: KIMI_CODE_DIR names a folder of another product, or there is no home folder.
    """
    if chosen := env.get("KIMI_CODE_DIR", ""):
        folder = _expanded(chosen).absolute()
        if folder == _home(env) / ".kimi-code":
            raise ConfigError(
                f"KIMI_CODE_DIR is {folder}, which belongs to another product.", hint="Choose another folder."
            )
        user_file, data_dir = folder / "config.toml", folder / "data"
    else:
        from platformdirs import user_config_path, user_data_path

        try:
            user_file, data_dir = user_config_path(_APP, False) / "config.toml", user_data_path(_APP, False)
        except RuntimeError:
            raise ConfigError(
                "There is no home folder to keep anything in.", hint="Set HOME or KIMI_CODE_DIR."
            ) from None
    return Places(user_file, _project_file(env, cwd), data_dir)


def _expanded(path: str) -> Path:
    return Path(os.path.expanduser(path))


def _home(env: Mapping[str, str]) -> Path:
    return Path(env.get("HOME") or env.get("USERPROFILE") or _expanded("~"))


def _project_file(env: Mapping[str, str], cwd: Path) -> Path | None:
    # Up to the repository's root; without a repository only here, or else a file planted in /tmp would speak for all.
    folders = (cwd, *cwd.parents)
    root = next((index for index, folder in enumerate(folders) if _exists(folder / ".git")), 0)
    home = _home(env)
    for folder in folders[: root + 1]:
        # ~/.kimi-code belongs to another product of a similar name.
        file = folder / ".kimi-code" / "config.toml"
        if folder != home and _exists(file):
            return file
    return None


def _exists(path: Path) -> bool:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True  # reading it will say what is wrong
    return True


@dataclass(slots=True)
class _Draft:
    """Settings in the making; later layers overwrite values and extend lists."""

    values: dict[str, Any] = field(default_factory=dict[str, Any])
    origins: dict[str, str] = field(default_factory=dict[str, str])
    warnings: list[str] = field(default_factory=list[str])

    def put(self, key: str, value: object, origin: str) -> None:
        self.values[key] = value
        self.origins[key] = origin

    def extend(self, key: str, entries: Sequence[object], origin: str) -> None:
        if not entries:
            return
        self.values[key] = (*self.values.get(key, ()), *entries)
        self.origins[key] = f"{self.origins[key]}, {origin}" if key in self.origins else origin


def load(flags: Flags | None, env: Mapping[str, str], cwd: Path, *, trusted: bool = False) -> Settings:
    """The settings of a run in `cwd` (absolute). Writes nothing and asks no server.

    The project's file is used if `trusted`, or if the user trusts its content for good.

    Raises:
        ConfigError: a file or a variable that cannot be used; the message names it, and the line where known.
        UsageError: a flag's value that cannot be used.
    """
    places = find_places(env, cwd)
    draft = _Draft()
    user = _read(places.user_file, draft)
    if user is not None:
        _apply_user(user, places.user_file, draft)
    providers = _providers(user, env, str(places.user_file), draft)
    models = _models(user, providers, str(places.user_file), draft)
    if places.project_file is not None:
        _apply_project(places.project_file, "" if trusted else _distrust(places), providers, draft)
    _apply_environment(env, draft)
    if flags is not None:
        _apply_flags(flags, cwd, draft)
    _check_provider(draft, providers)
    local = tuple(provider.base_url for provider in providers.values() if provider.kind == "local")
    draft.values.setdefault("local_servers", local)
    return Settings(
        **draft.values,
        providers=providers,
        models=models,
        data_dir=places.data_dir,
        secrets=_secrets(env, providers),
        warnings=tuple(draft.warnings),
        origins=draft.origins,
    )


def _read(path: Path, draft: _Draft) -> "ConfigFile | None":
    if not _exists(path):
        return None
    # pydantic takes tens of milliseconds to load: only for those who have a file.
    from kimi_code.config.file import read_file

    read = read_file(path, str(path))
    if read is None:
        return None
    file, warnings = read
    draft.warnings += warnings
    return file


def _apply_user(file: "ConfigFile", path: Path, draft: _Draft) -> None:
    for key in file.model_fields_set & set(type(file).model_fields) - {"providers", "models"}:
        value: Any = getattr(file, key)
        if value is None:
            continue
        if key in ("add_dirs", "caches"):
            draft.extend(key, [_expanded(entry).absolute() for entry in value], str(path))
        elif key == "local_servers":
            draft.put(key, tuple(value), str(path))
        elif key == "checkpoints":
            given = value.model_dump(include=_CHECKPOINT_KEYS, exclude_none=True)
            draft.put(key, CheckpointSettings(**given), str(path))
        elif key == "checkouts":
            names = value.model_dump(include={"linked", "copied"}, exclude_none=True)
            draft.put(key, CheckoutSettings(**{name: tuple(given) for name, given in names.items()}), str(path))
        elif key in _RULE_LISTS:
            draft.extend(key, value, str(path))
        elif key == "screen":
            draft.put(key, ScreenSettings(**value.model_dump(exclude=set(value.model_extra or {}))), str(path))
        else:
            draft.put(key, value, str(path))


def _apply_project(path: Path, distrust: str, providers: Mapping[str, ProviderSettings], draft: _Draft) -> None:
    if distrust:
        draft.warnings.append(distrust)
        return
    file = _read(path, draft)
    if file is None:
        return
    for key in sorted(file.model_fields_set & set(type(file).model_fields)):
        value: Any = getattr(file, key)
        refusal = _refusal(key, value, providers, draft)
        if refusal:
            draft.warnings.append(f"{path}: {key} is ignored: {refusal}")
        elif key in PROJECT_LISTS:
            draft.extend(key, value, str(path))
        else:
            draft.put(key, value, str(path))


def _distrust(places: Places) -> str:
    """Why the project's files are not used; "" when the user trusts them as they are."""
    from kimi_code.config.trust import Trust

    assert places.project_file is not None
    state = Trust(places.data_dir).state(places.project_file.parent)
    if state == "trusted":
        return ""
    why = "it has changed since it was trusted" if state == "changed" else "this folder is not trusted"
    return (
        f"{places.project_file} is not used: {why}. `kimi-code trust` shows it and trusts it for good, --trust uses it "
        "in this run."
    )


def _refusal(key: str, value: Any, providers: Mapping[str, ProviderSettings], draft: _Draft) -> str:
    """Why a project may not set this; "" when it may."""
    if key in PROJECT_LISTS or value is None:
        return ""
    if key in PROJECT_LIMITS:
        own = draft.values.get(key)
        return "" if own is None or value <= own else f"a project cannot raise your limit of {own}"
    if key == "permission_mode":
        own = draft.values.get(key, Settings().permission_mode)
        narrows = MODES.index(value) <= MODES.index(own)
        return "" if narrows else f'a project cannot widen your "{own}" to "{value}"'
    if key == "model":
        head, slash, _ = str(value).partition("/")
        elsewhere = str(value).startswith("scripted:") or (slash and head in providers)
        return "a project may choose a model, not the server it runs on" if elsewhere else ""
    return "" if key in PROJECT_VALUES else "a project cannot set this"


def _apply_environment(env: Mapping[str, str], draft: _Draft) -> None:
    if env.get("KIMI_BASE_URL", "").strip():
        draft.put("provider", DEFAULT_PROVIDER, "environment KIMI_BASE_URL")
    if model := env.get("KIMI_MODEL", "").strip():
        draft.put("model", model, "environment KIMI_MODEL")
    if record := env.get("KIMI_CODE_RECORD", ""):
        draft.put("record", _expanded(record).absolute(), "environment KIMI_CODE_RECORD")


def _apply_flags(flags: Flags, cwd: Path, draft: _Draft) -> None:
    for key in ("model", "thinking", "permission_mode", "review", *PROJECT_LIMITS):
        value: object = getattr(flags, key)
        if value is not None:
            draft.put(key, value, f"flag --{key.replace('_', '-')}")
    if flags.net:
        draft.put("net", True, "flag --net")
    if flags.commit:
        draft.put("commit", True, "flag --commit")
    if flags.yolo:
        draft.put("permission_mode", "yolo", "flag --yolo")
    draft.extend("allow", flags.allow, "flag --allow")
    draft.extend("deny", flags.deny, "flag --deny")
    draft.extend("add_dirs", [_folder(cwd, entry) for entry in flags.add_dirs], "flag --add-dir")


def _folder(cwd: Path, given: str) -> Path:
    folder = (cwd / _expanded(given)).absolute()
    if not folder.is_dir():
        raise UsageError(f"--add-dir {given}: there is no such folder.", hint="Give a folder that exists.")
    return folder


def _providers(
    user: "ConfigFile | None", env: Mapping[str, str], origin: str, draft: _Draft
) -> dict[str, ProviderSettings]:
    providers = builtin_providers()
    for name, table in (user.providers if user else {}).items():
        providers[name] = _configured(providers.get(name), name, table, origin, draft)
    for provider in list(providers.values()):
        providers[provider.name] = _from_environment(provider, env, draft)
    return providers


def _configured(
    base: ProviderSettings | None, name: str, table: "ProviderTable", origin: str, draft: _Draft
) -> ProviderSettings:
    if base is None and table.base_url is None:
        raise ConfigError(
            f"{origin}: providers.{name}: base_url is missing.",
            hint=f'Add base_url = "https://.../v1" below [providers.{name}].',
        )
    provider = base or ProviderSettings(name, "")
    changes: dict[str, Any] = {"headers": {**provider.headers, **table.headers}}
    for key in ("base_url", "kind", "api_key"):
        value: str | None = getattr(table, key)
        if value is not None:
            changes[key] = value.rstrip("/") if key == "base_url" else value.strip()
            draft.origins[f"providers.{name}.{key}"] = origin
    if table.api_key_env:
        changes["key_variable"] = table.api_key_env
    return replace(provider, **changes)


def _from_environment(provider: ProviderSettings, env: Mapping[str, str], draft: _Draft) -> ProviderSettings:
    changes: dict[str, Any] = {}
    url_variable = URL_VARIABLES.get(provider.name, "")
    if url := env.get(url_variable, "").strip():
        if not re.match(r"https?://[^\s/]", url):
            raise ConfigError(f"{url_variable} is no URL: {url!r}", hint="It should look like https://host/v1.")
        changes["base_url"] = url.rstrip("/")
        draft.origins[f"providers.{provider.name}.base_url"] = f"environment {url_variable}"
    for variable in KEY_VARIABLES.get(provider.key_variable, (provider.key_variable,)):
        if key := env.get(variable, "").strip():
            if not re.fullmatch(r"[!-~]+", key):
                raise ConfigError(
                    f"{variable} holds a blank or a character that cannot be in a key.", hint="Copy the key again."
                )
            changes["api_key"] = key
            draft.origins[f"providers.{provider.name}.api_key"] = f"environment {variable}"
            break
    return replace(provider, **changes)


def _models(
    user: "ConfigFile | None", providers: Mapping[str, ProviderSettings], origin: str, draft: _Draft
) -> dict[str, ModelSettings]:
    models: dict[str, ModelSettings] = {}
    for name, table in (user.models if user else {}).items():
        provider = table.provider or (user.provider if user and user.provider else DEFAULT_PROVIDER)
        if provider not in providers:
            raise ConfigError(f"{origin}: models.{name}.provider: {_unknown_provider(provider, providers)}")
        draft.origins[f"models.{name}"] = origin
        models[name] = ModelSettings(name, table.id or name, provider, _profile(table))
    return models


def _profile(table: "ModelTable") -> dict[str, object]:
    renamed = {"thinking_style": "thinking"}
    fields = table.model_dump(exclude_none=True, exclude={"provider", "id", *(table.model_extra or {})})
    if table.price is not None:
        fields["price"] = table.price.model_dump(include={"input", "cached", "output", "noted"})
    return {renamed.get(key, key): value for key, value in fields.items()}


def _check_provider(draft: _Draft, providers: Mapping[str, ProviderSettings]) -> None:
    name = draft.values.get("provider", "")
    if name and name not in providers:
        raise ConfigError(f"{draft.origins['provider']}: provider: {_unknown_provider(name, providers)}")


def _unknown_provider(name: str, providers: Mapping[str, ProviderSettings]) -> str:
    return f"there is no provider {name!r}; there are {', '.join(sorted(providers))}."


def _secrets(env: Mapping[str, str], providers: Mapping[str, ProviderSettings]) -> tuple[str, ...]:
    """What must never be shown, longest first, so that a key that contains another is hidden whole."""
    values = {env.get(variable, "").strip() for group in KEY_VARIABLES.values() for variable in group}
    for provider in providers.values():
        values |= {provider.api_key, env.get(provider.key_variable, "").strip()}
        values |= {value for name, value in provider.headers.items() if _SECRET_HEADER.search(name)}
    return tuple(sorted((value for value in values if len(value) >= _SHORTEST_SECRET), key=len, reverse=True))

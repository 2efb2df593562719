"""Settings: flags > environment > project TOML (trusted, narrowing) > user TOML > defaults; their only reader."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

PermissionMode = Literal["ask", "edits", "auto", "plan", "yolo"]


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """A server. `kind` chooses the dialect's quirks; the key never appears in a repr."""

    name: str
    base_url: str
    kind: Literal["moonshot", "openai", "local"] = "openai"
    api_key: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """A model by the user's name for it; `profile` overrides fields of the built-in profile."""

    name: str
    id: str
    provider: str
    profile: Mapping[str, object] = field(default_factory=dict[str, object])


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set, resolved. Times are in seconds, money in US dollars."""

    model: str = ""
    provider: str = ""
    providers: Mapping[str, ProviderSettings] = field(default_factory=dict[str, ProviderSettings])
    models: Mapping[str, ModelSettings] = field(default_factory=dict[str, ModelSettings])
    thinking: Literal["off", "on", "low", "high", "max"] | None = None
    permission_mode: PermissionMode = "auto"
    allow: tuple[str, ...] = ()
    ask: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    add_dirs: tuple[Path, ...] = ()
    max_steps: int | None = None
    max_tokens: int | None = None
    max_cost: float | None = None
    timeout: float | None = None
    silence_timeout: float = 120.0
    max_retries: int = 5
    command_timeout: float = 120.0
    local_servers: tuple[str, ...] = ()
    instructions_limit: int = 32_768
    data_dir: Path = Path()
    record: Path | None = None
    secrets: tuple[str, ...] = field(default=(), repr=False)
    warnings: tuple[str, ...] = ()

"""The values: what can be set, resolved and typed, and the servers known from the start."""

from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Literal, Protocol

from kimi_code.values import frozen

PermissionMode = Literal["ask", "edits", "auto", "plan", "yolo"]
SandboxChoice = Literal["auto", "bwrap", "landlock", "off"]
Review = Literal["each", "turn", "none"]
Thinking = Literal["off", "on", "low", "high", "max"]
ProviderKind = Literal["moonshot", "openai", "local", "scripted"]

# From the narrowest to the widest: a project may move to the left only.
MODES: tuple[PermissionMode, ...] = ("plan", "ask", "edits", "auto", "yolo")

DEFAULT_PROVIDER = "moonshot"
DEFAULT_MODEL = "kimi-k3"


@frozen
class ProviderSettings:
    """A server. `kind` chooses the dialect's quirks; the key never appears in a repr.

    `key_variable` names the environment variable that should hold the key; "" when the server may need none.
    """

    name: str
    base_url: str
    kind: ProviderKind = "openai"
    api_key: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    key_variable: str = ""


@frozen
class ModelSettings:
    """A model by the user's name for it.

    `profile` overrides fields of the built-in profile by their names there; "price" is a mapping of Price's fields.
    """

    name: str
    id: str
    provider: str
    profile: Mapping[str, object] = field(default_factory=dict[str, object])


@frozen
class CheckpointSettings:
    """How long and how much is kept for undo: `keep_days`, or as many of the newest as fit `keep_mb`.

    Files larger than `file_mb` are not saved. Megabytes are of a million bytes.
    """

    keep_days: float = 30.0
    keep_mb: int = 2_000
    file_mb: int = 50


@frozen
class CheckoutSettings:
    """Names of ignored folders that isolated copies have: `linked` read-only, `copied` as their own."""

    linked: tuple[str, ...] = ("node_modules", ".venv", "target")
    copied: tuple[str, ...] = ()


@frozen
class ScreenSettings:
    """How the screen looks and behaves. `theme` is a name or "auto"; `keys` maps ids of bindings to keys.

    `vim` is whether the prompt has Vim's keys.
    """

    theme: str = "auto"
    keys: Mapping[str, str] = field(default_factory=dict[str, str])
    notify: bool = True
    reduced_motion: bool = False
    vim: bool = False


@frozen
class Settings:
    """Everything that can be set, resolved. Times are in seconds, money in US dollars.

    `model` and `provider` are "" when nobody chose; `choose` knows the defaults. `origins` says of every key that is
    not a default where its value is from; providers' fields are keyed "providers.NAME.base_url" and so on.
    """

    model: str = ""
    provider: str = ""
    providers: Mapping[str, ProviderSettings] = field(default_factory=dict[str, ProviderSettings])
    models: Mapping[str, ModelSettings] = field(default_factory=dict[str, ModelSettings])
    thinking: Thinking | None = None
    permission_mode: PermissionMode = "auto"
    allow: tuple[str, ...] = ()
    ask: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    add_dirs: tuple[Path, ...] = ()
    review: Review = "none"
    commit: bool = False
    sandbox: SandboxChoice = "auto"
    net: bool = False
    caches: tuple[Path, ...] = ()
    max_steps: int | None = None
    max_tokens: int | None = None
    max_cost: float | None = None
    max_session_tokens: int | None = None
    max_session_cost: float | None = None
    timeout: float | None = None
    silence_timeout: float = 120.0
    max_retries: int = 5
    retry_wait: float = 0.5
    command_timeout: float = 120.0
    local_servers: tuple[str, ...] = ()
    checkpoints: CheckpointSettings = field(default_factory=CheckpointSettings)
    checkouts: CheckoutSettings = field(default_factory=CheckoutSettings)
    instructions_limit: int = 32_768
    map_tokens: int = 1_500
    screen: ScreenSettings = field(default_factory=ScreenSettings)
    data_dir: Path = Path()
    record: Path | None = None
    secrets: tuple[str, ...] = field(default=(), repr=False)
    warnings: tuple[str, ...] = ()
    origins: Mapping[str, str] = field(default_factory=dict[str, str])


class Flags(Protocol):
    """The command line's flags that are settings; None, False or empty where a flag was not given."""

    @property
    def model(self) -> str | None: ...
    @property
    def thinking(self) -> str | None: ...
    @property
    def permission_mode(self) -> str | None: ...
    @property
    def review(self) -> str | None: ...
    @property
    def commit(self) -> bool: ...
    @property
    def yolo(self) -> bool: ...
    @property
    def net(self) -> bool: ...
    @property
    def allow(self) -> Sequence[str]: ...
    @property
    def deny(self) -> Sequence[str]: ...
    @property
    def add_dirs(self) -> Sequence[str]: ...
    @property
    def max_steps(self) -> int | None: ...
    @property
    def max_tokens(self) -> int | None: ...
    @property
    def max_cost(self) -> float | None: ...
    @property
    def max_session_tokens(self) -> int | None: ...
    @property
    def max_session_cost(self) -> float | None: ...
    @property
    def timeout(self) -> float | None: ...


def builtin_providers() -> dict[str, ProviderSettings]:
    """The servers that need no configuration but a key, or run on this machine."""
    listed = (
        ProviderSettings("moonshot", "https://api.moonshot.ai/v1", "moonshot", key_variable="KIMI_API_KEY"),
        ProviderSettings("moonshot-cn", "https://api.moonshot.cn/v1", "moonshot", key_variable="KIMI_API_KEY"),
        ProviderSettings("kimi-coding", "https://api.kimi.com/coding/v1", "moonshot", key_variable="KIMI_API_KEY"),
        ProviderSettings("openai", "https://api.openai.com/v1", "openai", key_variable="OPENAI_API_KEY"),
        ProviderSettings("ollama", "http://127.0.0.1:11434/v1", "local"),
        ProviderSettings("lmstudio", "http://127.0.0.1:1234/v1", "local"),
        ProviderSettings("vllm", "http://127.0.0.1:8000/v1", "local"),
        ProviderSettings("llamacpp", "http://127.0.0.1:8080/v1", "local"),
    )
    return {provider.name: provider for provider in listed}

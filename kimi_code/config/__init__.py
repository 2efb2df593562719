"""Settings, and where each comes from: flags > environment > project TOML (trusted, narrowing) > user TOML > defaults.

`settings` holds the values, `file` the TOML's form, `load` the precedence, `choice` which server and model are meant.
Nothing else reads a configuration file or a KIMI_* variable.
"""

from kimi_code.config.choice import Choice, choose, is_unconfigured, needs_key
from kimi_code.config.load import Places, find_places, load
from kimi_code.config.settings import Flags, ModelSettings, PermissionMode, ProviderSettings, Settings, Thinking

__all__ = [
    "Choice",
    "Flags",
    "ModelSettings",
    "PermissionMode",
    "Places",
    "ProviderSettings",
    "Settings",
    "Thinking",
    "choose",
    "find_places",
    "is_unconfigured",
    "load",
    "needs_key",
]

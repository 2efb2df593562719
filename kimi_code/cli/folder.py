"""The root flags, made useful to every command: the working folder, and the settings that hold in it."""

import os
from pathlib import Path

from kimi_code.cli.run import RunFlags
from kimi_code.config import Settings, load
from kimi_code.errors import UsageError


def working_folder(flags: RunFlags) -> Path:
    """The folder of -C, or the current one; absolute, symlinks resolved.

    Raises:
        UsageError: there is no such folder, or it cannot be entered.
    """
    try:
        folder = Path(flags.directory or ".").expanduser().resolve(strict=True)
    except (OSError, RuntimeError):
        name = flags.directory or "the current folder"
        raise UsageError(f"{name}: there is no such folder.", hint="Give one that exists with -C.") from None
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder.", hint="Give a folder with -C.")
    if not os.access(folder, os.R_OK | os.X_OK):
        raise UsageError(f"{folder} cannot be read: permission denied.", hint="Mend its permissions, or give another.")
    return folder


def load_settings(flags: RunFlags) -> Settings:
    """The settings of this process: its environment, its flags, its working folder."""
    return load(flags, os.environ, working_folder(flags), trusted=flags.trust)

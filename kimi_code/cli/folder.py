"""The root flags, made useful to every command: the working folder, and the settings that hold in it."""

import os
from pathlib import Path

from kimi_code.cli import run
from kimi_code.cli.run import RunFlags
from kimi_code.config import Settings, load


def working_folder(flags: RunFlags) -> Path:
    """The folder of -C, or the current one. Raises UsageError when it cannot be used."""
    return run.working_folder(flags.directory)


def load_settings(flags: RunFlags) -> Settings:
    """The settings of this process: its environment, its flags, its working folder."""
    return load(flags, os.environ, working_folder(flags), trusted=flags.trust)

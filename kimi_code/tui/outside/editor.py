"""The user's own editor, for a text of the prompt."""

import os
import shlex
import subprocess
import tempfile
from pathlib import Path

from kimi_code.errors import UsageError


def edit(text: str, name: str = "prompt.md") -> str:
    """What the editor of $VISUAL or $EDITOR made of `text`, in a file of that name.

    Raises UsageError when there is none or it fails.
    """
    command = os.environ.get("VISUAL") or os.environ.get("EDITOR") or ("notepad" if os.name == "nt" else "vi")
    with tempfile.TemporaryDirectory(prefix="kimi-code-") as folder:
        file = Path(folder) / name
        file.write_text(text, encoding="utf-8", newline="")
        try:
            done = subprocess.run([*shlex.split(command), str(file)], check=False)
        except OSError as error:
            raise UsageError(
                f"The editor {command!r} cannot be started: {error.strerror}.", hint="Set EDITOR to one that can."
            ) from None
        if done.returncode != 0:
            raise UsageError(f"The editor {command!r} ended with code {done.returncode}; nothing is changed.")
        return file.read_bytes().decode("utf-8", errors="replace")

"""An image out of the system's clipboard, by the tool that the desktop has for it."""

import base64
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from kimi_code.errors import UsageError

_PREFIX = "kimi-code-clipboard-"
_PATIENCE = 5.0  # seconds
_POWERSHELL = (
    "Add-Type -AssemblyName System.Windows.Forms; $i = [System.Windows.Forms.Clipboard]::GetImage(); "
    "if ($i) { $m = New-Object IO.MemoryStream; $i.Save($m, [Drawing.Imaging.ImageFormat]::Png); "
    "[Convert]::ToBase64String($m.ToArray()) }"
)


def save_image(env: Mapping[str, str] = os.environ, system: str = sys.platform) -> Path | None:
    """The clipboard's image as a new temporary PNG file; None when there is no image in it.

    Raises:
        UsageError: this machine has no tool for that.
    """
    content = _read(_command(env, system), env)
    if not content.startswith(b"\x89PNG"):
        return None
    descriptor, name = tempfile.mkstemp(prefix=_PREFIX, suffix=".png")
    with os.fdopen(descriptor, "wb") as out:
        out.write(content)
    return Path(name)


def forget(files: Iterable[Path]) -> None:
    """Remove those of the files that `save_image` made; whoever was shown them has copies."""
    for file in files:
        if file.name.startswith(_PREFIX) and file.parent == Path(tempfile.gettempdir()):
            with contextlib.suppress(OSError):
                file.unlink()


def _command(env: Mapping[str, str], system: str) -> Sequence[str]:
    wanted: list[Sequence[str]] = []
    if system == "darwin":
        wanted.append(("pngpaste", "-"))
    if env.get("WAYLAND_DISPLAY"):
        wanted.append(("wl-paste", "--no-newline", "--type", "image/png"))
    if env.get("DISPLAY"):
        wanted.append(("xclip", "-selection", "clipboard", "-target", "image/png", "-out"))
    if system == "win32" or env.get("WSL_DISTRO_NAME"):
        wanted.append(("powershell.exe", "-NoProfile", "-NonInteractive", "-STA", "-Command", _POWERSHELL))
    for name, *arguments in wanted:
        if (tool := shutil.which(name, path=env.get("PATH"))) is not None:
            return (tool, *arguments)
    names = ", ".join(command[0] for command in wanted) or "wl-paste, xclip or pngpaste, and a desktop"
    raise UsageError(
        f"Images cannot be read from the clipboard here: that needs {names}.", hint="Paste the image's path instead."
    )


def _read(command: Sequence[str], env: Mapping[str, str]) -> bytes:
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PATIENCE, check=False, env=dict(env)
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UsageError(f"{command[0]} cannot read the clipboard: {error}", hint="Paste the image's path.") from None
    if "powershell" not in command[0].lower():
        return done.stdout
    try:
        return base64.b64decode(done.stdout)
    except ValueError:
        return b""

"""Which program shows a file at a line, or a web address; and that it does, without waiting for its end."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath

from kimi_code.errors import UsageError
from kimi_code.values import frozen

# How editors are told a line: `-g path:line`, `--line N path`, `path:line`, `+N path`.
_VSCODE = ("code", "code-insiders", "cursor", "windsurf", "codium", "vscodium")
_JETBRAINS = ("idea", "pycharm", "webstorm", "phpstorm", "goland", "clion", "rider", "rubymine", "rustrover", "studio")
_COLON = ("subl", "sublime_text", "zed", "zeditor", "hx", "helix")
_PLUS = ("vi", "vim", "nvim", "gvim", "nano", "pico", "emacs", "emacsclient", "micro", "kak", "joe", "ne", "jed", "mg")
# What has a window of its own; everything else is lent the terminal.
_WINDOWED = frozenset((*_VSCODE, *_JETBRAINS, "subl", "sublime_text", "zed", "zeditor", "gvim", "mate", "notepad"))
_WAITS = ("--wait", "-w")
_PATIENCE = 20.0  # seconds for a program to hand the file to its window


@frozen
class Opener:
    """A command that shows a file; `windowed` when it needs no terminal."""

    command: tuple[str, ...]
    windowed: bool


def opener(file: Path, line: int, env: Mapping[str, str], system: str = sys.platform) -> Opener | None:
    """The editor for a file at a line (0: none): that of the terminal we run in, else the person's."""
    program = _of_terminal(env)
    if program:
        return Opener((program, *_arguments(program, file, line)), True)
    words = shlex.split(env.get("VISUAL") or env.get("EDITOR") or "", posix=system != "win32")
    if not words:
        return None
    windowed = _name(words[0]) in _WINDOWED
    if windowed:
        words = [word for word in words if word not in _WAITS]
    return Opener((*words, *_arguments(words[0], file, line)), windowed)


def _of_terminal(env: Mapping[str, str]) -> str:
    """The command of the editor whose terminal this is; "" when it is none's, or has no command."""
    if env.get("TERM_PROGRAM") == "vscode":
        known = _VSCODE
        if env.get("CURSOR_TRACE_ID"):
            known = ("cursor",)
        elif "insider" in env.get("TERM_PROGRAM_VERSION", ""):
            known = ("code-insiders",)
    elif env.get("TERMINAL_EMULATOR", "").startswith("JetBrains"):
        known = _JETBRAINS
    else:
        return ""
    found = (shutil.which(name, path=env.get("PATH")) for name in known)
    return next((path for path in found if path), "")


def _name(program: str) -> str:
    return re.sub(r"\.(exe|cmd|bat)$", "", PurePath(program).name.lower())


def _arguments(program: str, file: Path, line: int) -> Sequence[str]:
    name, path = _name(program), str(file)
    if not line:
        return (path,)
    if name in _VSCODE:
        return ("-g", f"{path}:{line}")
    if name in _JETBRAINS:
        return ("--line", str(line), path)
    if name in _COLON:
        return (f"{path}:{line}",)
    return (f"+{line}", path) if name in _PLUS else (path,)


def show(found: Opener) -> None:
    """Run it: to its end in the terminal, or until its window has the file. Raises UsageError when it cannot."""
    try:
        if found.windowed:
            done = subprocess.run(
                found.command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                timeout=_PATIENCE,
                check=False,
            )
        else:
            done = subprocess.run(found.command, check=False)
    except subprocess.TimeoutExpired:
        return
    except OSError as error:
        raise UsageError(
            f"{found.command[0]!r} cannot be started: {error.strerror}.", hint="Set EDITOR to an editor that can."
        ) from None
    if done.returncode:
        raise UsageError(f"{found.command[0]!r} ended with code {done.returncode}.")


def has_desktop(env: Mapping[str, str] = os.environ, system: str = sys.platform) -> bool:
    """Whether a browser that is started here is seen by the person."""
    if env.get("SSH_CONNECTION") or env.get("SSH_TTY"):
        return False
    return system in ("darwin", "win32") or bool(env.get("DISPLAY") or env.get("WAYLAND_DISPLAY"))


def browse(address: str) -> bool:
    """Open a web address in the person's browser; False when there is none."""
    import webbrowser

    try:
        return webbrowser.open(address)
    except webbrowser.Error:
        return False

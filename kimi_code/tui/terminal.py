"""The terminal around the screen: whether it can show one, its background, its title, a word to a person elsewhere."""

import os
import re
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kimi_code.controls import clean

_ASK = b"\x1b]11;?\x1b\\\x1b[c"
# The answer to the second question, which every terminal knows, ends the waiting for the first.
_DEVICE = re.compile(rb"\x1b\[\?[0-9;]*c")
_BACKGROUND = re.compile(rb"\x1b\]11;rgb:([0-9a-fA-F]+)/([0-9a-fA-F]+)/([0-9a-fA-F]+)(?:\x1b\\|\x07)")
# Seconds. A terminal on this machine answers in a millisecond, one far away in a third of a second; what comes later is
# taken for keys. No terminal in use leaves the second question unanswered.
_PATIENCE = 0.5


def unusable(env: Mapping[str, str]) -> str:
    """Why no screen can be shown here; "" when it can."""
    if not (_is_terminal(0) and _is_terminal(1)):
        return "there is no terminal"
    if env.get("TERM", "") == "dumb":
        return "this terminal (TERM=dumb) cannot show it"
    return ""


def _is_terminal(fd: int) -> bool:
    try:
        return os.isatty(fd)
    except OSError:
        return False


def speaks_unicode(env: Mapping[str, str]) -> bool:
    """Whether signs beyond ASCII can be shown: not where the locale says no, nor by the console of Linux, whose fonts
    have 256 signs. A locale that is not set says nothing: so it is in many containers."""
    if sys.platform == "win32":
        return True
    locale = env.get("LC_ALL") or env.get("LC_CTYPE") or env.get("LANG") or "utf"
    return env.get("TERM") != "linux" and "utf" in locale.lower()


@dataclass(slots=True)
class BackgroundQuestion:
    """Asks for the background's colour; the terminal answers while we import what the screen is made of.

    What a person types meanwhile is in `typed` afterwards.
    """

    typed: str = ""
    _saved: "list[Any] | None" = None  # as termios has it
    _stop_key: bytes = b"\x1a"

    def ask(self) -> None:
        """Put the question; the terminal is in raw mode until the answer is taken."""
        try:
            import termios
            import tty

            self._saved = termios.tcgetattr(0)
            tty.setcbreak(0, termios.TCSANOW)
            self._hold_back_stops()
            os.write(1, _ASK)
        except (ImportError, OSError):
            self._saved = None

    def answer(self) -> bool | None:
        """Whether the background is dark; None when the terminal does not say. Stops when Ctrl+Z was typed."""
        if self._saved is None:
            return None
        import termios

        heard = self._listen()
        termios.tcsetattr(0, termios.TCSANOW, self._saved)
        self._saved = None
        if self._stop_key in heard:
            from kimi_code.tui import job

            job.stop(group=True)
        said = _BACKGROUND.search(heard)
        typed = _DEVICE.sub(b"", _BACKGROUND.sub(b"", heard)).decode("utf-8", "replace")
        self.typed = clean(typed).replace("\r", "\n")
        return is_dark(*(part.decode() for part in said.groups())) if said else None

    def _hold_back_stops(self) -> None:
        """Let Ctrl+Z wait for the answer: stopped now, the terminal would be left as it is, and its answer, and what
        was typed before, to the shell."""
        import termios
        import tty

        modes = termios.tcgetattr(0)
        keys = modes[tty.CC]
        self._stop_key, keys[termios.VSUSP] = keys[termios.VSUSP], bytes([os.fpathconf(0, "PC_VDISABLE")])
        termios.tcsetattr(0, termios.TCSANOW, modes)

    def _listen(self) -> bytes:
        """Byte by byte, as what is typed after Ctrl+Z is for the shell."""
        import select

        heard, until = b"", time.monotonic() + _PATIENCE
        while not ((answered := _DEVICE.search(heard)) and self._stop_key in heard):
            left = 0.0 if answered else until - time.monotonic()
            if left < 0 or not select.select([0], [], [], left)[0] or not (data := os.read(0, 1)):
                break
            heard += data
        return heard


def is_dark(red: str, green: str, blue: str) -> bool:
    """Of a colour in X11's form, one to four hexadecimal digits a part."""
    parts = [int(part, 16) / (16 ** len(part) - 1) for part in (red, green, blue)]
    return 0.299 * parts[0] + 0.587 * parts[1] + 0.114 * parts[2] < 0.5


def title(text: str) -> str:
    """The sequence that sets the window's title."""
    return f"\x1b]2;{_plain(text)}\x1b\\"


def notification(text: str, env: Mapping[str, str]) -> str:
    """A bell, and the sequence for a notification on the desktop: one of the two that are in use.

    OSC 777 is for urxvt, foot and VTE (GNOME Terminal and its kin); OSC 9 for iTerm2, WezTerm, kitty, Ghostty, Windows
    Terminal. Some know both and would notify twice.
    """
    words = _plain(text)
    if env.get("VTE_VERSION") or env.get("TERM", "").startswith(("rxvt", "foot")):
        title, _, rest = words.partition(": ")
        return f"\x07\x1b]777;notify;{title.replace(';', ',')};{rest}\x1b\\"
    return f"\x07\x1b]9;{words}\x1b\\"


def progress(working: bool) -> str:
    """OSC 9;4: an indeterminate progress in the tab or the task bar, or none."""
    return "\x1b]9;4;3\x1b\\" if working else "\x1b]9;4;0\x1b\\"


def _plain(text: str) -> str:
    return " ".join(clean(text).split())[:200]

"""Images in the prompt: paths that were pasted or dropped become chips, whose files are sent with the words."""

import os
import re
import shlex
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote, urlsplit

_SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".webp")
_LONGEST = 4_096  # characters of a paste that can be paths
_CHIP = re.compile(r"\[image #\d+: [^\]]*\]")


def images_in(text: str, folder: Path) -> list[Path]:
    """The image files that a paste consists of, and of nothing else; [] for other words.

    Terminals write dropped files with quotes, with backslashes, or as file:// URLs; relative paths are below `folder`.
    """
    text = text.strip()
    if not text or len(text) > _LONGEST or not any(suffix in text.lower() for suffix in _SUFFIXES):
        return []
    for words in ([text], text.splitlines(), _words(text)):
        found = [_file(word.strip(), folder) for word in words if word.strip()]
        files = [file for file in found if file is not None]
        if files and len(files) == len(found):
            return files
    return []


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return []


def _file(word: str, folder: Path) -> Path | None:
    if word.startswith("file://"):
        word = unquote(urlsplit(word).path)
        if re.match(r"/[A-Za-z]:", word):  # a drive
            word = word[1:]
    if not word.lower().endswith(_SUFFIXES):
        return None
    try:
        file = folder / os.path.expanduser(word)
        return file if file.is_file() else None
    except (OSError, RuntimeError, ValueError):
        return None


class Images:
    """The files behind chips. Numbers are never used again, so that a chip means the same in the history too."""

    def __init__(self) -> None:
        self._files: dict[str, Path] = {}

    @property
    def files(self) -> tuple[Path, ...]:
        """All of them, whatever became of their chips."""
        return tuple(self._files.values())

    def add(self, file: Path) -> str:
        """The chip for a file."""
        chip = f"[image #{len(self._files) + 1}: {file.name.replace(']', ')')}]"
        self._files[chip] = file
        return chip

    def named_in(self, text: str) -> tuple[Path, ...]:
        """The files whose chips are in the text, in their order, each once."""
        return tuple(self._files[chip] for chip in _chips(text) if chip in self._files)

    def lost_in(self, text: str) -> tuple[str, ...]:
        """The chips in the text that have no file: of another run, in the history or a draft."""
        return tuple(chip for chip in _chips(text) if chip not in self._files)


def _chips(text: str) -> Iterable[str]:
    return dict.fromkeys(chip[0] for chip in _CHIP.finditer(text))

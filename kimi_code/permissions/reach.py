"""Which files the words of a command may stand for, and what is reached with them: secrets, other folders."""

import glob
import os
import re
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from kimi_code.events import Effect
from kimi_code.permissions.files import FilePolicy
from kimi_code.permissions.paths import find_secret, locate
from kimi_code.permissions.words import Word
from kimi_code.values import frozen

_MOST_FILES = 400  # names a glob may stand for
_MOST_SWEPT = 500  # entries below a folder that are looked at for secrets: what takes about a millisecond
_PASSWORD = re.compile(rb"https?://[^/\s@]+@|://[^/\s@:]*:[^/\s@]+@|extraheader", re.IGNORECASE)
_PIECES = re.compile(r"[=:@,]")


@frozen
class Reach:
    """From `folders`, where the shell may be by then; None when that is not known."""

    files: FilePolicy
    folders: tuple[Path, ...] | None

    def absolute(self, path: str) -> list[str]:
        """The path from each of the folders."""
        if path.startswith("~"):
            return [path]
        return [str(folder / path) if path != "-" else str(folder) for folder in self.folders or ()]

    def named(self, word: Word) -> list[str] | None:
        """Every path that a word may stand for, absolute; None when that is too much to say."""
        value = word.value or ""
        if not word.glob:
            return [path for piece in {value, *_PIECES.split(value)[1:]} if piece for path in self.absolute(piece)]
        # Shells and Python do not agree on what brackets stand for.
        if "[" in value or any(part.startswith((".*", ".?")) for part in value.split("/")) or value.startswith("~"):
            return None
        # The pattern's quoting is lost: more is looked at than the shell will find, never less.
        found: list[str] = self.absolute(value)
        for folder in self.folders or ():
            matches = list(islice(glob.iglob(value, root_dir=folder), _MOST_FILES + 1))  # noqa: PTH207  (Path.glob finds hidden files)
            if len(matches) > _MOST_FILES or any(match.startswith("-") for match in matches):
                return None
            found += [str(folder / match) for match in matches]
        return found

    def places(self, word: Word) -> list[str]:
        """Paths that a word may name, in any command."""
        if word.value is None:
            return []
        value = word.value
        pieces = {value, *(piece for piece in _PIECES.split(value) if piece)}
        if value.startswith("-") and not value.startswith("--") and len(value) > 2:
            pieces.add(value[2:])
        folders = self.folders or (self.files.boundary.roots[0],)
        return [
            p if p.startswith("~") else str(folder / p) for p in sorted(pieces) if len(p) < 1000 for folder in folders
        ]

    def names_secret(self, word: Word) -> bool:
        """Whether a word may name a sensitive path."""
        for path in self.places(word):
            try:
                if locate(path, self.files.boundary).sensitive:
                    return True
            except (OSError, ValueError, RuntimeError):
                continue
        return False

    def names_outside(self, word: Word) -> bool:
        """Whether a word may name a path outside the workspace."""
        for path in self.places(word):
            try:
                if not locate(path, self.files.boundary).inside:
                    return True
            except (OSError, ValueError, RuntimeError):
                return True
        return False

    def sweep(self, paths: Sequence[str], hidden: bool) -> str:
        """Why reading all below these folders is not harmless, "" if it is."""
        left = [path for path in paths if Path(path).is_dir()]
        boundary, seen = self.files.boundary, 0
        forbidden = [
            r for r in self.files.rules if r.decision != "allow" and r.tool == "Read" and r.pattern is not None
        ]
        while left:
            folder = left.pop(0)
            try:
                entries = list(os.scandir(folder))
            except OSError:
                continue
            seen += len(entries)
            if seen > _MOST_SWEPT:
                return "it reads more files than can be looked at for secrets; name a folder"
            if (
                hidden
                and any(entry.name == ".git" for entry in entries)
                and _holds_password(Path(folder, ".git/config"))
            ):
                return "it reads .git/config too, which holds a password"
            # Git's objects are compressed; searching a project from its top is what everybody does.
            entries = [e for e in entries if e.name != ".git" and (hidden or not e.name.startswith("."))]
            if secret := find_secret(entry.name for entry in entries):
                return f"it reads {_shown(Path(folder, secret), boundary.roots[0])} too, which may hold secrets"
            for entry in entries if forbidden else ():
                if self.files.decide("Read", Effect.READ, entry.path).decision != "allow":
                    return f"it reads {entry.name} too, which a rule is about"
            left += [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
        return ""


def _holds_password(config: Path) -> bool:
    """Whether git's settings name a server with a password, or what is sent to one in place of it."""
    try:
        return _PASSWORD.search(config.read_bytes()) is not None
    except OSError:
        return False


def _shown(path: Path, root: Path) -> str:
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)

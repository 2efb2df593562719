"""What of a repository the user trusts: the files in its .kimi-code folder, by the hash of their names and contents."""

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from kimi_code.errors import ConfigError
from kimi_code.values import frozen

FOLDER = ".kimi-code"
MOST_FILES = 200
MOST_BYTES = 1 << 20
_NO_LINKS = "Put the file itself in its place."

State = Literal["trusted", "changed", "unknown"]


@frozen
class Contents:
    """The files of a project's .kimi-code folder (absolute, resolved) by their names in it, and the hash of all."""

    folder: Path
    files: tuple[tuple[str, bytes], ...]

    @property
    def digest(self) -> str:
        digest = hashlib.sha256()
        for name, content in self.files:
            encoded = name.encode("utf-8", "surrogateescape")
            # With their lengths: no content can pass for another file's name.
            digest.update(b"%d %d\n" % (len(encoded), len(content)) + encoded + content)
        return digest.hexdigest()


@frozen
class Trusted:
    """A decision that is kept: this folder with this content."""

    folder: Path
    digest: str


def read(folder: Path) -> Contents:
    """All files of a .kimi-code folder, names sorted.

    Raises:
        ConfigError: it cannot be read, holds links (what they lead to may change unseen), or is too large to be shown.
    """
    files: list[tuple[str, bytes]] = []
    size = 0
    if folder.is_symlink():
        raise ConfigError(f"{folder} is a link: what it leads to cannot be trusted.", hint=_NO_LINKS)
    real = Path(os.path.realpath(folder))
    try:
        for path in _walk(real):
            content = path.read_bytes()
            size += len(content)
            if size > MOST_BYTES or len(files) >= MOST_FILES:
                raise ConfigError(
                    f"{folder} is too large to be read and trusted.",
                    hint=f"It may hold {MOST_FILES} files of together {MOST_BYTES >> 20} MB.",
                )
            files.append((path.relative_to(real).as_posix(), content))
    except OSError as error:
        raise ConfigError(
            f"{error.filename or folder} cannot be read: {error.strerror or error}.",
            hint="Mend its permissions: all files of the folder are trusted, or none.",
        ) from None
    return Contents(real, tuple(sorted(files)))


def _walk(folder: Path) -> Iterator[Path]:
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.is_symlink():
            raise ConfigError(f"{entry.path} is a link: what it leads to cannot be trusted.", hint=_NO_LINKS)
        if entry.is_dir():
            yield from _walk(Path(entry.path))
        elif entry.is_file():
            yield Path(entry.path)
        else:
            raise ConfigError(
                f"{entry.path} is neither a file nor a folder.", hint="Remove it: nobody could look into it."
            )


class Trust:
    """The decisions, a file each below `data_dir`/trust."""

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / "trust"

    def state(self, folder: Path) -> State:
        """Whether the content of a .kimi-code folder is as it was when the user trusted it."""
        kept = self._read(self._file(folder))
        if kept is None:
            return "unknown"
        try:
            return "trusted" if read(folder).digest == kept.digest else "changed"
        except ConfigError:
            return "changed"

    def grant(self, contents: Contents) -> None:
        """Trust exactly this content from now on. Raises ConfigError when that cannot be written."""
        file = self._file(contents.folder)
        fresh = file.with_suffix(f".{os.getpid()}")
        text = json.dumps({"folder": str(contents.folder), "digest": contents.digest})
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            fresh.write_text(text, encoding="utf-8", errors="surrogateescape")
            fresh.replace(file)
        except OSError as error:
            raise ConfigError(
                f"{file} cannot be written: {error.strerror or error}.",
                hint="Nothing was trusted. Make room or mend the folder's permissions.",
            ) from None

    def revoke(self, folder: Path) -> bool:
        """Forget the decision on a .kimi-code folder, which need not exist any more; False when there was none."""
        try:
            self._file(folder).unlink()
        except FileNotFoundError:
            return False
        return True

    def granted(self) -> list[Trusted]:
        """All decisions, by folder."""
        try:
            files = list(self._folder.glob("*.json"))
        except OSError:
            return []
        return sorted((kept for file in files if (kept := self._read(file))), key=lambda kept: str(kept.folder))

    def _file(self, folder: Path) -> Path:
        name = hashlib.sha256(os.fsencode(os.path.realpath(folder))).hexdigest()[:32]
        return self._folder / f"{name}.json"

    def _read(self, file: Path) -> Trusted | None:
        try:
            stored = json.loads(file.read_text(encoding="utf-8", errors="surrogateescape"))
            return Trusted(Path(str(stored["folder"])), str(stored["digest"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

"""API keys that the user gave us to keep: in the system's keyring where one works, else in files only they can read.

A small file per provider says where its key is, so that nobody without a key in the keyring ever waits for `keyring`
(the only importer is here): importing it and finding its backend takes a quarter of a second.
"""

import contextlib
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast
from urllib.parse import quote, unquote, urlsplit

from kimi_code.errors import ConfigError
from kimi_code.values import frozen

KEYRING = "the system's keyring"
_SERVICE = "kimi-code"
# Seconds for a keyring to answer; it may ask the user for a password first.
_PATIENCE = 60.0
_KEY = re.compile(r"[!-~]+")

T = TypeVar("T")


class Vault(Protocol):
    """A keyring. Methods raise any Exception when it does not work."""

    def usable(self) -> bool:
        """Whether there is one that keeps secrets encrypted."""
        ...

    def get(self, name: str) -> str | None: ...
    def put(self, name: str, key: str) -> None: ...
    def delete(self, name: str) -> None: ...


class SystemVault:
    """The keyring of the desktop: Keychain, Credential Locker, Secret Service, KWallet."""

    def usable(self) -> bool:
        import keyring

        # Below 1 are the stand-ins: none at all, files in plain text.
        return keyring.get_keyring().priority >= 1

    def get(self, name: str) -> str | None:
        import keyring

        return keyring.get_password(_SERVICE, name)

    def put(self, name: str, key: str) -> None:
        import keyring

        keyring.set_password(_SERVICE, name, key)

    def delete(self, name: str) -> None:
        import keyring

        keyring.delete_password(_SERVICE, name)


@frozen
class Kept:
    """A key that is kept: for which provider and server, and where ("the system's keyring" or a file)."""

    provider: str
    base_url: str
    where: str


class Keystore:
    """The keys below `data_dir`/keys. A key is given out for the server it was given for, and for no other."""

    def __init__(self, data_dir: Path, vault: Vault | None = None) -> None:
        self._folder = data_dir / "keys"
        self._vault = vault or SystemVault()

    def keep(self, provider: str, base_url: str, key: str) -> Kept:
        """Keep a key, in the place of an earlier one. Raises ConfigError when it is no key or cannot be written."""
        key = check_key(key)
        in_keyring = _or(False, lambda: self._put_in_keyring(provider, key))
        note: dict[str, str] = {"base_url": base_url}
        if not in_keyring:
            note["key"] = key
        try:
            _write_private(self._file(provider), json.dumps(note))
        except OSError as error:
            raise ConfigError(
                f"{self._file(provider)} cannot be written: {error.strerror or error}.",
                hint="Make room or mend the folder's permissions, or keep the key in the environment.",
            ) from None
        return self._kept(provider, note)

    def _put_in_keyring(self, provider: str, key: str) -> bool:
        vault = self._vault
        if not vault.usable():
            return False
        vault.put(provider, key)
        return vault.get(provider) == key

    def find(self, provider: str, base_url: str) -> str:
        """The key for this server; "" when none is kept. Raises ConfigError when the keyring does not give it."""
        note = self._read(provider)
        if note is None or _host(note["base_url"]) != _host(base_url):
            return ""
        if "key" in note:
            return note["key"]
        try:
            key = _within(_PATIENCE, lambda: self._vault.get(provider))
        except Exception as error:
            raise ConfigError(
                f"The key for {provider} is in {KEYRING}, which does not give it: {error or type(error).__name__}.",
                hint="Unlock it, or keep the key again: kimi-code login",
            ) from None
        return key or ""

    def has(self, provider: str, base_url: str) -> bool:
        """Whether a key for this server is kept, without asking the keyring."""
        note = self._read(provider)
        return note is not None and _host(note["base_url"]) == _host(base_url)

    def where(self, provider: str) -> Kept | None:
        """Where a provider's key is kept; None when it is not."""
        note = self._read(provider)
        return None if note is None else self._kept(provider, note)

    def forget(self, provider: str) -> bool:
        """Remove a key; False when there was none. Raises ConfigError when it cannot be removed."""
        note = self._read(provider)
        if note is None:
            return False
        try:
            if "key" not in note:
                _within(_PATIENCE, lambda: self._vault.delete(provider))
            self._file(provider).unlink(missing_ok=True)
        except Exception as error:
            raise ConfigError(
                f"The key for {provider} cannot be removed: {error or type(error).__name__}.",
                hint="Unlock the keyring or mend the folder's permissions, and try again; the key is still there.",
            ) from None
        return True

    def list(self) -> "list[Kept]":
        """All that is kept, by provider."""
        try:
            names = sorted(unquote(file.stem) for file in self._folder.glob("*.json"))
        except OSError:
            return []
        return [kept for name in names if (kept := self.where(name)) is not None]

    def _kept(self, provider: str, note: dict[str, str]) -> Kept:
        return Kept(provider, note["base_url"], str(self._file(provider)) if "key" in note else KEYRING)

    def _file(self, provider: str) -> Path:
        return self._folder / f"{quote(provider, safe='')}.json"

    def _read(self, provider: str) -> dict[str, str] | None:
        try:
            note: object = json.loads(self._file(provider).read_bytes())
        except (OSError, ValueError):
            return None
        fields = cast("dict[str, Any]", note) if isinstance(note, dict) else {}
        words = {name: value for name, value in fields.items() if isinstance(value, str)}
        return words if "base_url" in words else None


def check_key(key: str) -> str:
    """The key without the blanks around it. Raises ConfigError, without showing it, when it can be none."""
    key = key.strip()
    if not _KEY.fullmatch(key):
        what = "There is no key" if not key else "The key holds a blank or a character that cannot be in one"
        raise ConfigError(f"{what}.", hint="Copy it again.")
    return key


def _host(base_url: str) -> tuple[str, str]:
    parts = urlsplit(base_url)
    return parts.scheme, parts.netloc.rpartition("@")[2]


def _write_private(file: Path, text: str) -> None:
    """Write it so that at no moment anybody else can read it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.parent.chmod(0o700)
    fresh = file.with_name(f".{os.urandom(8).hex()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        fresh.replace(file)
    except OSError:
        with contextlib.suppress(OSError):
            fresh.unlink()
        raise


def _or(otherwise: T, call: Callable[[], T]) -> T:
    """What a keyring says; `otherwise` when it is broken, as many a headless machine's is."""
    try:
        return _within(_PATIENCE, call)
    except Exception:
        return otherwise


def _within(seconds: float, call: Callable[[], T]) -> T:
    """`call()`, given up after so long: a keyring may wait for a window that nobody sees."""
    import threading

    answer: list[T] = []
    failure: list[Exception] = []

    def run() -> None:
        try:
            answer.append(call())
        except Exception as error:
            failure.append(error)

    thread = threading.Thread(target=run, name="keyring", daemon=True)
    thread.start()
    thread.join(seconds)
    if failure:
        raise failure[0]
    if not answer:
        raise TimeoutError(f"no answer for {seconds:g} s")
    return answer[0]

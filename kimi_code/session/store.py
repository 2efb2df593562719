"""The sessions on disk: list, find, create, delete. A session is `<data>/sessions/<id>/`."""

import contextlib
import json
import secrets
import shutil
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, cast

from kimi_code.errors import UsageError
from kimi_code.events import (
    Event,
    Record,
    SessionForked,
    SessionOpened,
    SessionRenamed,
    TurnEnded,
    TurnStarted,
    UsageAdded,
)
from kimi_code.session import journal
from kimi_code.session.codec import encode
from kimi_code.values import frozen

_META = "meta.json"
_OUTPUTS = "outputs"  # what was too long for the model, by paths it was told
_ALPHABET = "23456789abcdefghijkmnpqrstuvwxyz"


@frozen
class SessionMeta:
    """What a list shows of a session; times are Unix seconds. Rebuilt from the journal when missing or broken."""

    id: str
    path: Path
    cwd: str = ""
    title: str = ""
    model: str = ""
    created: float = 0.0
    updated: float = 0.0
    turns: int = 0
    cost_usd: float | None = None
    tokens: int = 0

    @property
    def journal(self) -> Path:
        return self.path / journal.RECORDS


def follow(meta: SessionMeta, record: Record) -> SessionMeta:
    """`meta` after `record`: the one place that says what a session's summary is."""
    meta = replace(meta, updated=record.at, created=meta.created or record.at)
    match record.event:
        case SessionOpened(cwd=cwd, model=model):
            return replace(meta, cwd=cwd, model=model)
        case TurnStarted(turn=turn, prompt=prompt):
            return replace(meta, turns=turn, title=meta.title or _title(prompt))
        case SessionRenamed(title=title):
            return replace(meta, title=_title(title))
        case SessionForked():
            return replace(meta, title=f"{meta.title[:72]} (fork)", created=record.at, cost_usd=None, tokens=0)
        case TurnEnded(cost_usd=cost, usage=usage) | UsageAdded(cost_usd=cost, usage=usage):
            paid = meta.cost_usd if cost is None else (meta.cost_usd or 0.0) + cost
            return replace(meta, cost_usd=paid, tokens=meta.tokens + usage.total)
        case _:
            return meta


def _title(prompt: str) -> str:
    first = next((line.strip() for line in prompt.splitlines() if line.strip()), "")
    return first if len(first) <= 80 else first[:79] + "…"


class Store:
    """The sessions under one data folder."""

    def __init__(self, data_dir: Path) -> None:
        self.folder = data_dir / "sessions"

    def create(self) -> SessionMeta:
        """A new session's id and folder; ids are short, random, and unique under their first four characters mostly."""
        while True:
            id = "".join(secrets.choice(_ALPHABET) for _ in range(10))
            path = self.folder / id
            if not path.exists():
                return SessionMeta(id, path)

    def list(self) -> list[SessionMeta]:
        """All sessions with at least one turn, newest first."""
        try:
            folders = [entry for entry in self.folder.iterdir() if (entry / journal.RECORDS).is_file()]
        except (FileNotFoundError, NotADirectoryError):
            return []
        metas = [load_meta(folder) for folder in folders]
        return sorted((meta for meta in metas if meta.turns), key=lambda meta: meta.updated, reverse=True)

    def find(self, prefix: str) -> SessionMeta:
        """The session whose id starts with `prefix`. Raises UsageError when there is none or more than one."""
        metas = self.list()
        found = [meta for meta in metas if meta.id == prefix] or [
            m for m in metas if prefix and m.id.startswith(prefix)
        ]
        if len(found) == 1:
            return found[0]
        if found:
            names = ", ".join(meta.id for meta in found[:5])
            raise UsageError(
                f"{prefix!r} is the beginning of {len(found)} sessions: {names}", hint="Give more of the id."
            )
        raise UsageError(f"There is no session {prefix!r}.", hint="`kimi-code sessions list --all` shows them.")

    def newest(self, cwd: Path) -> SessionMeta:
        """The newest session of the folder. Raises UsageError when there is none."""
        for meta in self.list():
            if meta.cwd == str(cwd):
                return meta
        raise UsageError(f"No session of {cwd} to continue.", hint="`kimi-code sessions list --all` shows all of them.")

    def rename(self, meta: SessionMeta, title: str) -> None:
        """Give a session that nobody has open another title. Raises UsageError when somebody has."""
        _add(meta.path, SessionRenamed(title))

    def fork(self, meta: SessionMeta) -> SessionMeta:
        """A new session that begins with the history of another, which may be open and stays as it is.

        Long outputs are copied, and told to be there. Raises UsageError when there is no history.
        """
        content = meta.journal.read_bytes() if meta.journal.is_file() else b""
        whole = content[: content.rfind(b"\n") + 1]
        if not whole or not load_meta(meta.path).turns:
            raise UsageError(
                f"Session {meta.id} has no turn yet that a fork could begin with.", hint="Start a new session instead."
            )
        made = self.create()
        made.path.mkdir(parents=True, mode=0o700)
        try:
            made.journal.write_bytes(whole.replace(_in_json(meta.path), _in_json(made.path)))
            if (meta.path / _OUTPUTS).is_dir():
                shutil.copytree(meta.path / _OUTPUTS, made.path / _OUTPUTS)
            return _add(made.path, SessionForked(meta.id))
        except BaseException:
            shutil.rmtree(made.path, ignore_errors=True)
            raise

    def delete(self, meta: SessionMeta) -> None:
        """Remove the session's folder and all in it."""
        shutil.rmtree(meta.path)


def _add(folder: Path, event: Event) -> SessionMeta:
    """Write an event into the journal of a session that nobody has open. Raises UsageError when somebody has."""
    meta = load_meta(folder)
    last = max((record.seq for record in journal.read(meta.journal).records), default=0)
    record = Record(last + 1, "main", time.time(), event)
    writer = journal.Journal(folder, encode)
    try:
        writer.write(record)
    finally:
        writer.close()
    meta = follow(meta, record)
    save_meta(meta)
    return meta


def _in_json(path: Path) -> bytes:
    """As it stands in a text of a journal's line."""
    return json.dumps(str(path))[1:-1].encode()


def load_meta(folder: Path) -> SessionMeta:
    """The summary of the session in `folder`: from meta.json if it is whole and not older than the journal."""
    records = folder / journal.RECORDS
    try:
        meta_file = folder / _META
        # A killed turn leaves a journal that went on after the summary was written.
        if meta_file.stat().st_mtime_ns >= records.stat().st_mtime_ns:
            wire = cast("dict[str, Any]", json.loads(meta_file.read_bytes()))
            fields: dict[str, Any] = {**wire, "id": folder.name, "path": folder}
            return SessionMeta(**fields)
    except (OSError, ValueError, TypeError):
        pass
    meta = SessionMeta(folder.name, folder)
    for record in journal.read(records).records:
        meta = follow(meta, record)
    return meta


def save_meta(meta: SessionMeta) -> None:
    """Write meta.json; a failure is harmless, the journal has it all."""
    wire = {key: value for key, value in asdict(meta).items() if key not in ("id", "path")}
    temporary = meta.path / (_META + ".tmp")
    with contextlib.suppress(OSError):
        temporary.write_text(json.dumps(wire, ensure_ascii=True), encoding="ascii")
        temporary.replace(meta.path / _META)

"""The index on disk: one SQLite file per project and version of the grammars, which many processes may use at once.

A cache and no more: when it is broken it is made anew, when it cannot be used a private one takes its place.
"""

import os
import shutil
import sqlite3
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from threading import Lock
from typing import TypeVar

from kimi_code.repo.indexing.facts import Facts
from kimi_code.repo.indexing.listing import Stamp

T = TypeVar("T")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
    path BLOB PRIMARY KEY, size INTEGER, mtime_ns INTEGER, digest TEXT, language TEXT, problem TEXT,
    defined BLOB, kinds TEXT, referenced BLOB, counts BLOB, imports BLOB
);
CREATE TABLE IF NOT EXISTS details (path BLOB PRIMARY KEY, digest TEXT, body BLOB);
CREATE TABLE IF NOT EXISTS graphs (key TEXT PRIMARY KEY, body BLOB);
"""
_COLUMNS = "path, size, mtime_ns, digest, language, problem, defined, kinds, referenced, counts, imports"
_BUSY = 3.0  # seconds to wait for another process's write
_ASKED_AT_ONCE = 500
_OLD = 14 * 86_400  # seconds after which another version's cache is removed
_IN_TEXT = "surrogatepass"

# What a cached answer depends on besides the file: its own code and queries, and the grammars.
_CODE = (
    *(
        "symbols",
        "syntax",
        "indexing/analysis",
        "indexing/definitions",
        "indexing/blocks",
        "indexing/visibility",
        "indexing/comments",
    ),
    *(
        "indexing/import_statements",
        "indexing/languages",
        "indexing/plain_outline",
        "indexing/plain_lines",
        "indexing/headings",
        "indexing/facts",
        "indexing/python_tree",
        "indexing/token_uses",
    ),
)


@lru_cache(maxsize=1)
def version() -> str:
    """What names a cache: another grammar, query or extraction makes another. A few milliseconds."""
    here = Path(__file__).parents[1]
    digest = blake2b(digest_size=8)
    for path in sorted((*(here / "queries").glob("*.scm"), *(here / f"{name}.py" for name in _CODE))):
        with suppress(OSError):
            digest.update(path.name.encode() + path.read_bytes())
    grammars = {each.name for folder in sys.path for each in Path(folder or ".").glob("tree_sitter*.dist-info")}
    digest.update(repr(sorted(grammars)).encode())
    return digest.hexdigest()


class IndexStore:
    """The cache of one root. Every method may be called from any thread and waits for the others; none raises.

    `busy` is how many seconds another process may write before a private cache takes over. `note` says in words for
    people why the cache on disk is not used; "" when it is.
    """

    def __init__(self, folder: Path, root: Path, *, busy: float = _BUSY) -> None:
        self._busy = busy
        self._folder = folder / blake2b(os.fsencode(root), digest_size=8).hexdigest()
        self._lock = Lock()
        self._db: sqlite3.Connection | None = None
        self.note = ""

    @property
    def is_new(self) -> bool:
        """Whether nothing was ever kept of this root."""
        return not self._folder.exists()

    def load(self) -> list[Facts]:
        """All files that were ever kept."""
        return self._do(_load, [])

    def save(
        self, files: Sequence[tuple[Facts, bytes]], stamps: Mapping[str, Stamp] | None = None, gone: Iterable[str] = ()
    ) -> None:
        """Keep files and their details, keep new stamps of files that are otherwise the same, forget others."""
        self._do(lambda db: _save(db, files, stamps or {}, gone), None)

    def details(self, paths: Iterable[str]) -> dict[str, tuple[str, bytes]]:
        """The digests and details of files, of those that have one."""
        return self._do(lambda db: _details(db, list(paths)), {})

    def graph(self, key: str) -> bytes:
        """What was kept under `key`; empty when it was something else."""
        return self._do(lambda db: _graph(db, key), b"")

    def keep_graph(self, key: str, body: bytes) -> None:
        """Keep one graph, in the place of the last."""
        self._do(lambda db: _keep_graph(db, key, body), None)

    def close(self) -> None:
        """Safe to call twice; a later call opens it again."""
        with self._lock:
            db, self._db = self._db, None
            if db is not None:
                with suppress(sqlite3.Error):
                    db.close()

    def _do(self, work: Callable[[sqlite3.Connection], T], otherwise: T) -> T:
        with self._lock:
            for attempt in (self._opened, self._renewed, self._private):
                try:
                    db = attempt()
                    with db:
                        return work(db)
                except (sqlite3.Error, OSError, ValueError, TypeError) as error:
                    self._forget(str(error))
            return otherwise

    def _opened(self) -> sqlite3.Connection:
        return self._db or self._open()

    def _open(self) -> sqlite3.Connection:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._folder / f"{version()}.db"
        if not path.exists():
            self._tidy()
        self._db = _connect(str(path), self._busy)
        return self._db

    def _renewed(self) -> sqlite3.Connection:
        """After a failure that is not another process's or the disk's: without the broken file."""
        if "locked" in self.note or "readonly" in self.note or "full" in self.note:
            raise OSError(self.note)
        if self._folder.exists():
            shutil.rmtree(self._folder)
        db = self._open()
        self.note = ""
        return db

    def _private(self) -> sqlite3.Connection:
        # SQLite's name for a temporary database: in memory at first, on disk when large, gone with its connection.
        self._db = _connect("", self._busy)
        return self._db

    def _forget(self, reason: str) -> None:
        self.note = f"the index is not kept on disk: {reason}"
        db, self._db = self._db, None
        if db is not None:
            with suppress(sqlite3.Error):
                db.close()

    def _tidy(self) -> None:
        """Remove caches of other versions that nobody has used for two weeks."""
        for path in self._folder.glob("*.db*"):
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > _OLD:
                    path.unlink()


def _connect(path: str, busy: float) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=busy, check_same_thread=False)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.executescript(_SCHEMA)
    except sqlite3.Error:
        db.close()
        raise
    return db


def _load(db: sqlite3.Connection) -> list[Facts]:
    return [
        Facts(
            *(os.fsdecode(path), size, mtime_ns, digest, language, problem),
            *(defined.decode("utf-8", _IN_TEXT), kinds, referenced.decode("utf-8", _IN_TEXT), counts),
            imports.decode("utf-8", _IN_TEXT),
        )
        for path, size, mtime_ns, digest, language, problem, defined, kinds, referenced, counts, imports in db.execute(
            f"SELECT {_COLUMNS} FROM files"
        )
    ]


def _save(
    db: sqlite3.Connection, files: Sequence[tuple[Facts, bytes]], stamps: Mapping[str, Stamp], gone: Iterable[str]
) -> None:
    db.execute("BEGIN IMMEDIATE")
    for facts, detail in files:
        row = (
            *(os.fsencode(facts.path), facts.size, facts.mtime_ns, facts.digest, facts.language, facts.problem),
            *(facts.defined.encode("utf-8", _IN_TEXT), facts.kinds, facts.referenced.encode("utf-8", _IN_TEXT)),
            *(facts.counts, facts.imports.encode("utf-8", _IN_TEXT)),
        )
        db.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        db.execute("INSERT OR REPLACE INTO details VALUES (?, ?, ?)", (row[0], facts.digest, detail))
    for path, stamp in stamps.items():
        db.execute("UPDATE files SET size = ?, mtime_ns = ? WHERE path = ?", (*stamp, os.fsencode(path)))
    for path in gone:
        for table in ("files", "details"):
            db.execute(f"DELETE FROM {table} WHERE path = ?", (os.fsencode(path),))


def _details(db: sqlite3.Connection, paths: Sequence[str]) -> dict[str, tuple[str, bytes]]:
    found: dict[str, tuple[str, bytes]] = {}
    for start in range(0, len(paths), _ASKED_AT_ONCE):
        asked = [os.fsencode(path) for path in paths[start : start + _ASKED_AT_ONCE]]
        query = "SELECT path, digest, body FROM details WHERE path IN ({})"
        for path, digest, body in db.execute(query.format(", ".join("?" * len(asked))), asked):
            found[os.fsdecode(path)] = (digest, body)
    return found


def _graph(db: sqlite3.Connection, key: str) -> bytes:
    row = db.execute("SELECT body FROM graphs WHERE key = ?", (key,)).fetchone()
    return row[0] if row else b""


def _keep_graph(db: sqlite3.Connection, key: str, body: bytes) -> None:
    db.execute("DELETE FROM graphs WHERE key != ?", (key,))
    db.execute("INSERT OR REPLACE INTO graphs VALUES (?, ?)", (key, body))

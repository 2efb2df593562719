"""Loose objects of a private store, read and written without a git process: a hundred agents ask for thousands."""

import hashlib
import os
import tempfile
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path

from kimi_code.repo import listings

_ID_LENGTH = 40  # of SHA-1; stores with other ids are left to git
_MANY, _LARGE = 300, 1_000_000  # objects, and bytes of one, that are copied faster by git


def is_id(text: str) -> bool:
    """Whether this is the full id of an object, not an abbreviation or a name."""
    return len(text) == _ID_LENGTH and all(character in "0123456789abcdef" for character in text)


def read(store: Path, id: str) -> tuple[bytes, bytes] | None:
    """The kind (`b"commit"`) and content of an object; None where git must be asked: packed, borrowed, or missing."""
    if not is_id(id):
        return None
    try:
        whole = zlib.decompress(_path(store, id).read_bytes())
    except (OSError, zlib.error):
        return None
    head, _, content = whole.partition(b"\0")
    return head.partition(b" ")[0], content


def write(store: Path, kind: bytes, content: bytes) -> str:
    """Keep an object, as git does; returns its id. Raises OSError."""
    whole = b"%b %d\0%b" % (kind, len(content), content)
    id = hashlib.sha1(whole, usedforsecurity=False).hexdigest()
    path = _path(store, id)
    if not _is_there(path):
        _put(path, zlib.compress(whole, 1))
    return id


def copy(source: Path, target: Path, commits: Collection[str], known: Collection[str] = ()) -> bool:
    """Keep commits in another store too, with all they name that `source` has itself; their parents up to the `known`.

    False, and nothing was copied, where git does it better: packed, many or large objects. Raises OSError.
    """
    if not all(map(is_id, commits)) or any((source / "objects" / "pack").glob("*.pack")):
        return False
    wanted = _reachable(source, commits, known)
    if wanted is None:
        return False
    for id in wanted:
        if not _is_there(there := _path(target, id)):
            _put(there, _path(source, id).read_bytes())
    return True


def _reachable(store: Path, commits: Collection[str], known: Collection[str]) -> list[str] | None:
    """The ids of the objects to copy, what is named before what names it; None where they are too many or too large."""
    found = dict.fromkeys(known, False)
    waiting = [(id, True) for id in commits]
    while waiting:
        id, names_others = waiting.pop()
        if id in found:
            continue
        try:
            size = _path(store, id).stat().st_size
        except FileNotFoundError:
            continue  # borrowed
        object = read(store, id) if names_others else (b"blob", b"")
        if object is None or size > _LARGE or len(found) >= _MANY:
            return None
        found[id] = True
        waiting += _named(*object)
    return [id for id, wanted in reversed(found.items()) if wanted]


def _named(kind: bytes, content: bytes) -> Iterator[tuple[str, bool]]:
    """The ids that an object names, and whether these name others."""
    if kind == b"tree":
        for item in listings.parse(content).values():
            if item.mode != listings.SUBMODULE:
                yield item.id, item.mode == listings.FOLDER
    elif kind == b"commit":
        for line in content.partition(b"\n\n")[0].split(b"\n"):
            if line.startswith((b"tree ", b"parent ")):
                yield line.split(b" ")[1].decode("ascii"), True


def _path(store: Path, id: str) -> Path:
    return store / "objects" / id[:2] / id[2:]


def _is_there(path: Path) -> bool:
    try:
        os.utime(path)  # what is wanted again is not pruned
    except FileNotFoundError:
        return False
    return True


def _put(path: Path, compressed: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    fd, temporary = tempfile.mkstemp(dir=path.parent, prefix="tmp_obj_")
    try:
        with open(fd, "wb") as file:  # noqa: PTH123  (a descriptor)
            file.write(compressed)
        Path(temporary).chmod(0o444)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def tree_of(store: Path, id: str) -> str | None:
    """The id of a commit's tree, or of a tree itself; None where git must be asked."""
    found = read(store, id)
    match found:
        case (b"tree", _):
            return id
        case (b"commit", content):
            return content[5 : 5 + _ID_LENGTH].decode("ascii")
        case _:
            return None

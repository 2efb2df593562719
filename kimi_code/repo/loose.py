"""Loose objects of a private store, read and written without a git process: a hundred agents ask for thousands."""

import hashlib
import os
import tempfile
import zlib
from pathlib import Path

_ID_LENGTH = 40  # of SHA-1; stores with other ids are left to git


def is_id(text: str) -> bool:
    """Whether this is the full id of an object, not an abbreviation or a name."""
    return len(text) == _ID_LENGTH and all(character in "0123456789abcdef" for character in text)


def read(store: Path, id: str) -> tuple[bytes, bytes] | None:
    """The kind (`b"commit"`) and content of an object; None where git must be asked: packed, borrowed, or missing."""
    if not is_id(id):
        return None
    try:
        whole = zlib.decompress((store / "objects" / id[:2] / id[2:]).read_bytes())
    except (OSError, zlib.error):
        return None
    head, _, content = whole.partition(b"\0")
    return head.partition(b" ")[0], content


def write(store: Path, kind: bytes, content: bytes) -> str:
    """Keep an object, as git does; returns its id. Raises OSError."""
    whole = b"%b %d\0%b" % (kind, len(content), content)
    id = hashlib.sha1(whole, usedforsecurity=False).hexdigest()
    path = store / "objects" / id[:2] / id[2:]
    try:
        os.utime(path)  # what is wanted again is not pruned
        return id
    except FileNotFoundError:
        path.parent.mkdir(exist_ok=True)
    fd, temporary = tempfile.mkstemp(dir=path.parent, prefix="tmp_obj_")
    try:
        with open(fd, "wb") as file:  # noqa: PTH123  (a descriptor)
            file.write(zlib.compress(whole, 1))
        Path(temporary).chmod(0o444)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return id


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

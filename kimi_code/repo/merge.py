"""Three-way merges of trees and commits, conflicts named by path with both sides. No working tree is touched."""

from typing import Literal

from kimi_code.repo.trees import Entry, Trees
from kimi_code.values import frozen


@frozen
class Conflict:
    """A path on which both sides differ from the base in ways that do not go together; None where a side has no file.

    `kind` is git's word: contents, modify/delete, file/directory, rename/delete, binary ...
    """

    path: str
    kind: str
    base: Entry | None
    ours: Entry | None
    theirs: Entry | None


@frozen
class Merged:
    """`tree` is the merged tree, "" when there are `conflicts`: a half merged one is never handed out."""

    tree: str
    conflicts: tuple[Conflict, ...] = ()


async def merge(trees: Trees, base: str, ours: str, theirs: str) -> Merged:
    """What `theirs` made of `base`, put onto `ours`; each a tree or a commit of the store."""
    raise NotImplementedError


@frozen
class Applied:
    """What became of a change to the user's files: all of it, or nothing and why.

    `status` is "applied", "conflict" (see `conflicts`) or "refused" (see `reasons`: a path and a sentence each).
    `paths` were written or removed, relative to the top.
    """

    status: Literal["applied", "conflict", "refused"]
    paths: tuple[str, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    reasons: tuple[str, ...] = ()


async def apply(trees: Trees, base: str, result: str, live: str) -> Applied:
    """Bring base -> result to the user's tree, of which `live` is a snapshot taken just now; three-way, all or nothing.

    Nothing but the files that differ is written; not one whose bytes are no longer those of `live`.
    """
    raise NotImplementedError

"""Three-way merges of trees and commits, conflicts named by path with both sides. No working tree is touched."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from kimi_code.repo.shadow import ShadowError
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
    """What `theirs` made of `base`, put onto `ours`; each a tree or a commit of the store. Raises ShadowError."""
    if await _same(trees, base, theirs) or await _same(trees, ours, theirs):
        return Merged(await trees.tree(ours))
    if await _same(trees, base, ours):
        return Merged(await trees.tree(theirs))
    # git 2.39 takes no base: two commits with one parent have just that.
    parent = await trees.commit(base, "base")
    sides = [await trees.commit(side, "side", parent) for side in (ours, theirs)]
    flags = ("-c", "merge.directoryRenames=false", "-c", "merge.conflictStyle=merge")
    code, output, error = await trees.run(*flags, "merge-tree", "--write-tree", "-z", "--messages", *sides)
    if code not in (0, 1):
        raise ShadowError(error)
    tree, _, told = output.partition(b"\0")
    if code == 0:
        return Merged(tree.decode())
    return Merged("", await _conflicts(trees, told, (base, ours, theirs)))


async def _same(trees: Trees, one: str, other: str) -> bool:
    return one == other or await trees.tree(one) == await trees.tree(other)


async def _conflicts(trees: Trees, told: bytes, sides: tuple[str, str, str]) -> tuple[Conflict, ...]:
    """The paths of `<mode> <blob> <stage>\\t<path>` lines, then an empty one, then messages that say the kind."""
    staged, _, messages = told.partition(b"\0\0")
    paths = dict.fromkeys(os.fsdecode(line.partition(b"\t")[2]) for line in staged.split(b"\0") if line)
    kinds = dict(_kinds(messages))
    base, ours, theirs = [await trees.files(side, paths) for side in sides]
    return tuple(
        Conflict(path, kinds.get(path, "contents"), base.get(path), ours.get(path), theirs.get(path)) for path in paths
    )


def _kinds(messages: bytes) -> Iterator[tuple[str, str]]:
    """`<count>\\0<path>\\0...<type>\\0<text>\\0` for each; types of conflicts are `CONFLICT (kind)`."""
    fields = iter(messages.split(b"\0"))
    for count in fields:
        if not count.strip().isdigit():
            return
        paths = [os.fsdecode(next(fields)) for _ in range(int(count))]
        kind, _ = next(fields).decode(errors="replace"), next(fields)
        if kind.startswith("CONFLICT ("):
            yield from ((path, kind.removeprefix("CONFLICT (").rstrip(")")) for path in paths)


# --- Into the user's tree -------------------------------------------------------------------------------------------


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


async def apply(trees: Trees, top: Path, base: str, result: str, live: str) -> Applied:
    """Bring base -> result to the files at `top`, of which `live` is a snapshot taken just now; all or nothing.

    Where the user changed files since `base` it is a three-way merge. Only files that differ are written, and none
    whose bytes are no longer those of `live`. Raises ShadowError.
    """
    from kimi_code.repo.apply import Step, carry_out

    merged = await merge(trees, base, live, result)
    if merged.conflicts:
        return Applied("conflict", conflicts=merged.conflicts)
    paths = [change.path for change in await trees.changes(live, merged.tree, renames=False)]
    before, after = await trees.files(live, paths), await trees.files(merged.tree, paths)
    steps = [Step(path, before.get(path), after.get(path)) for path in paths]
    reasons = await carry_out(top, steps)
    return Applied("refused", reasons=reasons) if reasons else Applied("applied", tuple(paths))

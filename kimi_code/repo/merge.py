"""Three-way merges of trees and commits, conflicts named by path with both sides; and into the user's files, the same
way as an undo: by `swap`, under the lock of the checkpoints."""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from kimi_code.repo.checkpoints.checkpoint_log import Landed
from kimi_code.repo.checkpoints.plan import parents
from kimi_code.repo.checkpoints.states import Difference, State, differences, folders_of
from kimi_code.repo.shadow import ShadowError
from kimi_code.repo.snapshot import Snapshots
from kimi_code.repo.trees import Entry, Trees
from kimi_code.values import frozen

MARKS = (b"<<<<<<< merged before", b"||||||| before both", b"=======", b">>>>>>> to be merged")


@frozen
class Conflict:
    """A path on which both sides differ from the base in ways that do not go together; None where a side has no file.

    `kind` is git's word: contents, modify/delete, file/directory, rename/delete, binary ... `marked` is the file with
    the lines that do not go together between `MARKS`, those of the base among them; None where that cannot be shown.
    """

    path: str
    kind: str
    base: Entry | None
    ours: Entry | None
    theirs: Entry | None
    marked: Entry | None = None


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
    if (tree := await trees.merge(base, ours, theirs)) is not None:
        return Merged(tree)
    # git 2.39 takes no base: two commits with one parent have just that.
    parent = await trees.commit(base, "base")
    sides = [await trees.commit(side, "side", parent) for side in (ours, theirs)]
    flags = ("-c", "merge.directoryRenames=false", "-c", "merge.conflictStyle=diff3")
    code, output, error = await trees.run(*flags, "merge-tree", "--write-tree", "-z", "--messages", *sides)
    if code not in (0, 1):
        raise ShadowError(error)
    tree, _, told = output.partition(b"\0")
    if code == 0:
        return Merged(tree.decode())
    return Merged("", await _conflicts(trees, told, (base, ours, theirs), tree.decode(), sides))


async def _same(trees: Trees, one: str, other: str) -> bool:
    return one == other or await trees.tree(one) == await trees.tree(other)


async def _conflicts(
    trees: Trees, told: bytes, sides: tuple[str, str, str], half: str, labels: Sequence[str]
) -> tuple[Conflict, ...]:
    """The paths of `<mode> <blob> <stage>\\t<path>` lines, then an empty one, then messages that say the kind.

    `half` is the tree that git leaves, with marks in it that bear `labels`.
    """
    staged, _, messages = told.partition(b"\0\0")
    paths = dict.fromkeys(os.fsdecode(line.partition(b"\t")[2]) for line in staged.split(b"\0") if line)
    kinds = dict(_kinds(messages))
    base, ours, theirs, left = [await trees.files(side, paths) for side in (*sides, half)]
    return tuple(
        Conflict(
            path,
            kinds.get(path, "contents"),
            base.get(path),
            ours.get(path),
            theirs.get(path),
            _marked(left.get(path), labels),
        )
        for path in paths
    )


def _marked(left: Entry | None, labels: Sequence[str]) -> Entry | None:
    """The file as git left it, its marks by our names; None if there are none, as in a binary one."""
    first, last = (label.encode() for label in labels)
    if left is None or b"\n<<<<<<< " + first not in b"\n" + left.content:
        return None
    lines = left.content.splitlines(keepends=True)
    inside = False
    for number, line in enumerate(lines):
        ending = line[len(line.rstrip(b"\r\n")) :]
        if line.startswith(b"<<<<<<< " + first):
            inside, lines[number] = True, MARKS[0] + ending
        elif inside and line.startswith(b"||||||| "):
            lines[number] = MARKS[1] + ending
        elif line.startswith(b">>>>>>> " + last):
            inside, lines[number] = False, MARKS[3] + ending
    return replace(left, content=b"".join(lines))


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


def is_marked(content: bytes) -> bool:
    """Whether a conflict still stands in the text of a file."""
    told = {MARKS[0], MARKS[1], MARKS[3]}  # the third is a heading's line in many texts
    return any(line.rstrip(b"\r") in told for line in content.split(b"\n"))


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


async def apply(trees: Trees, snapshots: Snapshots, base: str, result: str, *, wait: float = 20.0) -> Applied:
    """Bring base -> result to the files that `snapshots` looks at; all of it or nothing, whoever is killed.

    Where the user changed files since `base` it is a three-way merge with the files as they are now. Only files that
    differ are written, under the lock of the folder's checkpoints, for which it waits at most `wait` seconds. Raises
    ShadowError and CheckpointError.
    """
    from kimi_code.repo.checkpoints import swap
    from kimi_code.repo.checkpoints.ledger import Doorway, new_id
    from kimi_code.repo.checkpoints.steps import obstacles, prepare

    async with Doorway(snapshots, wait).open() as ledger:
        now, _ = await ledger.look()
        merged = await merge(trees, base, now.tree, result)
        if merged.conflicts:
            return Applied("conflict", conflicts=merged.conflicts)
        found = await differences(trees.store, now, State(merged.tree, now.survey))
        if outside := {path: "is no path of a file here" for path in found if not _is_usable(path)}:
            return _refused(outside)
        if not found:
            return Applied("applied")
        found |= await _with_modes(trees, merged.tree, now, found)
        was, wanted = {p: old for p, (old, _) in found.items()}, {p: new for p, (_, new) in found.items()}
        gone = {folder for path, node in wanted.items() if node is None for folder in parents(path)}
        if gone:
            gone -= await folders_of(trees.store, State(merged.tree, now.survey))
        steps = prepare(ledger.shadow.worktree, new_id(), wanted, was, remove=gone)
        if in_the_way := obstacles(ledger.shadow.worktree, steps):
            return _refused(in_the_way)
        done = Landed(steps.operation, time.time())
        try:
            await swap.carry_out(ledger.shadow, steps, lambda: ledger.log.append(done, durable=True), store=trees.store)
        except swap.SwapError as error:
            left = dict.fromkeys(error.left, "changed meanwhile, and was left alone")
            return _refused({error.path or "the files": error.reason} | left)
        return Applied("applied", tuple(found))


def _refused(reasons: Mapping[str, str]) -> Applied:
    return Applied("refused", reasons=tuple(f"{path}: {why}" for path, why in sorted(reasons.items())))


async def _with_modes(trees: Trees, tree: str, now: State, found: Mapping[str, Difference]) -> dict[str, Difference]:
    """New files have the mode that the old one or else most files have, but for whether they are executable."""
    modes = await trees.modes(tree, [path for path, (_, new) in found.items() if new and new.kind == "file"])
    definite: dict[str, Difference] = {}
    for path, mode in modes.items():
        old, new = found[path]
        bits = old.mode if old and old.kind == "file" else now.survey.plain or 0o644
        bits = bits | (bits & 0o444) >> 2 if mode == "executable" else bits & ~0o111
        definite[path] = (old, replace(new, mode=bits) if new else None)
    return definite


def _is_usable(path: str) -> bool:
    """Whether it stays inside, and out of the user's repository, also where names differ in nothing but case."""
    parts = path.split("/")
    return all(parts) and not any(part in (".", "..") or part.lower() == ".git" for part in parts)

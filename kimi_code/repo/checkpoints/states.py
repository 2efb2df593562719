"""States of a working tree in its shadow repository: what differs between two, and new ones made from old ones."""

import hashlib
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal
from uuid import uuid4

from kimi_code.repo.checkpoints.survey import Survey
from kimi_code.repo.shadow import Shadow, ShadowError
from kimi_code.values import frozen


@frozen
class Node:
    """What a path is: a file or a symlink by its blob, or a folder, of which only the mode matters."""

    kind: Literal["file", "link", "folder"]
    mode: int
    blob: str = ""

    @property
    def git_mode(self) -> str:
        return "120000" if self.kind == "link" else "100755" if self.mode & 0o100 else "100644"


@frozen
class State:
    """All files of a moment: a tree, what git does not keep, and the paths that were too large or unreadable."""

    tree: str
    survey: Survey
    skipped: frozenset[str] = frozenset()


Difference = tuple[Node | None, Node | None]

_TREE = "040000"  # the mode of a folder, in a tree

# With folders: all who ask of two trees ask the same, and the answer is remembered.
_DIFF = ("diff-tree", "-r", "-t", "-z", "--raw", "--no-renames", "--no-abbrev")


async def differences(shadow: Shadow, a: State, b: State) -> dict[str, Difference]:
    """What each path that differs is in `a` and in `b`; None where it is not. Raises ShadowError."""
    found: dict[str, Difference] = {}
    for path, (old_mode, new_mode, old, new, _) in await _raw(shadow, a.tree, b.tree):
        if _TREE not in (old_mode, new_mode):
            found[path] = (_node(path, old_mode, old, a.survey), _node(path, new_mode, new, b.survey))
    if (a.survey.modes, a.survey.same_usual_modes(b.survey)) != (b.survey.modes, True):
        found |= await _mode_differences(shadow, a, b, found)
    return found


async def _raw(shadow: Shadow, a: str, b: str) -> list[tuple[str, list[str]]]:
    """What git says of each path that differs, folders too: both modes, both ids, a letter."""
    if a == b:
        return []
    fields = (await shadow.recall(*_DIFF, a, b)).split(b"\0")
    told = zip(fields[1::2], fields[:-1:2], strict=True)
    return [(os.fsdecode(name), facts[1:].decode().split(" ")) for name, facts in told]


def _node(path: str, mode: str, blob: str, survey: Survey) -> Node | None:
    match mode:
        case "100644" | "100755":
            executable = mode == "100755"
            fallback = 0o755 if executable else 0o644
            return Node("file", survey.mode(path, executable=executable) or fallback, blob)
        case "120000":
            return Node("link", 0, blob)
        case _:
            return None


async def _mode_differences(
    shadow: Shadow, a: State, b: State, known: Mapping[str, Difference]
) -> dict[str, Difference]:
    found: dict[str, Difference] = {}
    for path in await folders_of(shadow, a) & await folders_of(shadow, b):
        if a.survey.mode(path) != b.survey.mode(path):
            found[path] = (Node("folder", a.survey.mode(path)), Node("folder", b.survey.mode(path)))
    listing = await shadow.recall("ls-tree", "-r", "-z", "--full-tree", b.tree)
    for entry in listing.split(b"\0"):
        facts, _, name = entry.partition(b"\t")
        path = os.fsdecode(name)
        if not name or path in known:
            continue
        mode, _, blob = facts.decode().split(" ")
        old, new = _node(path, mode, blob, a.survey), _node(path, mode, blob, b.survey)
        if old != new:
            found[path] = (old, new)
    return found


Letters = dict[str, str]
"""Git's letter for every path that differs: A(dded), D(eleted), M(odified), T(ype changed)."""


async def letters(shadow: Shadow, pairs: Sequence[tuple[str, str]]) -> list[Letters]:
    """What differs within each of the pairs of trees, all in one go."""
    asked = [pair for pair in dict.fromkeys(pairs) if pair[0] != pair[1]]
    found: dict[str, Letters] = {f"{a} {b}": {} for a, b in asked}
    if asked:
        diff = ("diff-tree", "--stdin", "-r", "-z", "--raw", "--no-renames")
        output = await shadow.ask(*diff, input="".join(f"{a} {b}\n" for a, b in asked).encode())
        fields = iter(output.split(b"\0"))
        current: Letters = {}
        for facts in fields:
            # The ids of a pair stand on a line before its first path, or alone.
            *heads, last = facts.decode().split("\n")
            for head in heads:
                current = found[head]
            if last.startswith(":"):
                current[os.fsdecode(next(fields))] = last[-1]
    return [found.get(f"{a} {b}", {}) for a, b in pairs]


async def quiet_letters(shadow: Shadow, a: State, b: State) -> Letters:
    """What differs between two states of one tree: modes (M), and empty folders that came and went (A, D)."""
    found = dict.fromkeys(await differences(shadow, a, b), "M")
    return (
        found
        | dict.fromkeys(b.survey.empty - a.survey.empty, "A")
        | dict.fromkeys(a.survey.empty - b.survey.empty, "D")
    )


async def folders_of(shadow: Shadow, state: State) -> set[str]:
    """All folders that hold files, and the empty ones, each with a closing `/`."""
    listing = await shadow.recall("ls-tree", "-r", "-d", "-z", "--name-only", "--full-tree", state.tree)
    found = {f"{os.fsdecode(name)}/" for name in listing.split(b"\0") if name}
    for empty in state.survey.empty:
        parts = empty.rstrip("/").split("/")
        found |= {"/".join(parts[: n + 1]) + "/" for n in range(len(parts))}
    return found


async def with_changes(
    shadow: Shadow,
    state: State,
    changes: Mapping[str, Node | None],
    empty: frozenset[str],
    *,
    made: Mapping[str, int],
    removed: Collection[str],
    likely: str = "",
) -> State:
    """`state` after `changes`, with exactly these `empty` folders; `made` ones have these modes.

    `likely` is the tree that probably comes of it, which need not be written then.
    """
    files = {path: node for path, node in changes.items() if not path.endswith("/")}
    if likely and await _leads_to(shadow, state.tree, files, likely):
        tree = likely
    else:
        tree = await _write_tree(shadow, state.tree, files) if files else state.tree
    usual = state.survey
    modes = {path: mode for path, mode in usual.modes.items() if path not in changes and path not in removed}
    modes |= {folder: mode for folder, mode in made.items() if mode not in (0, usual.folder)}
    for path, node in changes.items():
        if node is None or node.kind == "link":
            continue
        if node.mode != _usual(usual, path, node):
            modes[path] = node.mode
    survey = Survey(usual.plain, usual.executable, usual.folder, modes, empty, usual.ignored, usual.outside)
    return State(tree, survey, state.skipped)


def _usual(survey: Survey, path: str, node: Node) -> int:
    if path.endswith("/"):
        return survey.folder
    return survey.executable if node.mode & 0o100 else survey.plain


async def _leads_to(shadow: Shadow, tree: str, files: Mapping[str, Node | None], goal: str) -> bool:
    """Whether `goal` is what becomes of `tree` with just these files."""
    wanted = {
        path: (new_mode, new)
        for path, (old_mode, new_mode, _, new, _) in await _raw(shadow, tree, goal)
        if _TREE not in (old_mode, new_mode)
    }
    gone = ("000000", "0" * len(tree))
    return wanted == {path: (node.git_mode, node.blob) if node else gone for path, node in files.items()}


async def _write_tree(shadow: Shadow, tree: str, files: Mapping[str, Node | None]) -> str:
    index = shadow.folder / f"index.{uuid4().hex}"
    nothing = "0" * len(tree)
    gone = [f"0 {nothing}\t".encode() + os.fsencode(path) for path, node in files.items() if node is None]
    there = [f"{node.git_mode} {node.blob}\t".encode() + os.fsencode(path) for path, node in files.items() if node]
    try:
        await shadow.ask("read-tree", tree, index=index)
        lines = b"".join(line + b"\0" for line in (*gone, *there))
        await shadow.ask("update-index", "-z", "--index-info", index=index, input=lines)
        return (await shadow.ask("write-tree", "--missing-ok", index=index)).decode().strip()
    finally:
        index.unlink(missing_ok=True)


async def keep_difference(shadow: Shadow, a: str, b: str) -> Letters:
    """What differs from tree `a` to `b`, after the objects in which they do were copied, if they are only borrowed.

    By that, states that follow one another can be turned into each other without the user's repository, whatever is
    pruned there. What is gone already is found out by whoever needs it.
    """
    if a == b:
        return {}
    found: Letters = {}
    ids = {a, b}
    for path, (old_mode, new_mode, old, new, letter) in await _raw(shadow, a, b):
        ids |= {id for mode, id in ((old_mode, old), (new_mode, new)) if mode not in ("000000", "160000")}
        there = {old_mode, new_mode} - {"000000"}
        if there != {_TREE}:  # where a folder takes the place of a file, the same path comes once for each
            found[path] = "T" if path in found else letter
    if shadow.lender is not None:
        await _copy_borrowed(shadow, ids)
    return found


async def _copy_borrowed(shadow: Shadow, ids: Iterable[str]) -> None:
    borrowed = sorted(id for id in ids if not (shadow.folder / "objects" / id[:2] / id[2:]).exists())
    if not borrowed:
        return
    try:
        await pack(shadow, borrowed)
    except ShadowError:
        gone = await absent(shadow, borrowed)
        if not gone:
            raise
        if left := [id for id in borrowed if id not in gone]:
            await pack(shadow, left)


async def absent(shadow: Shadow, ids: Iterable[str]) -> set[str]:
    """Those of the objects that are nowhere to be had."""
    lines = "".join(f"{id}\n" for id in ids).encode()
    if not lines:
        return set()
    listing = (await shadow.ask("cat-file", "--batch-check=%(objectname)", input=lines)).decode()
    return {line.partition(" ")[0] for line in listing.split("\n") if line.endswith(" missing")}


async def pack(shadow: Shadow, ids: Sequence[str]) -> str:
    """Write a pack of these objects into the shadow repository; returns its name."""
    folder = shadow.folder / "objects" / "pack"
    folder.mkdir(exist_ok=True)
    command = ("pack-objects", "-q", "--window=0", "--threads=1", str(folder / "pack"))
    return (await shadow.ask(*command, input="".join(f"{id}\n" for id in ids).encode())).decode().strip()


async def merge(shadow: Shadow, base: Node, ours: Node, theirs: Node) -> Node | None:
    """The file with both changes since `base`; None where lines clash, or when it is no text."""
    folder = shadow.folder / f"merge.{uuid4().hex}"
    folder.mkdir()
    names = [str(folder / name) for name in ("now", "base", "wanted")]
    try:
        for name, node in zip(names, (ours, base, theirs), strict=True):
            Path(name).write_bytes(await shadow.ask("cat-file", "blob", node.blob))
        output = await shadow.git("merge-file", "-p", "-q", *names)
        if output.code != 0:
            return None
        blob = (await shadow.ask("hash-object", "-w", "--stdin", "--no-filters", input=output.stdout)).decode().strip()
    finally:
        for name in names:
            Path(name).unlink(missing_ok=True)
        folder.rmdir()
    return Node("file", theirs.mode if ours.mode == base.mode else ours.mode, blob)


def blob_of(path: Path, node: Node) -> str:
    """The id that git would give what is at `path` now; "" for what is neither file nor symlink. Raises OSError."""
    if path.is_symlink():
        content = os.fsencode(os.readlink(path))  # noqa: PTH115  (bytes as they are)
    elif path.is_file():
        content = path.read_bytes()
    else:
        return ""
    digest = hashlib.sha256() if len(node.blob) == 64 else hashlib.sha1(usedforsecurity=False)
    digest.update(b"blob %d\0" % len(content))
    digest.update(content)
    return digest.hexdigest()

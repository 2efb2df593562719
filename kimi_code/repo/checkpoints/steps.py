"""What a restore moves, step by step, and what stands in its way: worked out before anything is touched."""

import os
import stat
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from uuid import uuid4

from kimi_code.repo.checkpoints.plan import parents
from kimi_code.repo.checkpoints.states import Node
from kimi_code.values import frozen


@frozen
class Step:
    """One path: `old` is what is there, `new` what is to be. None is nothing."""

    path: str
    old: Node | None
    new: Node | None

    @property
    def moves(self) -> bool:
        """Whether there is more to it than a mode."""
        return self.old is None or self.new is None or (self.old.kind, self.old.blob) != (self.new.kind, self.new.blob)


@frozen
class Swap:
    """The whole of it. `stage` is a folder at the top of the working tree.

    `made` are folders that are not there yet (`modes` those of them that are not as usual), `cleared` those that a file
    takes the place of, `remove` those to go at last if they are empty.
    """

    operation: str
    stage: str
    steps: tuple[Step, ...]
    modes: tuple[tuple[str, int], ...] = ()
    made: tuple[str, ...] = ()
    cleared: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()


def prepare(
    worktree: Path,
    operation: str,
    changes: Mapping[str, Node | None],
    was: Mapping[str, Node | None],
    *,
    make: Collection[tuple[str, int]] = (),
    around: Mapping[str, int] | None = None,
    remove: Iterable[str] = (),
) -> Swap:
    """Work out the steps. Looks at folders only. Folders in `around` have these modes if they are made."""
    modes = (
        dict(around or {})
        | dict(make)
        | {path: node.mode for path, node in changes.items() if node and path.endswith("/")}
    )
    usable = {path: node for path, node in changes.items() if not path.endswith("/") or _is_folder(worktree / path)}
    steps = tuple(Step(path, was[path], node) for path, node in sorted(usable.items()))
    needed = {folder for step in steps if step.new for folder in parents(step.path)}
    needed |= {above for folder, _ in make for above in (*parents(folder), folder)}
    made = sorted(folder for folder in needed if not _is_folder(worktree / folder))
    made_modes = tuple((folder, modes[folder]) for folder in made if folder in modes)
    arriving = {f"{step.path}/" for step in steps if step.new and step.old is None and not step.path.endswith("/")}
    cleared = sorted(folder for folder in {*remove} if any(folder.startswith(path) for path in arriving))
    stage = f".{uuid4().hex[:12]}.kimi-code.tmp"
    left = tuple(sorted(set(remove) - set(cleared)))
    return Swap(operation, stage, steps, made_modes, tuple(made), tuple(cleared), left)


def obstacles(worktree: Path, swap: Swap) -> dict[str, str]:
    """Paths that stand in the way or may not be written, with the reason, before anything is touched."""
    found: dict[str, str] = {}
    cleared, leaving = set(swap.cleared), {step.path for step in swap.steps if step.new is None}
    for folder in swap.made:
        if os.path.lexists(worktree / folder.rstrip("/")) and folder.rstrip("/") not in leaving:
            found[folder] = "a file is in its place"
    for step in swap.steps:
        path = worktree / step.path
        there = os.path.lexists(path)
        if step.old is None and there and f"{step.path}/" not in cleared:
            found[step.path] = "something that is in no checkpoint is in its place"
        elif step.old is None and there and not _is_leaving(worktree, step.path, leaving, cleared):
            found[step.path] = "a folder with other files is in its place"
        elif any(_is_detour(worktree / folder, folder.rstrip("/") in leaving) for folder in parents(step.path)):
            found[step.path] = "its folder is a symlink or a file now"
        elif there and _is_protected(path, step):
            found[step.path] = "is read-only"
        elif step.moves and not os.access(_nearest_folder(path.parent), os.W_OK | os.X_OK):
            found[step.path] = "its folder is read-only"
    for folder in (made.rstrip("/") for made in swap.made):
        if folder not in leaving and _is_detour(worktree / folder, leaving=False):
            found[f"{folder}/"] = "a file is in the place of this folder"
    return found


def _is_protected(path: Path, step: Step) -> bool:
    """Whether a file may not be written, and that is not what the step takes back."""
    if step.old is None or step.old.kind != "file" or os.access(path, os.W_OK):
        return False
    became_so = not step.old.mode & 0o200 and (step.new is None or bool(step.new.mode & 0o200))
    return not became_so or os.name == "nt"  # where renames do not pass over the attribute


def _is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except OSError:
        return False


def _is_leaving(worktree: Path, folder: str, leaving: set[str], cleared: set[str]) -> bool:
    """Whether all that is in a folder goes away."""
    if not _is_folder(worktree / folder):
        return False
    inside = (worktree / folder).rglob("*")
    names = {path.relative_to(worktree).as_posix() + "/" * _is_folder(path) for path in inside}
    return names <= leaving | cleared


def _is_detour(path: Path, leaving: bool) -> bool:
    return os.path.lexists(path) and not leaving and not _is_folder(path)


def _nearest_folder(path: Path) -> Path:
    return next(folder for folder in (path, *path.parents) if _is_folder(folder))

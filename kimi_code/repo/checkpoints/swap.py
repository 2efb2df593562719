"""Put files in their places, all or none: staged beside them, moved by renames, rolled back after any failure.

A note in the shadow folder, written before the first step, lets whoever comes after a kill undo what was begun.
"""

import asyncio
import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, ParamSpec, cast
from uuid import uuid4

from kimi_code.repo.checkpoints.states import Node, blob_of
from kimi_code.repo.checkpoints.steps import Step, Swap
from kimi_code.repo.shadow import RESTORING, Shadow, ShadowError

P = ParamSpec("P")

_READY = "ready"  # in the stage: from here on, what is missing from it has been moved into place


class SwapError(Exception):
    """It could not be done, and nothing is: `path` is where, the text why.

    `left` are the paths that somebody changed meanwhile, and that stay so.
    """

    def __init__(self, path: str, reason: str, left: Sequence[str] = ()) -> None:
        super().__init__(f"{path}: {reason}" if path else reason)
        self.path = path
        self.reason = reason
        self.left = tuple(left)


async def carry_out(shadow: Shadow, swap: Swap, log: Callable[[], None], *, store: Shadow | None = None) -> None:
    """Do it all, and have `log` say that `swap.operation` is done; or nothing. To be called under the lock.

    New content comes from `store`, the shadow itself by default. Raises SwapError.
    """
    try:
        await stage(shadow, swap, store)
        await _uninterrupted(swap_in, shadow.worktree, swap)
        log()
    except BaseException as error:
        left = roll_back(shadow, swap)
        match error:
            case SwapError():
                raise SwapError(error.path, error.reason, left) from error
            case ShadowError():
                raise SwapError("", str(error), left) from error
            case OSError():
                raise SwapError("", error.strerror or str(error), left) from error
            case _:
                raise
    finish(shadow, swap)


async def _uninterrupted(work: Callable[P, None], *args: P.args, **named: P.kwargs) -> None:
    """In a thread; whoever is cancelled meanwhile waits for its end, so that nobody rolls back what still goes on."""
    running = asyncio.ensure_future(asyncio.to_thread(work, *args, **named))
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        while not running.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait({running})
        raise


async def stage(shadow: Shadow, swap: Swap, store: Shadow | None = None) -> None:
    """Note what is to be done, and write all new content next to the tree. Raises ShadowError and OSError."""
    store = store or shadow
    _write_note(shadow.folder / RESTORING, swap)
    top = shadow.worktree / swap.stage
    (top / "old").mkdir(parents=True)
    (top / "new").mkdir()
    lines = [
        f"{step.new.git_mode} {step.new.blob}\t{number}".encode()
        for number, step in enumerate(swap.steps)
        if step.new and step.moves
    ]
    if not lines:
        (top / _READY).touch()
        return
    index = shadow.folder / f"index.{uuid4().hex}"
    try:
        await store.ask("update-index", "-z", "--index-info", index=index, input=b"".join(x + b"\0" for x in lines))
        await store.ask("checkout-index", "-q", "-a", f"--prefix={top.as_posix()}/new/", index=index)
    finally:
        index.unlink(missing_ok=True)
    await _uninterrupted(_finish_staged, top, swap)


def _finish_staged(top: Path, swap: Swap) -> None:
    """Modes, and all of it on the disk before it takes its place."""
    for number, step in enumerate(swap.steps):
        if step.new is None or not step.moves:
            continue
        path = top / "new" / str(number)
        if not os.path.lexists(path):
            raise ShadowError(f"{step.path} could not be written")
        if step.new.kind == "file":
            with path.open("rb+") as file:
                os.fsync(file.fileno())
            if os.name != "nt":
                path.chmod(step.new.mode)
    (top / _READY).touch()


def swap_in(worktree: Path, swap: Swap) -> None:
    """Move everything into place. Raises SwapError; then `roll_back` has to follow."""
    top = worktree / swap.stage
    numbered = sorted(enumerate(swap.steps), key=lambda pair: _order(pair[1]))
    made = False
    for number, step in numbered:
        if step.new is not None and not made:
            _make_room(worktree, swap)
            made = True
        try:
            _swap_one(worktree / step.path, step, top / "old" / str(number), top / "new" / str(number))
        except OSError as error:
            raise SwapError(step.path, error.strerror or str(error)) from error
    if not made:
        _make_room(worktree, swap)
    for folder, mode in swap.modes:
        if mode and os.name != "nt":
            (worktree / folder).chmod(mode)


def _order(step: Step) -> tuple[int, str]:
    """What goes, before what comes in its place."""
    return (0 if step.new is None else 1 if step.moves else 2, step.path)


def _make_room(worktree: Path, swap: Swap) -> None:
    for folder in sorted(swap.cleared, reverse=True):
        try:
            (worktree / folder).rmdir()
        except FileNotFoundError:
            continue
        except OSError as error:
            reason = "holds files that are in no checkpoint, and a file is to take its place"
            raise SwapError(folder, reason) from error
    for folder in swap.made:
        try:
            (worktree / folder).mkdir(exist_ok=True)
        except OSError as error:
            raise SwapError(folder, error.strerror or str(error)) from error


def _swap_one(path: Path, step: Step, old: Path, new: Path) -> None:
    if step.old is not None and step.old.kind != "folder" and blob_of(path, step.old) != step.old.blob:
        raise SwapError(step.path, "was changed just now")
    if not step.moves:
        assert step.new is not None
        if os.name != "nt":
            path.chmod(step.new.mode)
    elif step.new is None:
        path.rename(old)
    elif step.old is None:
        if os.path.lexists(path):
            raise SwapError(step.path, "appeared just now")
        new.rename(path)
    else:
        try:
            os.link(path, old, follow_symlinks=False)
        except (OSError, NotImplementedError):  # a file system without: for an instant there is no file
            path.rename(old)
        new.replace(path)


def finish(shadow: Shadow, swap: Swap) -> None:
    """After success: remove what is left over. What fails is harmless."""
    for folder in sorted(swap.remove, key=len, reverse=True):
        with contextlib.suppress(OSError):
            (shadow.worktree / folder).rmdir()
    shutil.rmtree(shadow.worktree / swap.stage, ignore_errors=True)
    (shadow.folder / RESTORING).unlink(missing_ok=True)


def roll_back(shadow: Shadow, swap: Swap) -> list[str]:
    """Undo whatever was done of it; the paths that somebody changed meanwhile, which stay as they are."""
    worktree = shadow.worktree
    top = worktree / swap.stage
    kept: list[str] = []
    for number, step in sorted(enumerate(swap.steps), key=lambda pair: _order(pair[1]), reverse=True):
        if step.new is not None and not _take_out(worktree / step.path, step, top, number):
            kept.append(step.path)
    for folder in reversed(swap.made):
        with contextlib.suppress(OSError):
            (worktree / folder).rmdir()
    for folder in swap.cleared:
        with contextlib.suppress(OSError):
            (worktree / folder).mkdir(parents=True, exist_ok=True)
    for number, step in enumerate(swap.steps):
        old, path = top / "old" / str(number), worktree / step.path
        if step.new is None and os.path.lexists(old) and not os.path.lexists(path):
            old.rename(path)
    shutil.rmtree(top, ignore_errors=True)
    (shadow.folder / RESTORING).unlink(missing_ok=True)
    return kept


def _take_out(path: Path, step: Step, top: Path, number: int) -> bool:
    """False when somebody has written there since."""
    old, new = top / "old" / str(number), top / "new" / str(number)
    assert step.new is not None
    if not step.moves:
        if step.old is not None and os.name != "nt" and os.path.lexists(path):
            path.chmod(step.old.mode)
        return True
    was_in = (top / _READY).exists() and not os.path.lexists(new)
    if step.old is None:
        if was_in and os.path.lexists(path):
            if blob_of(path, step.new) != step.new.blob:
                return False
            path.unlink()
        return True
    if not os.path.lexists(old):
        return True
    if was_in and os.path.lexists(path) and blob_of(path, step.new) != step.new.blob:
        return False
    old.replace(path)
    return True


# --- After a kill -------------------------------------------------------------------------------------------------


def recover(shadow: Shadow, operations: Iterable[str]) -> list[str]:
    """Finish what a killed process left: forward when it is among the logged `operations`, else back.

    Returns the paths that were changed meanwhile and stay as they are.
    """
    note = shadow.folder / RESTORING
    try:
        swap = _read_note(note)
    except FileNotFoundError:
        return []
    except ValueError:
        note.unlink()  # torn: nothing had been begun
        return []
    if swap.operation in set(operations):
        finish(shadow, swap)
        return []
    return roll_back(shadow, swap)


def _write_note(note: Path, swap: Swap) -> None:
    steps = [[step.path, _wire(step.old), _wire(step.new)] for step in swap.steps]
    wire = {
        "operation": swap.operation,
        "stage": swap.stage,
        "steps": steps,
        "made": swap.made,
        "cleared": swap.cleared,
        "remove": swap.remove,
    }
    temporary = note.with_name(f"{RESTORING}.new")
    with temporary.open("wb") as file:
        file.write(json.dumps(wire).encode())
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(note)


def _wire(node: Node | None) -> list[str | int] | None:
    return None if node is None else [node.kind, node.mode, node.blob]


def _read_note(note: Path) -> Swap:
    content = note.read_bytes()
    try:
        wire = cast("dict[str, Any]", json.loads(content))
        steps = tuple(Step(path, _node(old), _node(new)) for path, old, new in wire["steps"])
        made, cleared, remove = (tuple(cast("Sequence[str]", wire[key])) for key in ("made", "cleared", "remove"))
        return Swap(wire["operation"], wire["stage"], steps, (), made, cleared, remove)
    except (KeyError, TypeError) as error:
        raise ValueError("torn") from error


def _node(wire: "tuple[Literal['file', 'link', 'folder'], int, str] | None") -> Node | None:
    return Node(*wire) if wire else None

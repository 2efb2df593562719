"""Whatever turns and the user did: undo as often as it goes, redo as often, and all is as it was; nobody loses work."""

import asyncio
import os
import shutil
import stat
import sys
import tempfile
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kimi_code.repo.checkpoint import Checkpoints
from kimi_code.repo.snapshot import Snapshots
from tests.costly import dear
from tests.repository import git
from tests.unit.trees import Listing, listing

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX modes and links")

# Few names, so that the same paths are met again, as files, folders and links.
NAMES = ("a", "b", "d/a", "d/e/b", "d")
VERBS = ("write", "write", "binary", "delete", "link", "chmod", "mkdir", "rename", "rename")
Edit = tuple[Literal["write", "binary", "delete", "link", "chmod", "mkdir", "rename"], str, int]


def edits_of(*names: str) -> st.SearchStrategy[list[Edit]]:
    return st.lists(st.tuples(st.sampled_from(VERBS), st.sampled_from(names), st.integers(0, 3)), max_size=4)


edits = edits_of(*NAMES)
wild = edits_of(*NAMES, "x.log", "d/x.log")  # and what git ignores


def do(root: Path, edits: list[Edit], prefix: str = "") -> None:
    for verb, name, number in edits:
        path = root / (prefix + name)
        if any(parent.is_symlink() or parent.is_file() for parent in path.parents if parent != root):
            continue
        match verb:
            case "rename":
                rename(path, root / (prefix + NAMES[number]))
                continue
            case "delete" | "link":
                clear(path)
            case "write" | "binary" if path.is_dir() or path.is_symlink():
                clear(path)
            case "mkdir" if path.is_file() or path.is_symlink():
                clear(path)
            case _:
                pass
        if verb != "delete":
            path.parent.mkdir(parents=True, exist_ok=True)
        match verb:
            case "write":
                path.write_text("line\n" * number + f"{name} {number}\n")
            case "binary":
                path.write_bytes(bytes([0, 255, 13, 10, number]) * 1000)
            case "link":
                path.symlink_to(f"target{number}")
            case "chmod" if path.is_file():
                path.chmod((0o600, 0o644, 0o755, 0o700)[number])
            case "mkdir":
                path.mkdir(exist_ok=True)
            case _:
                pass


def rename(path: Path, goal: Path) -> None:
    related = path == goal or path in goal.parents or goal in path.parents
    if related or not os.path.lexists(path) or not os.path.lexists(goal.parent) or not goal.parent.is_dir():
        return
    clear(goal)
    path.rename(goal)


def clear(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@settings(dear, suppress_health_check=[HealthCheck.too_slow])
@given(start=edits, turns=st.lists(edits, min_size=1, max_size=3), between=st.lists(edits, min_size=3, max_size=3))
def test_undoing_all_and_redoing_all_is_the_identity_and_the_users_changes_survive(
    start: list[Edit], turns: list[list[Edit]], between: list[list[Edit]]
) -> None:
    asyncio.run(undo_and_redo(start, turns, between))


async def undo_and_redo(start: list[Edit], turns: list[list[Edit]], between: list[list[Edit]]) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary) / "project"
        root.mkdir()
        git(root, "init", "-q", "--template=")
        do(root, start)
        checkpoints = Checkpoints(Snapshots(root, Path(temporary) / "store"))
        first = listing(root)
        for number, (agent, user) in enumerate(zip(turns, between, strict=False)):
            await checkpoints.begin_turn("s", number, "prompt")
            await checkpoints.take("s", number, "before")
            do(root, agent)
            await checkpoints.end_turn("s", number)
            do(root, user, prefix="mine/")
        (root / "mine").mkdir(exist_ok=True)
        last = listing(root)
        states = [last]
        for _ in turns:
            report = await checkpoints.undo()
            assert report.applied, report
            states.append(listing(root))
        assert theirs(states[-1]) == theirs(first)
        for state in reversed(states[:-1]):
            assert (await checkpoints.redo()).applied
            assert listing(root) == state
        assert (await checkpoints.undo(len(turns))).applied
        assert listing(root) == states[-1]
        assert all(mine(state) == mine(last) for state in states)
        assert (await checkpoints.redo(len(turns))).applied
        assert listing(root) == last


@settings(dear, suppress_health_check=[HealthCheck.too_slow])
@example(  # the user's is on top of the second turn, and stands in the way of the first
    start=[("write", "a", 0), ("write", "x.log", 0)],
    turns=[[("write", "a", 1), ("delete", "x.log", 0)], [("rename", "a", 1)], [("write", "d/a", 0)]],
    between=[[("write", "a", 2)], [("write", "d/x.log", 1)], [("chmod", "d/a", 0), ("write", "b", 3)]],
)
@given(start=wild, turns=st.lists(wild, min_size=1, max_size=3), between=st.lists(wild, min_size=3, max_size=3))
def test_whatever_the_user_does_to_the_same_files_between_turns_nothing_of_theirs_is_overwritten(
    start: list[Edit], turns: list[list[Edit]], between: list[list[Edit]]
) -> None:
    asyncio.run(among_each_other(start, turns, between))


async def among_each_other(start: list[Edit], turns: list[list[Edit]], between: list[list[Edit]]) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary) / "project"
        root.mkdir()
        git(root, "init", "-q", "--template=")
        (root / ".gitignore").write_text("*.log\n")
        do(root, start)
        checkpoints = Checkpoints(Snapshots(root, Path(temporary) / "store"))
        spans: list[tuple[Listing, Listing]] = []
        for number, (agent, user) in enumerate(zip(turns, between, strict=False)):
            await checkpoints.begin_turn("s", number, "prompt")
            await checkpoints.take("s", number, "before")
            before = listing(root)
            do(root, agent)
            await checkpoints.end_turn("s", number)
            spans.append((before, listing(root)))
            do(root, user)
        states = [listing(root)]
        for before, after in reversed(spans):
            report = await checkpoints.undo()
            found = listing(root)
            if not report.applied:
                assert report.conflicts and found == states[-1]
                assert any(states[-1].get(path) != after.get(path) for path in states[-1].keys() | after.keys())
                break
            only_the_turn_is_undone(before, after, states[-1], found)
            states.append(found)
        for state in reversed(states[:-1]):
            assert (await checkpoints.redo()).applied
            assert listing(root) == state
        if len(states) > 1:
            assert (await checkpoints.undo(len(states) - 1)).applied
            assert listing(root) == states[-1]
            assert (await checkpoints.redo(len(states) - 1)).applied
            assert listing(root) == states[0]


def only_the_turn_is_undone(before: Listing, after: Listing, was: Listing, found: Listing) -> None:
    """Each file but ignored ones: what the turn changed is as before it, unless the user had changed it, all else is
    as it was."""
    for path in before.keys() | after.keys() | was.keys() | found.keys():
        if any(path in state and stat.S_ISDIR(state[path][0]) for state in (before, after, was, found)):
            continue
        if path.endswith(".log") or before.get(path) == after.get(path):
            assert found.get(path) == was.get(path), path
        else:
            assert found.get(path) == before.get(path), path
            assert was.get(path) in (after.get(path), before.get(path)), path


def mine(state: dict[str, tuple[int, bytes]]) -> dict[str, tuple[int, bytes]]:
    return {path: facts for path, facts in state.items() if path.split("/")[0] == "mine"}


def theirs(state: dict[str, tuple[int, bytes]]) -> dict[str, tuple[int, bytes]]:
    return {path: facts for path, facts in state.items() if path.split("/")[0] != "mine"}


@settings(dear, suppress_health_check=[HealthCheck.too_slow])
@example(start=[], agent=[("write", "d/a", 0)], user=[("write", "d", 0)], resolve="refuse")
@example(start=[("chmod", "d/e/b", 0)], agent=[("write", "d/e/b", 0)], user=[("write", "d", 0)], resolve="refuse")
@example(start=[("mkdir", "d/e/b", 0)], agent=[("write", "d", 0)], user=[], resolve="refuse")
@given(start=edits, agent=edits, user=edits, resolve=st.sampled_from(["refuse", "merge", "force"]))
def test_where_both_changed_the_same_nothing_is_lost(
    start: list[Edit], agent: list[Edit], user: list[Edit], resolve: Literal["refuse", "merge", "force"]
) -> None:
    asyncio.run(clash(start, agent, user, resolve))


async def clash(
    start: list[Edit], agent: list[Edit], user: list[Edit], resolve: Literal["refuse", "merge", "force"]
) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary) / "project"
        root.mkdir()
        do(root, start)
        checkpoints = Checkpoints(Snapshots(root, Path(temporary) / "store"))
        await checkpoints.begin_turn("s", 1, "prompt")
        await checkpoints.take("s", 1, "before")
        do(root, agent)
        await checkpoints.end_turn("s", 1)
        do(root, user)
        before = listing(root)
        report = await checkpoints.undo(resolve=resolve)
        if not report.applied:
            assert report.conflicts and listing(root) == before
            return
        after = listing(root)
        assert (await checkpoints.redo()).applied
        assert listing(root) == before
        assert (await checkpoints.undo(resolve=resolve)).applied
        assert listing(root) == after

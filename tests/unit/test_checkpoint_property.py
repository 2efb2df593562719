"""Whatever turns and the user did: undo as often as it goes, redo as often, and all is as it was; nobody loses work."""

import asyncio
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kimi_code.repo.checkpoint import Checkpoints
from kimi_code.repo.snapshot import Snapshots
from tests.repository import git
from tests.unit.test_checkpoint import listing

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX modes and links")

# Few names, so that the same paths are met again, as files, folders and links.
NAMES = ("a", "b", "d/a", "d/e/b", "d")
Edit = tuple[Literal["write", "delete", "link", "chmod", "mkdir"], str, int]

edit = st.tuples(
    st.sampled_from(["write", "write", "delete", "link", "chmod", "mkdir"]), st.sampled_from(NAMES), st.integers(0, 3)
)
edits = st.lists(edit, max_size=4)


def do(root: Path, edits: list[Edit], prefix: str = "") -> None:
    for verb, name, number in edits:
        path = root / (prefix + name)
        if any(parent.is_symlink() or parent.is_file() for parent in path.parents if parent != root):
            continue
        match verb:
            case "delete" | "link":
                clear(path)
            case "write" if path.is_dir() or path.is_symlink():
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
            case "link":
                path.symlink_to(f"target{number}")
            case "chmod" if path.is_file():
                path.chmod((0o600, 0o644, 0o755, 0o700)[number])
            case "mkdir":
                path.mkdir(exist_ok=True)
            case _:
                pass


def clear(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
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


def mine(state: dict[str, tuple[int, bytes]]) -> dict[str, tuple[int, bytes]]:
    return {path: facts for path, facts in state.items() if path.split("/")[0] == "mine"}


def theirs(state: dict[str, tuple[int, bytes]]) -> dict[str, tuple[int, bytes]]:
    return {path: facts for path, facts in state.items() if path.split("/")[0] != "mine"}


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
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

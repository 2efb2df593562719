"""Checkpoints under kill -9, full disks and company: the next command works, and nothing is torn."""

import asyncio
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kimi_code.errors import CheckpointError
from kimi_code.repo.checkpoint import Checkpoints
from kimi_code.repo.checkpoints import swap
from kimi_code.repo.checkpoints.states import Node
from kimi_code.repo.checkpoints.steps import prepare
from kimi_code.repo.lock import FileLock
from kimi_code.repo.snapshot import Snapshots
from tests.kill_points import Attempt, dying
from tests.repository import commit_all, git
from tests.small_disk import small_disk
from tests.unit.test_checkpoint import checkpoints_of, conflicts, turn
from tests.unit.trees import listing, run

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and permissions of POSIX")

UNDO = """
from pathlib import Path
from kimi_code.repo.checkpoint import Checkpoints
from kimi_code.repo.snapshot import Snapshots

async def work(root, store):
    await Checkpoints(Snapshots(Path(root), Path(store))).undo()
"""

TAKE = """
from pathlib import Path
from kimi_code.repo.checkpoint import Checkpoints
from kimi_code.repo.snapshot import Snapshots

async def work(root, store):
    checkpoints = Checkpoints(Snapshots(Path(root), Path(store)))
    await checkpoints.begin_turn("t", 9, "prompt")
    await checkpoints.take("t", 9, "taken")
"""


@pytest.fixture(scope="module")
def undoing() -> Iterator[Attempt]:
    with dying(UNDO) as made:
        yield made


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    for name in ("a.txt", "b.txt", "c.txt"):
        (root / name).write_text(f"{name}\n")
    return root


TURN = "echo more >> a.txt; rm b.txt; mkdir new; echo > new/x; chmod 600 c.txt"


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGINT])
async def test_a_kill_or_ctrl_c_at_any_point_of_an_undo_leaves_all_or_nothing(
    root: Path, undoing: Attempt, by: signal.Signals
) -> None:
    store, kept = root.parent / "store", root.parent / "kept"
    before = listing(root)
    await turn(checkpoints_of(root), 1, TURN, cwd=root)
    after = listing(root)
    shutil.copytree(store, kept, symlinks=True)
    outcomes: set[str] = set()
    number, step = 4, 5 if by == signal.SIGKILL else 8
    while (code := undoing(number, root, store, by=by)) != 0:
        # Ctrl-C cleans up by itself; after a kill the next command does.
        assert code == (-signal.SIGKILL if by == signal.SIGKILL else 130), number
        found_files = listing(root) if by == signal.SIGINT else None
        checkpoints = checkpoints_of(root)
        (found,) = await checkpoints.turns()
        assert listing(root) == (before if found.undone else after), number
        assert found_files in (None, listing(root)), number
        outcomes.add(found.undone)
        if found.undone:
            assert (await checkpoints.redo()).applied
            assert listing(root) == after
        shutil.rmtree(store)
        shutil.copytree(kept, store, symlinks=True)
        number += step
    assert "" in outcomes
    assert outcomes == {"", "both"} or by == signal.SIGINT
    assert listing(root) == before


async def test_a_kill_at_any_point_of_a_snapshot_does_no_harm(root: Path) -> None:
    await turn(checkpoints_of(root), 1, "echo 1 > x", cwd=root)
    number = 2
    with dying(TAKE) as attempt:
        while attempt(number, root, root.parent / "store") == -signal.SIGKILL:
            checkpoints = checkpoints_of(root)
            await checkpoints.take("t", 9, "after a kill")
            assert "end of turn 1" in [kept.label for kept in await checkpoints.list()]
            run(root, f"echo {number} >> x")
            number += 4
    assert (await checkpoints_of(root).list())[-1].label == "taken"


async def test_what_the_user_wrote_after_the_kill_is_not_rolled_back(root: Path) -> None:
    snapshots = Snapshots(root, root.parent / "store")
    shadow = await snapshots.open()
    node = {
        name: Node("file", 0o644, (await shadow.ask("hash-object", "-w", name)).decode().strip())
        for name in ("a.txt", "b.txt", "c.txt")
    }
    before = listing(root)
    wanted = {"a.txt": node["b.txt"], "b.txt": None, "new/x": node["c.txt"], "new/y": node["c.txt"]}
    was = {"a.txt": node["a.txt"], "b.txt": node["b.txt"], "new/x": None, "new/y": None}
    steps = prepare(root, "killed", wanted, was)
    await swap.stage(shadow, steps)
    swap.swap_in(root, steps)
    assert (root / "a.txt").read_text() == "b.txt\n" and not (root / "b.txt").exists()
    run(root, "echo mine > a.txt; echo mine > new/x")
    await Checkpoints(snapshots).turns()
    after = listing(root)
    del after["new"]
    assert {path: content for path, (_, content) in after.items()} == {
        **{path: content for path, (_, content) in before.items()},
        "a.txt": b"mine\n",
        "new/x": b"mine\n",
    }


async def test_a_torn_line_in_the_log_is_cut_off(root: Path) -> None:
    await turn(checkpoints_of(root), 1, "echo > x", cwd=root)
    (log,) = (root.parent / "store").glob("*/checkpoints.jsonl")
    with log.open("ab") as file:
        file.write(b'{"kind":"checkpoint","id":"torn')
    checkpoints = checkpoints_of(root)
    assert (await checkpoints.undo()).applied
    assert [t.undone for t in await checkpoints_of(root).turns()] == ["both"]
    assert b"torn" not in log.read_bytes()


async def test_litter_of_a_killed_write_is_removed_and_never_kept(root: Path) -> None:
    litter = root / ".0123456789ab.kimi-code.tmp"
    litter.write_text("half")
    checkpoints = checkpoints_of(root)
    await turn(checkpoints, 1, "echo > x", cwd=root)
    assert not litter.exists()
    other = checkpoints_of(root)
    with other.hold("living"):
        await other.begin_turn("living", 1, "prompt")
        litter.write_text("of a living one")
        await turn(checkpoints, 2, "echo > y", cwd=root)
        assert litter.exists()
    assert litter.name not in str(await checkpoints.list())


async def test_a_full_disk_rolls_everything_back(tmp_path: Path) -> None:
    with small_disk(tmp_path / "project", "1m") as root:
        run(root, "head -c 400000 /dev/urandom > big; echo > small")
        checkpoints = checkpoints_of(root)
        await turn(checkpoints, 1, "rm big; echo more >> small", cwd=root)
        run(root, "head -c 900000 /dev/zero > filler")
        before = listing(root)
        with pytest.raises(CheckpointError, match="could not be brought back"):
            await checkpoints.undo()
        assert listing(root) == before
        run(root, "rm filler")
        assert (await checkpoints.undo()).applied
        assert (root / "big").stat().st_size == 400_000


async def test_a_log_that_cannot_be_written_rolls_everything_back(root: Path) -> None:
    checkpoints = checkpoints_of(root)
    await turn(checkpoints, 1, TURN, cwd=root)
    before = listing(root)
    (log,) = (root.parent / "store").glob("*/checkpoints.jsonl")
    if subprocess.run(["chattr", "+i", str(log)], check=False, capture_output=True).returncode:
        pytest.skip("NOT TESTED: a log that cannot be written; this file system has no immutable files")
    try:
        with pytest.raises(CheckpointError):
            await checkpoints.undo()
    finally:
        subprocess.run(["chattr", "-i", str(log)], check=True)
    assert listing(root) == before
    assert (await checkpoints.undo()).applied


async def test_a_second_process_waits_or_says_so(root: Path) -> None:
    await turn(checkpoints_of(root), 1, "echo > x", cwd=root)
    (store,) = (root.parent / "store").iterdir()
    other = FileLock(store / "lock")
    assert other.attempt()
    with pytest.raises(CheckpointError, match="Another process has been at work"):
        await checkpoints_of(root, wait=0.0).undo()
    waiting = asyncio.create_task(checkpoints_of(root).undo())
    done, _ = await asyncio.wait({waiting}, timeout=0.05)
    assert not done
    other.release()
    assert (await waiting).applied


async def test_two_sessions_at_once_lose_nothing(root: Path) -> None:
    async def session(name: str) -> None:
        checkpoints = checkpoints_of(root)
        with checkpoints.hold(name):
            for number in range(3):
                await checkpoints.begin_turn(name, number, "prompt")
                await checkpoints.take(name, number, "before")
                (root / f"{name}{number}").write_text(name)
                await checkpoints.end_turn(name, number)

    before = listing(root)
    async with asyncio.TaskGroup() as group:
        for name in ("first", "second"):
            group.create_task(session(name))
    checkpoints = checkpoints_of(root)
    assert len(await checkpoints.turns()) == 6
    assert (await checkpoints.undo(6, resolve="force")).applied
    assert listing(root) == before


async def test_content_that_is_nowhere_any_more_is_named(root: Path) -> None:
    git(root, "init", "-q")
    commit_all(root)
    checkpoints = checkpoints_of(root)
    await turn(checkpoints, 1, "rm a.txt", cwd=root)
    blob = git(root, "rev-parse", ":a.txt")
    (store,) = (root.parent / "store").iterdir()
    shutil.rmtree(store / "objects" / "pack")
    tree = git(root, "rev-parse", "HEAD:")
    (root / ".git/objects" / tree[:2]).rename(root.parent / "away")
    with pytest.raises(CheckpointError, match="undo of turn 1 is impossible: bad object"):
        await checkpoints_of(root).undo()
    (root.parent / "away").rename(root / ".git/objects" / tree[:2])
    (root / ".git/objects" / blob[:2] / blob[2:]).unlink()
    found = conflicts(await checkpoints_of(root).undo())
    assert found == {"a.txt": "its content was in your repository only, and is gone from there"}


async def test_a_file_changed_in_the_last_moment_is_not_overwritten(root: Path) -> None:
    snapshots = Snapshots(root, root.parent / "store")
    checkpoints = Checkpoints(snapshots)
    await turn(checkpoints, 1, "echo more >> a.txt; rm b.txt", cwd=root)
    shadow = await snapshots.open()
    report = await checkpoints.undo(dry_run=True)
    assert report.actions
    before = listing(root)
    steps = prepare(root, "x", {"a.txt": None}, {"a.txt": Node("file", 0o644, "0" * 40)})
    await swap.stage(shadow, steps)
    with pytest.raises(swap.SwapError, match="was changed just now"):
        swap.swap_in(root, steps)
    swap.roll_back(shadow, steps)
    assert listing(root) == before

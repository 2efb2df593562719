"""Hunks taken back, by real checkpoints: whatever is picked, the rest stays byte for byte, and all can be had back."""

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from kimi_code.repo.checkpoint import Checkpoints
from kimi_code.repo.checkpoints.reversal import ids_of
from kimi_code.repo.diff import compare
from kimi_code.repo.snapshot import Snapshots
from tests.costly import dear

LINES = st.lists(st.sampled_from(["a\n", "b\r\n", "ü\n", "\n", "last"]), max_size=30).map("".join)


async def checkpoints_of(folder: Path) -> Checkpoints:
    (folder / "tree").mkdir()
    made = Checkpoints(Snapshots(folder / "tree", folder / "store"))
    await made.begin_turn("s", 1, "")
    return made


@given(old=LINES, new=LINES, picked=st.sets(st.integers(0, 8)))
@dear
def test_what_is_not_picked_stays_byte_for_byte(old: str, new: str, picked: set[int]) -> None:
    async def scenario(folder: Path) -> None:
        checkpoints, file = await checkpoints_of(folder), folder / "tree/file"
        file.write_bytes(old.encode())
        before = await checkpoints.take("s", 1, "before")
        assert before is not None
        file.write_bytes(new.encode())
        since = await checkpoints.since(before.id)
        ids = [id for item in since.items for id in sorted(ids_of(item))]
        taken = {id for number, id in enumerate(ids) if number in picked}
        if not taken:
            return
        report = await checkpoints.revert(since, taken)
        assert report.applied, report
        expected = old if taken == set(ids) else compare("file", old, new).pick(set(ids) - taken)
        assert file.read_bytes().decode() == expected
        await checkpoints.restore(report.saved)
        assert file.read_bytes().decode() == new

    with TemporaryDirectory() as name:
        asyncio.run(scenario(Path(name).resolve()))


async def test_a_file_that_was_there_ignored_is_not_deleted(tmp_path: Path) -> None:
    checkpoints, tree = await checkpoints_of(tmp_path), tmp_path / "tree"
    (tree / ".gitignore").write_text("mine\n")
    (tree / "mine").write_text("precious\n")
    before = await checkpoints.take("s", 1, "before")
    assert before is not None
    (tree / ".gitignore").write_text("")
    since = await checkpoints.since(before.id)
    ids = {id for item in since.items for id in ids_of(item)}
    report = await checkpoints.revert(since, ids)
    assert not report.applied
    assert [conflict.path for conflict in report.conflicts] == ["mine"]
    assert (tree / "mine").read_text() == "precious\n"


async def test_in_a_subfolder_paths_are_named_from_there(tmp_path: Path) -> None:
    import subprocess

    subprocess.run(["git", "init", "-q", str(tmp_path / "tree")], check=True)
    (tmp_path / "tree/sub").mkdir()
    checkpoints = Checkpoints(Snapshots(tmp_path / "tree/sub", tmp_path / "store"))
    await checkpoints.begin_turn("s", 1, "")
    before = await checkpoints.take("s", 1, "before")
    assert before is not None
    (tmp_path / "tree/sub/here").write_text("x\n")
    (tmp_path / "tree/above").write_text("x\n")
    since = await checkpoints.since(before.id)
    assert [diff.path for diff in since.diffs()] == ["../above", "here"]
    report = await checkpoints.revert(since, {hunk.id for diff in since.diffs() for hunk in diff.hunks})
    assert [action.path for action in report.actions] == ["../above", "here"]

"""Only what differs is written, and each file in one step: whoever reads it has it whole, as it was or as it is."""

import subprocess
import sys
from pathlib import Path

import pytest

from kimi_code.repo.checkpoint import Checkpoints
from kimi_code.repo.snapshot import Snapshots
from kimi_code.repo.workspace import LocalWorkspace

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="inodes")

Look = tuple[int, int, int]


def looks(root: Path) -> dict[str, Look]:
    """Which file each is, and when it or its mode was last written to."""
    found = {path.relative_to(root).as_posix(): path.lstat() for path in root.rglob("*")}
    return {name: (look.st_ino, look.st_mtime_ns, look.st_ctime_ns) for name, look in found.items()}


async def test_undo_redo_and_restore_leave_files_alone_that_do_not_differ(tmp_path: Path) -> None:
    root = tmp_path / "project"
    (root / "still").mkdir(parents=True)
    for name in ("a.txt", "b.txt", "still/c.txt"):
        (root / name).write_text(f"{name}\n")
    (root / "link").symlink_to("b.txt")
    checkpoints = Checkpoints(Snapshots(root, tmp_path / "store"))
    await checkpoints.begin_turn("s", 1, "prompt")
    first = await checkpoints.take("s", 1, "before")
    assert first is not None
    before = looks(root)
    subprocess.run("echo more >> a.txt; echo new > new.txt", shell=True, check=True, cwd=root)
    await checkpoints.end_turn("s", 1)

    def others() -> dict[str, Look]:
        return {name: look for name, look in looks(root).items() if name not in ("a.txt", "new.txt")}

    kept = {name: before[name] for name in ("b.txt", "link", "still", "still/c.txt")}
    assert (await checkpoints.undo()).applied
    assert others() == kept
    assert (await checkpoints.redo()).applied
    assert others() == kept
    assert (await checkpoints.restore(first.id)).applied
    assert others() == kept


async def test_who_reads_a_file_while_it_is_written_has_the_old_one_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("the old text, which is longer\n")
    with path.open() as reading:
        await LocalWorkspace(tmp_path).write(path, b"new\n")
        assert reading.read() == "the old text, which is longer\n"
    assert path.read_text() == "new\n"

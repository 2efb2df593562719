"""Writes are atomic: a temporary file beside, on the disk before it takes the place, and a kill leaves old or new."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest

from kimi_code.repo.workspace import LocalWorkspace
from tests.kill_points import Attempt, dying
from tests.unit.test_checkpoint import checkpoints_of, turn

OLD, NEW = b"old\n" * 5_000, b"new and longer\n" * 100_000

_WATCHED = {os.fsync: "fsync", os.replace: "rename", os.rename: "rename", os.link: "link"}


@contextmanager
def watched(folder: Path) -> Generator[list[tuple[str, dict[str, bytes]]]]:
    """What threads ask of the system, and the files in `folder` just before, hidden ones as `*`."""
    seen: list[tuple[str, dict[str, bytes]]] = []

    def notice(_: FrameType, event: str, function: object) -> None:
        if event == "c_call" and (name := _WATCHED.get(function)):  # pyright: ignore[reportArgumentType, reportCallIssue]
            seen.append((name, files(folder)))

    threading.setprofile(notice)
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor())  # those that are there are not watched
    try:
        yield seen
    finally:
        threading.setprofile(None)


def files(folder: Path) -> dict[str, bytes]:
    return {
        "*" if path.name.startswith(".") else path.name: path.read_bytes()
        for path in folder.iterdir()
        if path.is_file()
    }


async def test_new_content_is_on_the_disk_before_it_takes_the_place_of_the_old(tmp_path: Path) -> None:
    workspace = LocalWorkspace(tmp_path)
    with watched(tmp_path) as seen:
        await workspace.write(tmp_path / "a", OLD)
        await workspace.write(tmp_path / "a", NEW)
    assert seen == [
        ("fsync", {"*": OLD}),
        ("rename", {"*": OLD}),
        ("fsync", {"a": OLD, "*": NEW}),
        ("rename", {"a": OLD, "*": NEW}),
    ]
    assert files(tmp_path) == {"a": NEW}


@pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell")
async def test_what_an_undo_brings_back_is_on_the_disk_before_the_first_file_goes(tmp_path: Path) -> None:
    root = tmp_path / "project"
    root.mkdir()
    for name in "abc":
        (root / name).write_text(f"{name}\n")
    checkpoints = checkpoints_of(root)
    await turn(checkpoints, 1, "echo >> a; rm b; echo >> c; echo > d", cwd=root)
    there = files(root)
    with watched(root) as seen:
        assert (await checkpoints.undo()).applied
    first = next(n for n, (verb, _) in enumerate(seen) if verb != "fsync")
    assert [verb for verb, _ in seen[:first]] == ["fsync"] * 3
    assert seen[first][1] == there


# --- Killed in the midst of it ---------------------------------------------------------------------------------------

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")

WRITE = """
from pathlib import Path
from kimi_code.repo.workspace import LocalWorkspace

async def work(root, content):
    path = Path(root, "a")
    await LocalWorkspace(Path(root)).write(path, Path(content).read_bytes())
"""


@pytest.fixture(scope="module")
def writing() -> Iterator[Attempt]:
    with dying(WRITE) as made:
        yield made


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    (root / "a").write_bytes(OLD)
    (tmp_path / "new").write_bytes(NEW)
    return root


async def swept(root: Path) -> dict[str, bytes]:
    """What is there after the next command in the folder."""
    await checkpoints_of(root).take("s", 1, "the next command")
    return files(root)


@posix
async def test_killed_at_any_step_of_a_write_the_file_is_the_old_one_or_the_new_one(
    root: Path, writing: Attempt
) -> None:
    number, left = 1, set[str]()
    while writing(number, root, root.parent / "new") == -signal.SIGKILL:
        found = files(root)
        left |= found.keys()
        assert found["a"] == OLD, number
        assert await swept(root) == {"a": OLD}
        number += 1
    assert number > 3
    assert left == {"a", "*"}
    assert files(root) == {"a": NEW}


@posix
async def test_what_a_kill_left_in_a_new_folder_goes_too(root: Path, writing: Attempt) -> None:
    number, left = 1, False
    while writing(number, root / "new" / "deep", root.parent / "new") == -signal.SIGKILL:
        left = left or any(root.rglob(".*.tmp"))
        await checkpoints_of(root).take("s", 1, "the next command")
        assert not any(root.rglob(".*.tmp")), number
        number += 1
    assert left


HALF = """
import asyncio, resource, signal, sys
from pathlib import Path
from kimi_code.repo.workspace import LocalWorkspace

signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
root = Path(sys.argv[1])
asyncio.run(LocalWorkspace(root).write(root / "a", Path(sys.argv[2]).read_bytes()))
"""


@posix
async def test_killed_half_way_through_the_content_the_file_is_the_old_one(root: Path) -> None:
    command = [sys.executable, "-c", HALF, str(root), str(root.parent / "new")]
    ran = subprocess.run(command, cwd=Path(__file__).parents[2], check=False)
    assert ran.returncode == -signal.SIGXFSZ
    assert files(root) == {"a": OLD, "*": NEW[:300_000]}
    assert await swept(root) == {"a": OLD}

"""A store whose disk is full: the reason is said, nothing is left behind, and nothing else is heard of it."""

import asyncio
import gc
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kimi_code.repo.snapshot import Snapshots
from tests.small_disk import PAGE, small_disk


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own."""
    with small_disk(tmp_path / "store", "256k") as disk:
        yield disk


@pytest.mark.parametrize("pages", range(4))
async def test_no_room_for_a_part_of_a_snapshot(tmp_path: Path, store: Path, pages: int) -> None:
    heard: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: heard.append(context))
    root = tmp_path / "project"
    root.mkdir()
    (root / "a.txt").write_text("one\n")
    snapshots = Snapshots(root, store)
    before = await snapshots.take(full=True)
    (root / "a.txt").write_bytes(os.urandom(3 * PAGE))
    filler = store / "filler"
    with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        while True:
            file.write(b"x" * PAGE)
    os.truncate(filler, filler.stat().st_size // PAGE * PAGE - pages * PAGE)
    known = sorted(store.rglob("*"))

    assert await snapshots.take(full=True) is None
    assert "No space left on device" in snapshots.reason
    assert [path for path in store.rglob("*") if path not in known and path.parent.name not in _LOOSE] == []
    gc.collect()
    await asyncio.sleep(0)
    assert heard == []

    filler.unlink()
    after = await snapshots.take(full=True)
    assert before is not None
    assert after is not None
    assert [change.path for change in await snapshots.changes(before, after)] == ["a.txt"]


_LOOSE = {"objects", *(f"{n:02x}" for n in range(256))}  # what was written of the objects before, is good later

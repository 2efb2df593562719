"""The watcher: told of what other processes do, on few folders, and quiet about the rest."""

import asyncio
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from kimi_code.repo.indexing.indexer import Indexer
from kimi_code.repo.indexing.parser_process import Job, Outcome, ParserProcess
from kimi_code.repo.indexing.watch import Watcher


def edit_elsewhere(path: Path, text: str) -> None:
    """Write a file from another process."""
    program = "import sys\nwith open(sys.argv[1], 'w') as file: file.write(sys.argv[2])"
    subprocess.run([sys.executable, "-I", "-S", "-c", program, str(path), text], check=True)


class Ear:
    """Collects what a watcher tells."""

    def __init__(self) -> None:
        self.heard: set[str] = set()
        self._news = asyncio.Event()

    def __call__(self, paths: set[str]) -> None:
        self.heard |= paths
        self._news.set()

    async def hear(self, path: str) -> None:
        async with asyncio.timeout(20):
            while path not in self.heard:
                self._news.clear()
                await self._news.wait()


async def ready(watcher: Watcher, ear: Ear, folder: Path) -> None:
    """Watches are set in a thread: write until the first is heard of."""
    async with asyncio.timeout(20):
        number = 0
        while not ear.heard:
            number += 1
            (folder / "first.txt").write_text(str(number))
            try:
                async with asyncio.timeout(0.5):
                    await ear.hear("first.txt")
            except TimeoutError:
                continue
    assert watcher.running


async def test_an_edit_by_another_process_is_told_and_one_in_another_folder_is_not(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "node_modules").mkdir()
    ear = Ear()
    watcher = Watcher(tmp_path, ear)
    try:
        await watcher.follow({"", "src"})
        await ready(watcher, ear, tmp_path)
        edit_elsewhere(tmp_path / "node_modules" / "big.js", "x")
        edit_elsewhere(tmp_path / "src" / "a.py", "x")
        await ear.hear("src/a.py")
        assert "node_modules/big.js" not in ear.heard
    finally:
        await watcher.close()


@pytest.mark.skipif(sys.platform != "linux", reason="counts inotify watches")
async def test_only_folders_with_files_of_ours_are_watched(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    for n in range(50):
        (tmp_path / "node_modules" / f"p{n}").mkdir(parents=True)
    ear = Ear()
    watcher = Watcher(tmp_path, ear)
    try:
        before = inotify_watches()
        await watcher.follow({"", "src"})
        await ready(watcher, ear, tmp_path)
        assert inotify_watches() - before == 2
    finally:
        await watcher.close()


def inotify_watches() -> int:
    return sum(info.read_text().count("inotify wd:") for info in Path("/proc/self/fdinfo").iterdir() if readable(info))


def readable(path: Path) -> bool:
    try:
        return bool(path.read_text())
    except OSError:
        return False


async def test_more_folders_than_the_system_allows_are_not_watched_and_a_note_says_so(tmp_path: Path) -> None:
    watcher = Watcher(tmp_path, Ear(), most=3)
    await watcher.follow({"a", "b", "c", "d"})
    assert not watcher.running and "4 folders" in watcher.note
    await watcher.close()


async def test_a_folder_that_vanished_meanwhile_is_left_out(tmp_path: Path) -> None:
    ear = Ear()
    watcher = Watcher(tmp_path, ear)
    try:
        await watcher.follow({"", "gone"})
        await ready(watcher, ear, tmp_path)
    finally:
        await watcher.close()


class Telling(ParserProcess):
    """A parser that says when it has read a file."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.has_read = asyncio.Event()

    async def run(self, take: Callable[[], Job | None], deliver: Callable[[Outcome], None]) -> None:
        def deliver_and_tell(outcome: Outcome) -> None:
            deliver(outcome)
            self.has_read.set()

        await super().run(take, deliver_and_tell)


async def test_the_index_reads_what_another_process_wrote_before_it_is_asked(tmp_path: Path) -> None:
    root = tmp_path / "project"
    root.mkdir()
    (root / "a.py").write_text("def before(): pass\n")
    parser = Telling(root)
    indexer = Indexer(root, tmp_path / "cache", [parser], watch=True)
    try:
        assert await indexer.refresh(60)
        async with asyncio.timeout(30):
            number = 0
            # Nobody asks about the tree: only the watcher can have told. Its watches are set in a thread.
            while indexer.catalog.number("after") is None or indexer.catalog.number("later") is None:
                number += 1
                parser.has_read.clear()
                edit_elsewhere(root / "a.py", f"def after(): return {number}\n")
                edit_elsewhere(root / "b.py", f"def later(): return {number}\n")
                with suppress(TimeoutError):
                    async with asyncio.timeout(1):
                        await parser.has_read.wait()
    finally:
        await indexer.close()

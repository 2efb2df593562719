"""Parser processes: what they answer, what becomes of a file that ends them, that none is left behind."""

import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from kimi_code.repo.indexing.indexer import Indexer
from kimi_code.repo.indexing.parser_process import Failed, Gone, Job, Outcome, Parsed, ParserProcess, Unchanged

needs_signals = pytest.mark.skipif(sys.platform == "win32", reason="ends processes by signal")


async def outcomes(parser: ParserProcess, *jobs: Job, before: Callable[[], None] = lambda: None) -> list[Outcome]:
    """What comes of the jobs; `before` runs whenever the parser looks for one."""
    waiting = list(jobs)
    found: list[Outcome] = []

    def take() -> Job | None:
        before()
        return waiting.pop(0) if waiting else None

    await parser.run(take, found.append)
    return found


async def test_files_are_parsed_recognised_and_missed_and_many_come_back_in_the_order_asked(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("def f(): pass\n")
    (tmp_path / "folder.py").mkdir()
    parser = ParserProcess(tmp_path)
    try:
        (first,) = await outcomes(parser, Job("a.py"))
        assert isinstance(first, Parsed) and first.facts.defined == "f"
        again, missing, folder = await outcomes(
            parser, Job("a.py", first.facts.digest), Job("gone.py"), Job("folder.py")
        )
        assert again == Unchanged("a.py", 14, again.mtime_ns) if isinstance(again, Unchanged) else pytest.fail("parsed")
        assert (missing, folder) == (Gone("gone.py"), Gone("folder.py"))
        for n in range(60):
            (tmp_path / f"m{n}.py").write_text(f"def f{n}(): pass\n" * (n + 1))
        found = await outcomes(parser, *(Job(f"m{n}.py") for n in range(60)))
        assert [each.facts.path for each in found if isinstance(each, Parsed)] == [f"m{n}.py" for n in range(60)]
    finally:
        await parser.close()


async def test_nothing_of_the_project_is_imported_by_its_parser(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('the project ran')\n")
    (tmp_path / "kimi_code").mkdir()
    (tmp_path / "kimi_code" / "__init__.py").write_text("raise SystemExit('the project ran')\n")
    monkeypatch.chdir(tmp_path)
    parser = ParserProcess(tmp_path)
    try:
        (found,) = await outcomes(parser, Job("json.py"))
        assert isinstance(found, Parsed)
    finally:
        await parser.close()


@needs_signals
async def test_a_file_that_ends_its_parser_alone_is_given_up_and_the_others_are_not(tmp_path: Path) -> None:
    for name in ("a.py", "b.py", "c.py"):
        (tmp_path / name).write_text("def f(): pass\n")
    parser = ParserProcess(tmp_path)
    looks = 0

    def kill() -> None:
        """End the child with all three on the way, then with the first of them alone."""
        nonlocal looks
        looks += 1
        if looks in (4, 5) and parser.pid:
            os.kill(parser.pid, signal.SIGKILL)

    try:
        found = await outcomes(parser, Job("a.py"), Job("b.py"), Job("c.py"), before=kill)
    finally:
        await parser.close()
    assert [each.path if isinstance(each, Failed) else "" for each in found] == ["a.py", "", ""]
    assert [each.facts.path for each in found if isinstance(each, Parsed)] == ["b.py", "c.py"]


@needs_signals
async def test_a_parser_that_says_nothing_is_ended_and_its_file_is_too_slow(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("def f(): pass\n")
    parser = ParserProcess(tmp_path, patience=0.2)

    def stop() -> None:
        if parser.pid:
            os.kill(parser.pid, signal.SIGSTOP)

    try:
        assert await outcomes(parser, Job("a.py"), before=stop) == [Failed("a.py", "too slow")]
    finally:
        await parser.close()


class Fatal(ParserProcess):
    """A parser that is killed with whatever it reads."""

    async def run(self, take: Callable[[], Job | None], deliver: Callable[[Outcome], None]) -> None:
        def take_and_kill() -> Job | None:
            if self.pid:
                with suppress(ProcessLookupError):  # asked again before the run has noticed the first kill
                    os.kill(self.pid, signal.SIGKILL)
            return take()

        await super().run(take_and_kill, deliver)


@needs_signals
async def test_a_file_that_crashes_parsers_is_remembered_until_its_content_changes(tmp_path: Path) -> None:
    root = tmp_path / "project"
    root.mkdir()
    (root / "bad.py").write_text("def bad(): pass\n")
    indexer = Indexer(root, tmp_path / "cache", [Fatal(root)], watch=False)
    assert await indexer.refresh(60)
    assert [(each.path, each.reason) for each in indexer.skipped()] == [("bad.py", "crashed the parser")]
    await indexer.close()
    healthy = Indexer(root, tmp_path / "cache", [ParserProcess(root)], watch=False)
    try:
        assert await healthy.refresh(60)
        assert [each.reason for each in healthy.skipped()] == ["crashed the parser"]
        (root / "bad.py").write_text("def better(): pass\n")
        assert await healthy.refresh(60)
        assert healthy.skipped() == [] and "better" in healthy.catalog.names
    finally:
        await healthy.close()

"""Undo of turns that protected files against writing, as an ordinary user would have it."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kimi_code.repo.checkpoint import Checkpoints
from kimi_code.repo.snapshot import Snapshots

pytestmark = pytest.mark.skipif(os.name == "nt", reason="modes of POSIX")

_UNDO = """
import asyncio, json, sys
from pathlib import Path
from kimi_code.repo.checkpoint import Checkpoints
from kimi_code.repo.snapshot import Snapshots

for line in sys.stdin:
    root, store = map(Path, json.loads(line))
    report = asyncio.run(Checkpoints(Snapshots(root, store)).undo())
    print(json.dumps([report.applied, [(c.path, c.reason) for c in report.conflicts]]), flush=True)
"""

Undo = Callable[[Path], tuple[bool, dict[str, str]]]


@pytest.fixture(scope="module")
def undo() -> Iterator[Undo]:
    """Undoes by a process that may write only what modes allow, as root may not be."""
    before: list[str] = []
    if os.geteuid() == 0:
        setpriv = shutil.which("setpriv")
        if setpriv is None:
            pytest.skip("NOT TESTED: read-only files; as root this needs setpriv")
        before = [setpriv, "--bounding-set=-dac_override,-dac_read_search"]
    command, pipe = [*before, sys.executable, "-c", _UNDO], subprocess.PIPE
    with subprocess.Popen(command, cwd=Path(__file__).parents[2], stdin=pipe, stdout=pipe, text=True) as process:
        asked, answers = process.stdin, process.stdout
        assert asked is not None
        assert answers is not None

        def undo(root: Path) -> tuple[bool, dict[str, str]]:
            asked.write(json.dumps([str(root), str(root.parent / "store")]) + "\n")
            asked.flush()
            applied, conflicts = json.loads(answers.readline())
            return applied, dict(conflicts)

        yield undo
        asked.close()


def _turn(root: Path, command: str) -> None:
    async def take() -> None:
        checkpoints = Checkpoints(Snapshots(root, root.parent / "store"))
        await checkpoints.begin_turn("s", 1, "prompt")
        await checkpoints.take("s", 1, "before")
        subprocess.run(command, shell=True, check=True, cwd=root)
        await checkpoints.end_turn("s", 1)

    asyncio.run(take())


def _photograph(root: Path) -> dict[str, tuple[int, bytes]]:
    return {
        path.relative_to(root).as_posix(): (path.stat().st_mode, path.read_bytes() if path.is_file() else b"")
        for path in sorted(root.rglob("*"))
    }


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    (root / "folder").mkdir(parents=True)
    (root / "folder/a.txt").write_text("a\n")
    (root / "b.txt").write_text("b\n")
    return root


@pytest.mark.parametrize(
    "command",
    [
        "echo >> b.txt; chmod a-w b.txt",
        "chmod -R a-w b.txt folder",
        "echo new > new.txt; chmod 444 new.txt",
        "mkdir new; echo x > new/x; chmod 444 new/x",
    ],
)
def test_what_a_turn_made_read_only_is_taken_back(root: Path, undo: Undo, command: str) -> None:
    before = _photograph(root)
    _turn(root, command)
    assert _photograph(root) != before
    assert undo(root) == (True, {})
    assert _photograph(root) == before


def test_what_the_user_made_read_only_since_is_not(root: Path, undo: Undo) -> None:
    _turn(root, "echo >> b.txt")
    (root / "b.txt").chmod(0o444)
    before = _photograph(root)
    assert undo(root) == (False, {"b.txt": "got another mode since"})
    assert _photograph(root) == before


def test_one_read_only_file_or_folder_refuses_the_whole(root: Path, undo: Undo) -> None:
    (root / "a.txt").write_text("a\n")
    (root / "closed").mkdir()
    (root / "closed/x").write_text("x\n")
    (root / "a.txt").chmod(0o444)
    _turn(root, "chmod u+w a.txt; echo >> a.txt; chmod 444 a.txt; echo >> b.txt; rm closed/x")
    (root / "closed").chmod(0o555)
    before = _photograph(root)
    assert undo(root) == (False, {"a.txt": "is read-only", "closed/x": "its folder is read-only"})
    assert _photograph(root) == before

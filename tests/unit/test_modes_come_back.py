"""Modes of files and folders survive any number of undos and redos, whatever came and went meanwhile."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kimi_code.repo.checkpoint import Checkpoints
from kimi_code.repo.snapshot import Snapshots
from tests.costly import dear

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="modes of POSIX")

FILES, FOLDERS = ("600", "644", "755", "700", "640"), ("700", "755", "750")


def _photograph(root: Path) -> dict[str, tuple[int, bytes]]:
    found = sorted(root.rglob("*"))
    return {p.relative_to(root).as_posix(): (p.lstat().st_mode, p.read_bytes() if p.is_file() else b"") for p in found}


async def _there_and_back(folder: Path, before: str, turns: Sequence[str]) -> None:
    root = folder / "project"
    root.mkdir()

    def run(commands: str) -> None:
        subprocess.run(["sh", "-c", f"umask 022; {commands}"], cwd=root, check=True)

    run(before)
    checkpoints = Checkpoints(Snapshots(root, folder / "store"))
    first = _photograph(root)
    for number, commands in enumerate(turns):
        await checkpoints.begin_turn("s", number, "")
        await checkpoints.take("s", number, "before")
        run(commands)
        await checkpoints.end_turn("s", number)
    last = _photograph(root)
    mask = os.umask(0o027)  # what is made anew is not to depend on it
    try:
        assert (await checkpoints.undo(len(turns))).applied
        assert _photograph(root) == first
        assert (await checkpoints.redo(len(turns))).applied
        assert _photograph(root) == last
    finally:
        os.umask(mask)


@pytest.mark.parametrize(
    ("before", "turns"),
    [
        ("mkdir d; chmod 700 d; echo > d/f", ["rm -r d"]),  # the only folder: its mode is the usual one
        ("mkdir d; chmod 700 d; echo > d/f", ["rm -r d", "mkdir d; echo > d/g"]),
        ("mkdir d e; chmod 750 d", ["chmod 700 d", "rmdir d", "mkdir d; chmod 755 d"]),
        ("mkdir d e; echo > d/f", ["chmod 700 d e; chmod 600 d/f", "rm -r d e"]),
        ("mkdir d e; chmod 750 d", ["chmod 700 d e; echo > e/f", "chmod 755 d; mkdir d/g", "chmod 700 d/g; mkdir e/h"]),
        ("true", ["mkdir -p d/e; chmod 700 d", "chmod 750 d/e; echo > d/e/f", "chmod 700 d/e"]),
    ],
)
async def test_a_mode_is_that_of_its_moment(tmp_path: Path, before: str, turns: list[str]) -> None:
    await _there_and_back(tmp_path, before, turns)


def _deeds() -> st.SearchStrategy[str]:
    file, folder = st.sampled_from(["a", "d/a", "e/a", "d/g/a"]), st.sampled_from(["d", "e", "d/g"])
    return st.one_of(
        st.tuples(file, st.sampled_from(FILES)).map(
            lambda f: f"mkdir -p $(dirname {f[0]}); echo >> {f[0]}; chmod {f[1]} {f[0]}"
        ),
        st.tuples(folder, st.sampled_from(FOLDERS)).map(lambda f: f"mkdir -p {f[0]}; chmod {f[1]} {f[0]}"),
        st.sampled_from(FOLDERS).map(lambda mode: f"find . -mindepth 1 -type d -exec chmod {mode} {{}} +"),
        folder.map("rm -rf {}".format),
        file.map("rm -f {}".format),
    )


DEEDS = st.lists(_deeds(), min_size=1, max_size=4).map("; ".join)


@given(DEEDS, st.lists(DEEDS, min_size=1, max_size=3))
@dear
async def test_any_modes_come_back(before: str, turns: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        await _there_and_back(Path(folder), before, turns)

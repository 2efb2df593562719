"""Copies of runs that were killed, in the midst of removing one too: nothing half deleted is left, the living stay."""

import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kill_points import Attempt, dying
from tests.repository import copy_tree
from tests.unit.test_checkout import WAYS, Scene, claimed, either_way, place, planted, scene, sh

__all__ = ["place", "planted", "scene"]  # fixtures

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")

WORK = """
from pathlib import Path
from tests.unit.test_checkout import WAYS, Scene, put

async def work(place, what, way):
    scene = Scene(Path(place), WAYS[way])
    checkouts = await scene.freeze()
    one = await checkouts.create("one")
    if what == "use":
        await put(one, "a.txt", "x")
        Path(place, "using").write_text("it")
        Path(place, "on").touch()
    (folder,) = (path.parent for path in scene.data.glob("checkouts/*/*/*/files"))
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
    Path(place, "removing").write_text("\\n".join([str(folder), *names]))
    await checkouts.close()
"""


@pytest.fixture(scope="module")
def running() -> Iterator[Attempt]:
    with dying(WORK) as made:
        yield made


@either_way
async def test_what_a_killed_run_leaves_is_swept_by_the_next_and_living_ones_are_spared(
    scene: Scene, running: Attempt
) -> None:
    way = next(name for name, way in WAYS.items() if way == scene.way)
    alive = await scene.create("alive")
    assert running(1, scene.place, "use", way, once=(str(scene.place / "using"), "it")) == -signal.SIGKILL
    assert len([path for path in claimed(scene) if path.is_dir()]) == 2
    checkouts = await scene.freeze()
    await checkouts.close()
    assert len([path for path in claimed(scene) if path.is_dir()]) == 1
    assert await sh(alive, "cat a.txt") == "dirty\n"


async def test_killed_while_a_copy_is_removed_it_is_whole_or_gone_and_the_next_run_sweeps_the_rest(
    tmp_path: Path, planted: Path, running: Attempt
) -> None:
    there, seen = tmp_path / "place", set[str]()
    for number in (1, 2, 3, 12):
        copy_tree(planted, there)
        begun = str(there / "removing")
        assert running(number, there, "remove", "unconfined", once=(begun, "files")) == -signal.SIGKILL
        copy, *names = (there / "removing").read_text().split("\n")
        folder = Path(copy)
        whole = folder.exists()
        if whole:
            assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*")) == names, number
        else:
            assert [path for path in (there / "data").rglob("gone.*") if path.is_dir()], number
        seen.add("whole" if whole else "set aside")
        scene = Scene(there, WAYS["unconfined"])
        await (await scene.freeze()).close()
        assert claimed(scene) == set(), number
        shutil.rmtree(there)
    assert seen == {"whole", "set aside"}

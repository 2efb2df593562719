"""Copies are removed by a rename first: killed in the midst of it, nothing half deleted is where a copy was."""

import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kill_points import Attempt, dying
from tests.unit.test_checkout import WAYS, Scene, claimed

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")

REMOVE = """
from pathlib import Path
from tests.unit.test_checkout import WAYS, Scene

async def work(place):
    scene = Scene(Path(place), WAYS["unconfined"])
    checkouts = await scene.freeze()
    await checkouts.create("one")
    (folder,) = (path.parent for path in scene.data.glob("checkouts/*/*/*/files"))
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
    Path(place, "removing").write_text("\\n".join([str(folder), *names]))
    await checkouts.close()
"""


@pytest.fixture(scope="module")
def removing() -> Iterator[Attempt]:
    with dying(REMOVE) as made:
        yield made


async def test_killed_while_a_copy_is_removed_it_is_whole_or_gone_and_the_next_run_sweeps_the_rest(
    tmp_path: Path, removing: Attempt
) -> None:
    planted = Scene(tmp_path / "planted", WAYS["unconfined"])
    planted.plant()
    place, seen = tmp_path / "place", set[str]()
    for number in (1, 2, 3, 12):
        shutil.copytree(planted.place, place, symlinks=True)
        assert removing(number, place, once=(str(place / "removing"), "files")) == -signal.SIGKILL
        copy, *names = (place / "removing").read_text().split("\n")
        folder = Path(copy)
        whole = folder.exists()
        if whole:
            assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*")) == names, number
        else:
            assert [path for path in (place / "data").rglob("gone.*") if path.is_dir()], number
        seen.add("whole" if whole else "set aside")
        scene = Scene(place, WAYS["unconfined"])
        await (await scene.freeze()).close()
        assert claimed(scene) == set(), number
        shutil.rmtree(place)
    assert seen == {"whole", "set aside"}

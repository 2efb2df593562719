"""What isolated working copies cost: the first of all, the first of a later turn (ten files changed since), the next
ones of a turn, a first command, removal; beside git's own ways.

python -m benchmarks.checkouts [--files 1000 10000 50000] [--copies 100]
"""

import argparse
import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import TypeVar

from benchmarks.repository import git, plant
from kimi_code.permissions.confinement import Confinement, find_mounts
from kimi_code.permissions.sandbox import find
from kimi_code.repo.checkout import Checkout, CheckoutError, Checkouts, Files, Options, freeze
from kimi_code.repo.checkouts.reflink import can_reflink
from kimi_code.repo.snapshot import Snapshots

T = TypeVar("T")

WAYS: Sequence[Files] = ("overlay", "reflink", "copy")
SWARM_FILES = 2_000
_CHANGED = 10
NEXT = 5  # further copies, of which the median is shown
_COLUMNS = ("freeze", "first", "later", "next", "command", "changes", "removal")


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--files", type=int, nargs="*", default=[1_000, 10_000, 50_000])
    parser.add_argument("--copies", type=int, default=100, help=f"of a repository of {SWARM_FILES} files (default 100)")
    parser.add_argument("--dir", type=Path, default=None, help="where to work (default: the temporary folder)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kimi-code-bench-", dir=arguments.dir) as name:
        asyncio.run(_measure(Path(name).resolve(), arguments.files, arguments.copies))


async def _measure(place: Path, sizes: Sequence[int], copies: int) -> None:
    ways = list(_ways(place))
    for size in sizes:
        project = place / f"project-{size}"
        _plant(project, size)
        print(f"\n{size:,} files, {_bytes(project) / 1e6:.0f} MB; milliseconds")
        print(f"{'':22}" + "".join(f"{column:>10}" for column in _COLUMNS))
        yardstick = _git_worktree(project, place / "tree")
        shared = _git_clone(project, place / "clone")
        for label, found in (("git worktree add", yardstick), ("git clone --shared", shared)):
            print(f"{label:22}{'':10}" + f"{found[0]:10.1f}" * 3 + f"{'':20}{found[1]:10.1f}")
        for way in ways:
            times = await _one_by_one(project, place / f"data-{size}-{way}", way)
            print(f"{way:22}" + "".join(f"{times[column]:10.1f}" for column in _COLUMNS), end="")
            print("   of a worktree: " + ", ".join(f"{c} {times[c] / yardstick[0]:.2f}" for c in _COLUMNS[1:4]))
        shutil.rmtree(project)
    project = place / "swarm"
    _plant(project, SWARM_FILES)
    print(f"\n{copies} copies of {SWARM_FILES:,} files, a command in each, ten at once")
    for way in ways:
        await _many(project, place / f"swarm-{way}", way, copies)


def _ways(place: Path) -> Iterator[Files]:
    found = find("auto", place)
    mounts = find_mounts(found, place)
    print(f"commands are confined by {found.mechanism or 'nothing'} {found.version}")
    for way in WAYS:
        if way == "overlay" and not mounts.overlay:
            print(f"no overlays: {mounts.reason}")
        elif way == "reflink" and not can_reflink(place):
            print(f"no reflinks on the file system of {place}")
        else:
            yield way


def _plant(project: Path, files: int) -> None:
    names = plant(project, files)
    (project / names[0]).write_text("dirty\n")
    (project / "new.txt").write_text("untracked\n")


def _git_worktree(project: Path, target: Path) -> tuple[float, float]:
    made = _timed(lambda: git(project, "worktree", "add", "-q", "--detach", str(target)))
    return made, _timed(lambda: git(project, "worktree", "remove", "--force", str(target)))


def _git_clone(project: Path, target: Path) -> tuple[float, float]:
    made = _timed(lambda: git(project, "clone", "-q", "--shared", str(project), str(target)))
    return made, _timed(lambda: shutil.rmtree(target))


async def _one_by_one(project: Path, data: Path, way: Files) -> dict[str, float]:
    times: dict[str, float] = {}
    checkouts, times["freeze"] = await _clocked(lambda: _freeze(project, data, way))
    _, times["first"] = await _clocked(lambda: checkouts.create("first"))
    await checkouts.close()
    for number in range(_CHANGED):
        (project / f"d0/e0/f{number}.txt").write_text(f"{way}\n")
    checkouts, times["freeze"] = await _clocked(lambda: _freeze(project, data, way))
    first, times["later"] = await _clocked(lambda: checkouts.create("first"))
    further = [await _clocked(lambda: checkouts.create("next")) for _ in range(NEXT)]
    times["next"] = median(took for _, took in further)
    _, times["command"] = await _clocked(lambda: _run(first, "echo x >> d0/e0/f1.txt"))
    changes, times["changes"] = await _clocked(first.changes)
    assert [change.path for change in changes] == ["d0/e0/f1.txt"], changes
    _, times["removal"] = await _clocked(first.remove)
    await checkouts.close()
    return times


async def _many(project: Path, data: Path, way: Files, copies: int) -> None:
    checkouts = await _freeze(project, data, way)
    gate = asyncio.Semaphore(10)

    async def work(number: int) -> Checkout:
        async with gate:
            checkout = await checkouts.create(str(number))
            await _run(checkout, f"echo {number} >> d0/e0/f1.txt")
            return checkout

    start = time.perf_counter()
    try:
        async with asyncio.TaskGroup() as group:
            for number in range(copies):
                group.create_task(work(number))
    except* (OSError, CheckoutError) as error:
        print(f"{way:10} not all of them: {error.exceptions[0]}")
    took = time.perf_counter() - start
    size = _bytes(data / "checkouts")
    start = time.perf_counter()
    await checkouts.close()
    gone = time.perf_counter() - start
    print(f"{way:10}{took:8.2f} s{took / copies * 1000:8.1f} ms each", end="")
    print(f"{size / 1e6:10.1f} MB on disk ({size / _bytes(project):.1f} x the project), removed in {gone:.2f} s")


async def _freeze(project: Path, data: Path, way: Files) -> Checkouts:
    data.mkdir(exist_ok=True)
    found = find("auto", data)
    confinement = Confinement(found, find_mounts(found, data), (data,))
    return await freeze(Snapshots(project, data / "snapshots"), data / "checkouts", confinement, Options(files=way))


async def _run(checkout: Checkout, command: str) -> None:
    process = await checkout.workspace.start(command, cwd=checkout.workspace.root)
    said = b"".join([chunk async for chunk in process.output()])
    if (await process.wait()).code != 0:
        raise OSError(said.decode())


async def _clocked(work: Callable[[], Awaitable[T]]) -> tuple[T, float]:
    start = time.perf_counter()
    made = await work()
    return made, (time.perf_counter() - start) * 1000


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1000


def _bytes(folder: Path) -> int:
    """Blocks in use below a folder, in bytes (blocks that reflinks share count once for each file)."""
    total = 0
    for here, _, names in os.walk(folder):
        total += sum(Path(here, name).lstat().st_blocks * 512 for name in (".", *names))
    return total


if __name__ == "__main__":
    main()

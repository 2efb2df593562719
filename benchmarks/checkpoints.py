"""What a checkpoint and a restore cost, beside `git stash create` and `git worktree add` on the same repository.

    python -m benchmarks.checkpoints [--files 1000 10000 50000] [--rounds 5]

In a temporary folder, on a repository it makes up (files of 1 to 16 KB, 20 to a folder); the median of the rounds is
shown, in ms, with the ratio to `git stash create`, which every round measures too. Exit 1 when a checkpoint at 10,000
files takes over 100 ms and longer than that: a machine that is busy slows both.
"""

import argparse
import asyncio
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from benchmarks.repository import git, plant
from kimi_code.repo.checkpoint import Checkpoints
from kimi_code.repo.snapshot import Snapshots

_LIMIT = 100.0  # ms, at this many files
_LIMIT_AT = 10_000
_CHANGED = 10


def main() -> int:
    """Measure and print; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--files", type=int, nargs="+", default=[1_000, 10_000, 50_000])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    over = False
    for count in options.files:
        with tempfile.TemporaryDirectory() as folder:
            rows = asyncio.run(_measure(Path(folder), count, options.rounds))
        yardstick = rows[f"git stash create, {_CHANGED} files changed"]
        print(f"\n{count} files, medians of {options.rounds} rounds{'':18}       ms    ratio")
        for name, took in rows.items():
            late = count == _LIMIT_AT and took > max(_LIMIT, yardstick) and name.startswith("checkpoint,")
            over = over or late
            print(f"{name:58} {took:8.1f} {took / yardstick:8.2f}{f'  OVER {_LIMIT:.0f}' if late else ''}")
    return int(over)


async def _measure(folder: Path, count: int, rounds: int) -> dict[str, float]:
    root = folder / "project"
    names = plant(root, count)
    chance = random.Random(2)
    took: dict[str, list[float]] = {}

    async def timed(name: str, work: Callable[[], Awaitable[object]]) -> None:
        started = time.perf_counter()
        await work()
        took.setdefault(name, []).append((time.perf_counter() - started) * 1000)

    async def ask(*args: str) -> None:
        git(root, *args)

    for number in range(rounds):
        fresh = Checkpoints(Snapshots(root, folder / f"store{number}"))
        await fresh.begin_turn("s", 1, "")
        await timed("first checkpoint of a project", lambda c=fresh: c.take("s", 1, ""))
        again = Checkpoints(Snapshots(root, folder / f"store{number}"))
        await again.begin_turn("s", 2, "")
        await timed("first checkpoint of a process", lambda c=again: c.take("s", 2, ""))
        await timed("checkpoint, nothing changed", lambda c=again: c.take("s", 2, ""))
        for name in chance.sample(names, _CHANGED):
            (root / name).write_bytes(chance.randbytes(3000))
        await timed(f"checkpoint, {_CHANGED} files changed", lambda c=again: c.take("s", 2, ""))
        await again.end_turn("s", 2)
        await timed(f"git stash create, {_CHANGED} files changed", lambda: ask("stash", "create"))
        await timed(f"undo of {_CHANGED} files", lambda c=again: c.undo())
        await timed(f"redo of {_CHANGED} files", lambda c=again: c.redo())
        await again.undo()
    copy = str(folder / "copy")
    await timed("git worktree add (once)", lambda: ask("worktree", "add", "-q", "--detach", copy))
    return {name: statistics.median(times) for name, times in took.items()}


if __name__ == "__main__":
    sys.exit(main())

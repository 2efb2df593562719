"""What confining costs a command, by mechanism: alone, and in a workspace of many files.

python -m benchmarks.sandbox [--rounds N] [--files N]
"""

import argparse
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import TypeVar

from kimi_code.permissions.paths import Boundary
from kimi_code.permissions.sandbox import Found, Sandbox, Wanted, find

T = TypeVar("T")

COMMAND = ["/bin/sh", "-c", "true"]
MECHANISMS: tuple[Wanted, ...] = ("bwrap", "landlock")


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=50, help="commands of each kind, interleaved (default 50)")
    parser.add_argument("--files", type=int, default=10_000, help="files in the workspace (default 10,000)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kimi-code-bench-") as name:
        top = Path(name).resolve()
        _fill(top / "project", arguments.files)
        sandboxes = {
            f"{found.mechanism} {found.version}": Sandbox(found, Boundary((top / "project",)))
            for found in _available(top)
        }
        _print_first(sandboxes, top / "project")
        _print_each(sandboxes, top / "project", arguments.rounds)
        for sandbox in sandboxes.values():
            sandbox.close()


def _fill(folder: Path, files: int) -> None:
    for number in range(files):
        path = folder / f"d{number // 100}" / f"f{number}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (folder / ".git").mkdir(parents=True)
    (folder / "d0" / ".env").write_text("A=1\n")


def _available(top: Path) -> Sequence[Found]:
    found = [_timed(f"probe of {wanted}", lambda wanted=wanted: find(wanted, top / "probe")) for wanted in MECHANISMS]
    for each in found:
        if each.mechanism is None:
            print(f"not here: {'; '.join(each.reasons)}")
    return [each for each in found if each.mechanism is not None]


def _print_first(sandboxes: dict[str, Sandbox], folder: Path) -> None:
    for name, sandbox in sandboxes.items():
        _timed(
            f"first look through the workspace, {name}", lambda s=sandbox: s.launch(COMMAND, folder, dict(os.environ))
        )


def _print_each(sandboxes: dict[str, Sandbox], folder: Path, rounds: int) -> None:
    prepare: dict[str, list[float]] = {name: [] for name in sandboxes}
    run: dict[str, list[float]] = {name: [] for name in ("unconfined", *sandboxes)}
    for _ in range(rounds):
        run["unconfined"].append(_seconds(lambda: _run(COMMAND, dict(os.environ), folder)))
        for name, sandbox in sandboxes.items():
            start = time.perf_counter()
            launch = sandbox.launch(COMMAND, folder, dict(os.environ))
            prepare[name].append(time.perf_counter() - start)
            run[name].append(_seconds(lambda launch=launch: _run(launch.argv, dict(launch.env), folder)))
    print(f"\n{'ms per command':<24}{'prepare':>10}{'run':>10}{'added':>10}")
    plain = median(run["unconfined"])
    for name, times in run.items():
        before = median(prepare[name]) if name in prepare else 0.0
        added = before + median(times) - plain
        print(f"{name:<24}{before * 1e3:>10.2f}{median(times) * 1e3:>10.2f}{added * 1e3:>10.2f}")


def _run(argv: Sequence[str], env: dict[str, str], folder: Path) -> None:
    subprocess.run(argv, env=env, cwd=folder, stdin=subprocess.DEVNULL, check=True)


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _timed(what: str, work: Callable[[], T]) -> T:
    start = time.perf_counter()
    result = work()
    print(f"{what}: {(time.perf_counter() - start) * 1e3:.1f} ms")
    return result


if __name__ == "__main__":
    main()

"""Where the CPU of a run goes: the largest functions by their own time, and the shares of packages."""

import pstats
import subprocess
import sys
import sysconfig
from collections import Counter
from pathlib import Path

from benchmarks.laboratory import Laboratory

TOP = 15
# The thread's CPU clock: waiting for the server costs nothing. Only the main thread is seen; imports of the SDK,
# in a thread of their own, are the business of benchmarks.imports.
_PROGRAM = """
import cProfile, sys, time
from kimi_code.__main__ import main
profile = cProfile.Profile(time.thread_time)
profile.runcall(main)
profile.dump_stats(sys.argv.pop(0))
"""


def print_profile(lab: Laboratory, prompt: str) -> None:
    """Run `-p PROMPT` under the profiler and print its largest causes."""
    file = lab.project.parent / "profile"
    program = _PROGRAM.replace("sys.argv.pop(0)", repr(str(file)))
    subprocess.run(
        [sys.executable, "-c", program, "-p", prompt],
        cwd=lab.project,
        env=lab.environment,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    own = _own_times(file)
    total = sum(own.values())
    print(f"Main thread: {total:.2f} s of CPU under the profiler (about twice the real figure).\n\nBy function:")
    for (path, line, name), seconds in own.most_common(TOP):
        print(f"{seconds / total:7.1%}  {seconds * 1000:7.1f} ms  {package_of(path)}: {Path(path).name}:{line} {name}")
    packages: Counter[str] = Counter()
    for (path, _, name), seconds in own.items():
        packages[package_of(path) if path != "~" else f"built in: {name}"] += seconds
    print("\nBy package:")
    for package, seconds in packages.most_common(TOP):
        print(f"{seconds / total:7.1%}  {seconds * 1000:7.1f} ms  {package}")


def _own_times(file: Path) -> "Counter[tuple[str, int, str]]":
    stats: dict[tuple[str, int, str], tuple[int, int, float, float, object]]
    stats = vars(pstats.Stats(str(file)))["stats"]
    return Counter({function: row[2] for function, row in stats.items()})


def package_of(path: str) -> str:
    """The top-level package that a source file belongs to, to the second level for kimi_code."""
    parts = Path(path).parts
    if "kimi_code" in parts:
        return ".".join(parts[parts.index("kimi_code") :][:2]).removesuffix(".py")
    if "site-packages" in parts:
        return parts[parts.index("site-packages") + 1].removesuffix(".py")
    standard = Path(sysconfig.get_path("stdlib"))
    if Path(path).is_relative_to(standard):
        return f"stdlib {Path(path).relative_to(standard).parts[0].removesuffix('.py')}"
    return "built in" if path == "~" else path

"""What the index costs on a large source tree, and where its map leads; beside aider's map from PyPI with `--peer`.

    python -m benchmarks.index FOLDER [--rounds 3] [--copies 100] [--peer]

FOLDER is a source tree in git, such as Django's; it is only read. Each figure is of a process of its own: cold (no
cache), the first answer while cold, warm (a cache, nothing changed). `--peer` installs aider-chat into a temporary
environment, which needs the package registry and a Python it supports. Limits of time are for a machine on which
`import openai` takes half a second of CPU, so that they are multiples of it: each figure is divided by what it takes
here in the same round, before and between the runs. Exit 1 when a figure is over its limit.
"""

import argparse
import asyncio
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

from kimi_code.repo.index import Index
from kimi_code.repo.outline import Focus

BUDGET = 2_000
# Words of a question, and the file of the answer: of Django, skipped in other trees.
QUESTIONS = (
    (("QuerySet", "prefetch_related"), "django/db/models/query.py"),
    (("ModelForm", "construct_instance"), "django/forms/models.py"),
    (("MigrationAutodetector", "generate_renamed_models"), "django/db/migrations/autodetector.py"),
    (("URLResolver", "resolve"), "django/urls/resolvers.py"),
    (("CsrfViewMiddleware",), "django/middleware/csrf.py"),
    (("SessionStore", "cached_db"), "django/contrib/sessions/backends/cached_db.py"),
    (("SQLCompiler", "as_sql"), "django/db/models/sql/compiler.py"),
    (("TemplateSyntaxError", "Parser"), "django/template/base.py"),
    (("ManagementUtility", "fetch_command"), "django/core/management/__init__.py"),
    (("HttpResponse", "set_cookie"), "django/http/response.py"),
    (("Paginator", "page_range"), "django/core/paginator.py"),
    (("ModelAdmin", "changelist_view"), "django/contrib/admin/options.py"),
)
LIMITS = {"cold, CPU s": 4.0, "first answer, s": 0.5, "warm, CPU s": 0.2}
MEMORY = {"memory, MB": 60.0}
YARDSTICK, STANDARD = "import openai, CPU s", 0.5


def main() -> int:
    """Measure and print; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--copies", type=int, default=0, help="ask in so many isolated copies at once, too")
    parser.add_argument("--peer", action="store_true", help="measure aider's RepoMap too")
    parser.add_argument("--measure", nargs=2, metavar=("WHAT", "CACHE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    folder = options.folder.resolve()
    if options.measure:
        print(json.dumps(asyncio.run(_measure(options.measure[0], folder, Path(options.measure[1])))))
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        rounds = [_round(folder, Path(scratch) / f"cache{n}") for n in range(options.rounds)]
        ours = _medians(rounds)
        if options.copies:
            ours.update(asyncio.run(_ask_in_copies(folder, Path(scratch), options.copies)))
        theirs = _peer(folder, Path(scratch)) if options.peer else {}
    multiples = _medians([{name: each[name] / each[YARDSTICK] for name in LIMITS} for each in rounds])
    over = {name for name, limit in LIMITS.items() if multiples[name] > limit / STANDARD}
    over |= {name for name, limit in MEMORY.items() if ours[name] > limit}
    print(f"{folder}, medians of {options.rounds} rounds; x is times the CPU of import openai in the same round\n")
    print(f"{'':28}{'kimi-code':>12}{'x':>8}{'limit':>12}{'aider':>12}{'ratio':>8}")
    for name, value in ours.items():
        x = f"{multiples[name]:.2f}" if name in multiples else ""
        limit = f"{LIMITS[name] / STANDARD:.2f} x" if name in LIMITS else str(MEMORY.get(name, ""))
        other = theirs.get(name)
        shown = "" if other is None else f"{other:12.2f}{other / value if value else 0:8.1f}"
        print(f"{name:28}{value:12.2f}{x:>8}{limit:>12}{shown}{'  OVER' if name in over else ''}")
    return int(bool(over))


Figures = dict[str, float]


def _medians(rounds: list[Figures]) -> Figures:
    return {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}


def _round(folder: Path, cache: Path) -> Figures:
    figures: Figures = {}
    yardsticks: list[float] = []
    for what, kept in (("first", cache.with_suffix(".first")), ("cold", cache), ("warm", cache)):
        yardsticks.append(_yardstick())
        figures.update(_run(what, folder, kept))
    return {YARDSTICK: statistics.mean(yardsticks), **figures}


def _yardstick() -> float:
    before = _children()
    subprocess.run([sys.executable, "-c", "import openai"], check=True)
    return _children() - before


def _run(what: str, folder: Path, cache: Path) -> Figures:
    command = [sys.executable, "-m", "benchmarks.index", str(folder), "--measure", what, str(cache)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


async def _measure(what: str, folder: Path, cache: Path) -> Figures:
    before, cpu, begun = _resident(), time.process_time(), time.perf_counter()
    index = Index(folder, cache)
    figures: Figures = {}
    match what:
        case "first":
            words, answer = QUESTIONS[0]
            drawn = await index.map(BUDGET, count, Focus(words))
            figures["first answer, s"] = time.perf_counter() - begun
            figures["first answer is useful"] = float(answer in [file.path for file in drawn.files])
            await index.close()
        case "cold":
            await index.wait()
            figures["cold, s"] = time.perf_counter() - begun
            await index.close()
            figures["cold, CPU s"] = time.process_time() - cpu + _children()
        case _:
            await index.wait()
            figures["warm, s"] = time.perf_counter() - begun
            figures["warm, CPU s"] = time.process_time() - cpu + _children()
            begun = time.perf_counter()
            maps = [
                [file.path for file in (await index.map(BUDGET, count, Focus(words))).files] for words, _ in QUESTIONS
            ]
            figures["a map, s"] = (time.perf_counter() - begun) / len(QUESTIONS)
            figures["memory, MB"] = _resident() - before
            asked = [
                (answer, paths)
                for (_, answer), paths in zip(QUESTIONS, maps, strict=True)
                if (folder / answer).exists()
            ]
            figures["answer is in the map, %"] = 100 * sum(a in p for a, p in asked) / max(1, len(asked))
            await index.close()
    return figures


async def _ask_in_copies(folder: Path, scratch: Path, copies: int) -> Figures:
    """The cost of a question in each of many isolated copies, each with two files of its own, all asked at once."""
    from kimi_code.permissions.confinement import Confinement, find_mounts
    from kimi_code.permissions.sandbox import find
    from kimi_code.repo.checkout import Options, freeze
    from kimi_code.repo.snapshot import Snapshots

    data = scratch / "data"
    data.mkdir()
    found = find("auto", data)
    confinement = Confinement(found, find_mounts(found, data), (data,))
    snapshots = Snapshots(folder, data / "snapshots")
    async with await freeze(snapshots, data / "checkouts", confinement, Options(caches=scratch / "cache0")) as frozen:
        made = [await frozen.create(f"copy-{number}") for number in range(copies)]
        indexes = [copy.indexes.at() for copy in made]
        await indexes[0].wait()
        before = _resident()
        for number, copy in enumerate(made):
            for name in ("one", "two"):
                text = f"def {name}_of_{number}():\n    return open_copy()\n" * 100
                await copy.workspace.write(copy.workspace.root / f"{name}.py", text.encode())
        begun, cpu = time.perf_counter(), time.process_time()
        answers = await asyncio.gather(
            *(index.symbols(f"two_of_{number}", whole=True) for number, index in enumerate(indexes))
        )
        assert all(answer.items for answer in answers)
        return {
            f"asked in {copies} copies, s": time.perf_counter() - begun,
            "each of them, CPU s": (time.process_time() - cpu) / copies,
            "each of them, MB": (_resident() - before) / copies,
            "parser processes": float(len({pid for index in indexes for pid in index.parser_pids})),
        }


def count(text: str) -> int:
    """Tokens, estimated as everywhere."""
    plain = len(text.encode("ascii", "ignore"))
    return (plain + 3) // 4 + len(text) - plain


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _resident() -> float:
    """Megabytes of this process; the peak where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


# --- Beside aider ----------------------------------------------------------------------------------------------------

# Runs in aider's own environment: the same folder, budget and words; the cache is where aider puts it, so in a copy.
_AIDER = """
import json, resource, sys, time
from pathlib import Path
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
from aider.io import InputOutput
from aider.repomap import RepoMap
class Model:
    def token_count(self, text):
        plain = len(text.encode("ascii", "ignore"))
        return (plain + 3) // 4 + len(text) - plain
folder, questions = Path(sys.argv[1]), json.loads(sys.argv[2])
import subprocess
listed = subprocess.run(["git", "ls-files", "-z"], cwd=folder, capture_output=True, check=True).stdout
names = listed.decode().split("\\0")
files = [str(folder / name) for name in names if name]
begun, cpu = time.perf_counter(), time.process_time()
def draw(words):
    io = InputOutput(yes=True, pretty=False)
    made = RepoMap(map_tokens=2000, root=str(folder), main_model=Model(), io=io, refresh="always")
    return made.get_ranked_tags_map([], files, 2000, set(), set(words)) or ""
maps = [draw(questions[0][0])]
first, first_cpu = time.perf_counter() - begun, time.process_time() - cpu
begun = time.perf_counter()
maps += [draw(words) for words, _ in questions[1:]]
each = (time.perf_counter() - begun) / max(1, len(questions) - 1)
hits = [answer + ":" in text for (_, answer), text in zip(questions, maps) if (folder / answer).exists()]
print(json.dumps({"first": first, "first_cpu": first_cpu, "each": each, "hits": 100 * sum(hits) / max(1, len(hits)),
                  "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3 - before}))
"""


def _peer(folder: Path, scratch: Path) -> Figures:
    """Aider's figures: its first map is its cold start, every later one a warm one."""
    print("installing aider-chat ...", file=sys.stderr)
    venv.create(scratch / "aider", with_pip=True)
    python = scratch / "aider" / "bin" / "python"
    installed = subprocess.run([python, "-m", "pip", "install", "-q", "aider-chat"], capture_output=True, text=True)
    if installed.returncode:
        last = (installed.stderr.strip().splitlines() or ["no reason given"])[-1]
        print(f"aider-chat cannot be installed on Python {sys.version.split()[0]}: {last}", file=sys.stderr)
        return {}
    copy = scratch / "tree"
    subprocess.run(["git", "clone", "-q", "--no-hardlinks", str(folder), str(copy)], check=True)
    command = [python, "-c", _AIDER, str(copy), json.dumps(QUESTIONS)]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=scratch)
    if ran.returncode:
        print(f"aider failed: {(ran.stderr.strip().splitlines() or [''])[-1]}", file=sys.stderr)
        return {}
    told = json.loads(ran.stdout.splitlines()[-1])
    return {
        "first answer, s": told["first"],
        "cold, s": told["first"],
        "cold, CPU s": told["first_cpu"],
        "warm, s": told["each"],
        "a map, s": told["each"],
        "memory, MB": told["memory"],
        "answer is in the map, %": told["hits"],
    }


if __name__ == "__main__":
    sys.exit(main())

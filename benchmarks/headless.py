"""`kimi-code -p` against a local server: the client's own time, CPU and memory, beside the limits they must keep.

python -m benchmarks.headless [--rounds N] [--profile] [--peer NAME=COMMAND]...
"""

import argparse
import shlex
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from benchmarks.laboratory import Laboratory, Measured, laboratory
from benchmarks.profile import print_profile

TOKENS = 20_000
STEPS = (0, 10, 50, 200)
KIMI_CODE = str(Path(sys.executable).with_name("kimi-code"))

Runs = dict[str, list[Measured]]


def main() -> None:
    """Measure, print."""
    arguments = _parse()
    with laboratory() as lab:
        if arguments.profile:
            print_profile(lab, prompt(200))
            return
        commands = _commands(lab, arguments.peer)
        for command in commands.values():
            lab.measure(command)  # warm: bytecode, file cache, first files of the home
        runs: Runs = defaultdict(list)
        for number in range(arguments.rounds):
            print(f"round {number + 1} of {arguments.rounds}", file=sys.stderr)
            for name, command in commands.items():
                runs[name].append(lab.measure(command))
    _print_scenarios(runs)
    _print_limits(runs)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7, help="runs of each scenario, interleaved (default 7)")
    parser.add_argument("--profile", action="store_true", help="the largest causes of CPU in a run of 200 steps")
    parser.add_argument(
        "--peer",
        action="append",
        default=[],
        metavar="NAME=COMMAND",
        help="another agent, run in the same rounds; {url} and {prompt} are filled in",
    )
    return parser.parse_args()


def prompt(steps: int, tokens: int = 1) -> str:
    """What the server takes as its script."""
    return f"steps={steps} tokens={tokens}"


def _commands(lab: Laboratory, peers: Sequence[str]) -> dict[str, list[str]]:
    script = lab.project.parent / "script.yaml"
    script.write_text("steps:\n  - text: done\n")
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "import openai": [sys.executable, "-c", "import openai"],
        "--version": [KIMI_CODE, "--version"],
        "scripted": [KIMI_CODE, "-p", "hi", "--model", f"scripted:{script}"],
    }
    for steps in STEPS:
        commands[f"{steps} steps"] = [KIMI_CODE, "-p", prompt(steps)]
    commands["20,000 tokens"] = [KIMI_CODE, "-p", prompt(0, TOKENS)]
    for peer in peers:
        name, _, template = peer.partition("=")
        for steps in (0, 200):
            words = shlex.split(template)
            filled = [word.replace("{url}", lab.url).replace("{prompt}", prompt(steps)) for word in words]
            commands[f"{name}, {steps} steps"] = filled
    return commands


def _print_scenarios(runs: Runs) -> None:
    print(
        f"Medians of {len(next(iter(runs.values())))} runs; gap = an answer's end until the next request has arrived.\n"
    )
    rows = [("", "first request", "gap", "last/first 10", "answer to exit", "wall", "CPU", "peak")]
    rows += [(name, *_row(measured)) for name, measured in runs.items()]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for name, *cells in rows:
        shown = (cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True))
        print("  ".join((name.ljust(widths[0]), *shown)))


def _row(runs: Sequence[Measured]) -> tuple[str, ...]:
    asked = bool(runs[0].answers)
    return (
        f"{median(run.to_first_request for run in runs) * 1000:.0f} ms" if asked else "",
        f"{_gap(runs):.1f} ms" if asked and runs[0].gaps else "",
        f"{_growth(runs):.2f}x" if asked and len(runs[0].gaps) >= 100 else "",
        f"{median(run.to_exit for run in runs) * 1000:.0f} ms" if asked else "",
        f"{median(run.wall for run in runs) * 1000:.0f} ms",
        f"{median(run.cpu for run in runs):.3f} s",
        f"{median(run.peak for run in runs):.0f} MiB",
    )


def _gap(runs: Sequence[Measured]) -> float:
    return median(median(run.gaps) for run in runs) * 1000


def _growth(runs: Sequence[Measured]) -> float:
    """How much longer the last ten gaps are than the first ten, the very first (connections, caches) left out."""
    return median(median(run.gaps[-10:]) / median(run.gaps[1:11]) for run in runs)


def _print_limits(runs: Runs) -> None:
    per_token = (median(run.cpu for run in runs["20,000 tokens"]) - median(run.cpu for run in runs["0 steps"])) / TOKENS
    version = median(run.wall for run in runs["--version"]) / median(run.wall for run in runs["python -c pass"])
    long = runs["200 steps"]
    first = median(run.to_first_request for run in runs["0 steps"])
    scripted = median(run.wall for run in runs["scripted"])
    yardstick = median(run.wall for run in runs["import openai"])
    figures = (
        ("exec to first request", first * 1000, 700, "ms"),
        # The limits in time are for a machine on which `import openai` takes half a second: ratios hold on any.
        ("first request over import openai", first / yardstick, 1.4, "x"),
        ("gap, median at 200 steps", _gap(long), 8, "ms"),
        ("gap, last ten over first ten", _growth(long), 1.3, "x"),
        ("last answer to exit", median(run.to_exit for run in runs["0 steps"]) * 1000, 60, "ms"),
        ("CPU per streamed token", per_token * 1e6, 40, "us"),
        ("peak memory at 200 steps", median(run.peak for run in long), 120, "MiB"),
        ("--version over python -c pass", version, 2.5, "x"),
        ("scripted -p, whole", scripted * 1000, 350, "ms"),
        ("scripted -p over import openai", scripted / yardstick, 0.7, "x"),
    )
    print()
    for name, value, limit, unit in figures:
        print(f"{'ok  ' if value <= limit else 'OVER'}  {name:34}{value:8.1f} {unit:4} limit {limit:g}")


if __name__ == "__main__":
    main()

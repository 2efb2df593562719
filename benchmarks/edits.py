"""What an edit costs on a file of 10,000 lines, beside its limit; and the diff of a change, beside git's.

    python -m benchmarks.edits [--lines 10000] [--rounds 9]

Everything runs in this process, on texts it makes up; the median of the rounds is shown. Exit 1 when over a limit.
"""

import argparse
import asyncio
import random
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import suppress

from kimi_code.errors import PatchError
from kimi_code.repo.diff import make_diff
from kimi_code.repo.large_diff import diff_of
from kimi_code.repo.patch import Edit, apply
from kimi_code.repo.syntax_check import new_problem


def main() -> int:
    """Measure and print; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--lines", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    rows = [*_edits(options.lines, options.rounds), *_diffs(options.lines, options.rounds)]
    print(f"{options.lines} lines, medians of {options.rounds} rounds\n\n{'':58}       ms    limit")
    for name, took, limit in rows:
        print(f"{name:58} {took:8.1f} {f'{limit:8.0f}' if limit else '':8}{'  OVER' if limit and took > limit else ''}")
    return int(any(limit and took > limit for _, took, limit in rows))


Row = tuple[str, float, float | None]


def _edits(lines: int, rounds: int) -> list[Row]:
    middle = lines // 2
    text = "".join(f"    value_{n} = compute({n}, other={n * 7})\n" for n in range(lines))
    block = "".join(f"    value_{n} = compute({n}, other={n * 7})\n" for n in range(middle, middle + 10))
    near = block.replace(f"compute({middle + 5}", f"compte({middle + 5}")
    shifted = "\n".join(line[4:] for line in block.split("\n"))
    cases = [
        ("exact", text, block),
        ("indentation", text, shifted),
        ("near miss, ten lines", text, near),
        ("near miss, one line", text, f"    value_{middle} = compute({middle}, othr={middle * 7})"),
        ("near miss, CRLF file", text.replace("\n", "\r\n"), near),
        ("near miss, file not in ASCII", text.replace("other", "ändern"), near.replace("other", "ändern")),
        ("near miss, numbered and elided", text, f"1\t{near.splitlines()[0]}\n2\t...\n3\tnothing\\n"),
        ("nothing like it", text, "there is no such thing in this file\n"),
        ("all lines alike", "    }\n" * lines, "    }\n" * 50 + "  )\n"),
    ]
    rows: list[Row] = [
        (f"edit: {name}", _median(lambda text=text, old=old: _attempt(text, old), rounds), 50)
        for name, text, old in cases
    ]
    source = f"def f():\n{text}"
    rows.append(("syntax check of Python", _median(lambda: new_problem("a.py", source, source), rounds), None))
    return rows


def _attempt(text: str, old: str) -> None:
    with suppress(PatchError):
        apply(text, [Edit(old, "    new = 1\n...\n    other = 2\n")])


def _diffs(lines: int, rounds: int) -> list[Row]:
    chance = random.Random(1)
    many = [f"    w{chance.randrange(300)} = w{chance.randrange(300)}\n" for _ in range(lines)]
    few = [f"w{chance.randrange(30)}\n" for _ in range(lines)]
    unrelated = [f"w{chance.randrange(30)}\n" for _ in range(lines)]
    small = [*many[: lines // 2], "new\n" * 5, *many[lines // 2 + 5 :]]
    scattered = [f"new {n}\n" if n % 4 == 0 else line for n, line in enumerate(many)]
    rows: list[Row] = []
    for name, before, after in (
        ("5 lines", many, small),
        ("every fourth line", many, scattered),
        ("every fourth of few distinct lines", few, [f"w{n % 30}\n" if n % 4 == 0 else x for n, x in enumerate(few)]),
        ("unrelated texts of few distinct lines", few, unrelated),
    ):
        old, new = "".join(before), "".join(after)
        shown = make_diff("a", old, new), asyncio.run(diff_of("a", old, new))
        here = _median(lambda old=old, new=new: make_diff("a", old, new), rounds)
        chosen = _median(lambda old=old, new=new: asyncio.run(diff_of("a", old, new)), rounds)
        rows.append((f"diff: {name}, pure (+{shown[0].added})", here, None))
        rows.append((f"diff: {name}, as chosen (+{shown[1].added})", chosen, 250))
    return rows


def _median(work: Callable[[], object], rounds: int) -> float:
    """Milliseconds."""
    took: list[float] = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        took.append((time.perf_counter() - started) * 1000)
    return statistics.median(took)


if __name__ == "__main__":
    sys.exit(main())

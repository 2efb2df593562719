"""What deciding on a command line costs, for every row of the corpus, in this repository.

python -m benchmarks.decisions [--rounds N]
"""

import argparse
import time
from pathlib import Path

from kimi_code.events import Effect
from kimi_code.permissions.paths import Boundary
from kimi_code.permissions.policy import Policy
from tests.unit.test_corpus import EVERYDAY, ROWS

LIMIT = 2.0  # ms


def main() -> None:
    """Measure, print. Of several rounds the best counts: what is asked for is the program's own work."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7, help="decisions on each command, interleaved (default 7)")
    rounds = parser.parse_args().rounds
    policies = {command: Policy("auto", (), _here()) for command in EVERYDAY}
    policies |= {row.command: Policy(row.mode, row.rules, _here()) for row in ROWS}
    best = dict.fromkeys(policies, float("inf"))
    for number in range(rounds):
        for command, policy in policies.items():
            # Lines are remembered once parsed: a blank more makes it a new one.
            line = command + " " * (number + 1)
            start = time.perf_counter()
            policy.decide("Bash", Effect.EXECUTE, (line,))
            best[command] = min(best[command], (time.perf_counter() - start) * 1000)
    ordered = sorted(best, key=lambda command: best[command])
    for name, share in (("median", 0.5), ("p95", 0.95), ("p99", 0.99), ("slowest", 1.0)):
        command = ordered[min(int(share * len(ordered)), len(ordered) - 1)]
        verdict = "ok  " if best[command] <= LIMIT else "OVER"
        print(f"{verdict}  {name:8}{best[command]:7.2f} ms  limit {LIMIT:g}   {command[:70]!r}")
    over = [command for command in ordered if best[command] > LIMIT]
    print(f"of {len(ordered)} commands, {len(over)} over the limit: {over}")


def _here() -> Boundary:
    return Boundary((Path.cwd().resolve(),))


if __name__ == "__main__":
    main()

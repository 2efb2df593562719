"""What start-up spends on imports, by package: the modules a run of `kimi-code -p` really loads, one after another.

    python -m benchmarks.imports [--top N]

A run loads the SDK in a second thread; timing that would blame one package for another's work. So the modules of a run
are noted first, and then imported in the same order by one thread of a fresh interpreter under `-X importtime`.
"""

import argparse
import subprocess
import sys
from collections import Counter

from benchmarks.headless import prompt
from benchmarks.laboratory import Laboratory, laboratory

# The SDK's loader puts packages off, so it must come before them here as it does in a run.
_NOTE = """
import atexit, json, sys
atexit.register(lambda: json.dump(list(sys.modules), open(sys.argv[-1], "w")))
from kimi_code.__main__ import main
file = sys.argv.pop()
code = main()
sys.argv.append(file)
sys.exit(code)
"""
_IMPORT = """
import gc, json, sys
gc.disable()
for name in json.load(open(sys.argv[-1])):
    if name in ("httpx2", "openai"):
        from kimi_code.llm import sdk
        sdk.load()
    if name not in sys.modules and not name.startswith("openai"):
        try:
            __import__(name)  # import_module would not be timed
        except ImportError:
            pass  # made at run time, such as the parts of a vendored package
"""


def main() -> None:
    """Note, import, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--top", type=int, default=15, help="lines of each list (default 15)")
    top: int = parser.parse_args().top
    with laboratory() as lab:
        own = _own_times(lab)
    packages: Counter[str] = Counter()
    for name, microseconds in own.items():
        packages[_package(name)] += microseconds
    total = sum(own.values())
    print(f"{len(own)} modules, {total / 1000:.0f} ms (importtime itself slows them down: trust the shares)")
    for title, counts in (("By package", packages), ("By module", own)):
        print(f"\n{title}:")
        for name, microseconds in counts.most_common(top):
            print(f"{microseconds / total:7.1%}  {microseconds / 1000:7.1f} ms  {name}")


def _own_times(lab: Laboratory) -> "Counter[str]":
    """Module to microseconds, without those of the modules that it imports."""
    file = str(lab.project.parent / "modules.json")
    lab.measure([sys.executable, "-c", _NOTE, "-p", prompt(1), file])
    command = [sys.executable, "-X", "importtime", "-c", _IMPORT, file]
    done = subprocess.run(command, cwd=lab.project, env=lab.environment, capture_output=True, text=True, check=True)
    own: Counter[str] = Counter()
    for line in done.stderr.splitlines():
        prefix, _, rest = line.partition("import time:")
        microseconds, _, rest = rest.partition("|")
        if not prefix and microseconds.strip().isdecimal():
            own[rest.partition("|")[2].strip()] += int(microseconds)
    return own


def _package(module: str) -> str:
    first = module.partition(".")[0]
    return "the standard library" if first in sys.stdlib_module_names else first


if __name__ == "__main__":
    main()

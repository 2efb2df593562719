"""Fixtures shared by all tests."""

import gc
import importlib
import os
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings, strategies
from hypothesis.internal.conjecture import providers

from tests.harness import Lab, make_lab
from tests.server import FakeServer

TESTS = Path(__file__).resolve().parent

# Without bytecode to read, each process of a run would spend eight seconds on compiling its tests.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# As in an activated environment: commands that run confined may use this Python wherever it is, below /tmp too.
os.environ["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))

# No keyring: that of the machine tests run on is its owner's.
os.environ["PYTHON_KEYRING_BACKEND"] = "keyring.backends.fail.Keyring"

# The same examples in every run: a run that fails says something about the change, not about luck.
# To look for new ones: HYPOTHESIS_PROFILE=explore.
settings.register_profile("repeatable", max_examples=30, derandomize=True, deadline=None)
settings.register_profile("explore", max_examples=300, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))
if settings.get_current_profile_name() == "repeatable":
    # It would try constants of those of our modules that are imported by then. There is no public way to tell it.
    setattr(providers, "is_local_module_file", frozenset[str]().__contains__)  # noqa: B010

# Screens are painted an eighth as often: what they show is asked between paintings.
os.environ.setdefault("TEXTUAL_FPS", "8")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One more than there are cores: tests of programs, screens and servers wait for a quarter of their time."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(trylast=True)  # after that of hypothesis, which wants nothing of it done earlier
def pytest_sessionstart(session: pytest.Session) -> None:
    """In a fresh checkout one worker compiles what all read later: they begin to import at different files."""
    worker: dict[str, Any] | None = getattr(session.config, "workerinput", None)
    if worker is None or [Path(each).resolve() for each in session.config.args] != [TESTS]:
        return
    number = int(worker["workerid"].removeprefix("gw"))
    if number == 0:
        strategies.text().validate()  # writes tables of all characters
    names = [
        ".".join(path.with_suffix("").relative_to(TESTS.parent).parts) for path in sorted(TESTS.rglob("test_*.py"))
    ]
    first = len(names) * number // worker["workercount"]
    for name in (*names[first:], *names[:first]):
        with suppress(Exception, pytest.skip.Exception):  # it is reported when it is collected
            importlib.import_module(name)


def pytest_collection_finish() -> None:
    """What is loaded by now stays, and cycles are looked for seldom: both take a tenth of the time otherwise."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 1_000)


_numbers: defaultdict[str, Iterator[int]] = defaultdict(count)


@pytest.fixture
def tmp_path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As pytest's own, which looks through the folders of all tests for the next number."""
    name = re.sub(r"\W", "_", request.node.name)[:30]  # pyright: ignore
    while True:
        try:
            return tmp_path_factory.mktemp(f"{name}{next(_numbers[name])}", numbered=False)
        except FileExistsError:  # another's name ends with a number
            continue


@pytest.fixture
def server() -> Iterator[FakeServer]:
    """A scripted OpenAI-compatible server at `server.url`."""
    with FakeServer() as running:
        yield running


@pytest.fixture
def lab(server: FakeServer, tmp_path: Path) -> Iterator[Lab]:
    """A project and a server; every scripted reply must be used."""
    yield make_lab(server, tmp_path)
    server.assert_used_up()

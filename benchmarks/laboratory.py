"""Where benchmarks run: a temporary project and home, a model server of its own process, commands measured in them.

POSIX only: CPU time and peak memory come from `wait4`. Nothing of the user's is read or written.
"""

import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.server import FILES

_MIB = 1024 * 1024
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024  # bytes of ru_maxrss


@dataclass(frozen=True, slots=True)
class Measured:
    """One run of a command: seconds, MiB; `answers` are (arrival, end) per request, seconds since exec."""

    wall: float
    cpu: float
    peak: float
    answers: tuple[tuple[float, float], ...] = ()

    @property
    def to_first_request(self) -> float:
        return self.answers[0][0]

    @property
    def to_exit(self) -> float:
        """From the last answer's end."""
        return self.wall - self.answers[-1][1]

    @property
    def gaps(self) -> tuple[float, ...]:
        """The client's own time between an answer and the next request."""
        pairs = zip(self.answers, self.answers[1:], strict=False)
        return tuple(arrival - end for (_, end), (arrival, _) in pairs)


@dataclass(frozen=True, slots=True)
class Laboratory:
    """A project to work in, a server to ask, an environment that leads to both."""

    project: Path
    url: str
    environment: Mapping[str, str]

    def measure(self, command: Sequence[str]) -> Measured:
        """Run the command in the project to its end. Raises RuntimeError, with its words, when it fails."""
        self.take_log()
        with tempfile.TemporaryFile() as said:
            started = time.monotonic()
            process = subprocess.Popen(
                command, cwd=self.project, env=self.environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said
            )
            _, status, used = os.wait4(process.pid, 0)
            wall = time.monotonic() - started
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode != 0:
                said.seek(0)
                words = said.read().decode("utf-8", "replace")[-2000:]
                raise RuntimeError(f"{shlex.join(command)} ended with {process.returncode}: {words}")
        answers = tuple((arrived - started, ended - started) for arrived, ended in self.take_log())
        return Measured(wall, used.ru_utime + used.ru_stime, used.ru_maxrss * _RSS_UNIT / _MIB, answers)

    def take_log(self) -> list[tuple[float, float]]:
        """(arrival, end) of the answers since the last time, on the monotonic clock."""
        with urllib.request.urlopen(f"{self.url}/log") as response:
            return [(arrived, ended) for arrived, ended in json.load(response)]


@contextmanager
def laboratory() -> Generator[Laboratory]:
    """Set everything up in a temporary folder; it is gone afterwards, the server too."""
    with tempfile.TemporaryDirectory(prefix="kimi-code-bench-") as folder:
        root = Path(folder).resolve()
        project = _make_project(root / "project")
        server = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.server"],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[1],
        )
        try:
            assert server.stdout is not None
            url = f"http://127.0.0.1:{int(server.stdout.readline())}"
            yield Laboratory(project, url, _environment(root / "home", url))
        finally:
            server.terminate()
            server.communicate()


def _make_project(project: Path) -> Path:
    project.mkdir()
    for number in range(FILES):
        lines = [f"value_{line} = {line}  # a line of file {number}, about as long as lines are" for line in range(20)]
        (project / f"file{number}.py").write_text("\n".join(lines) + "\n")
    author = ("-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "commit.gpgsign=false")
    for arguments in (("init", "-q"), ("add", "."), (*author, "commit", "-q", "-m", "start")):
        subprocess.run(["git", *arguments], cwd=project, check=True)
    return project


def _environment(home: Path, url: str) -> dict[str, str]:
    home.mkdir()
    return {
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "HOME": str(home),
        "KIMI_CODE_DIR": str(home / "kimi-code"),
        "KIMI_BASE_URL": f"{url}/v1",
        "KIMI_API_KEY": "sk-benchmark",
        "KIMI_MODEL": "bench",
    }

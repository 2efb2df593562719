"""Starts the installed program as a process of its own, in a project and with a data folder of its own."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.server import FakeServer
from tests.warm import POSSIBLE, Forked

KEY = "sk-the-secret-key-0123456789"
PATIENCE = 30.0  # seconds after which a test gives up; nothing waits for it on purpose


@dataclass(frozen=True, slots=True)
class Done:
    """How a run ended; never with a traceback, and never with the key in its words."""

    code: int
    stdout: str
    stderr: str

    def __post_init__(self) -> None:
        said = self.stdout + self.stderr
        assert "Traceback" not in said, said
        assert "bug of its own" not in said, said
        assert KEY not in said, said

    @property
    def result(self) -> dict[str, Any]:
        """The result object; in `json` it must be all there is, in `jsonl` the last line."""
        lines = self.stdout.splitlines()
        result = json.loads(lines[-1])
        assert result["type"] == "result"
        assert result["exit_code"] == self.code
        assert [json.loads(line)["type"] for line in lines].count("result") == 1
        return result


@dataclass(slots=True)
class Program:
    """`kimi-code` in `project`; `env` is its whole environment."""

    server: FakeServer
    project: Path
    data: Path
    env: dict[str, str] = field(default_factory=dict[str, str])

    def start(
        self,
        *args: str,
        stdin: Any = subprocess.DEVNULL,
        stdout: Any = subprocess.PIPE,
        stderr: Any = subprocess.PIPE,
        env: Mapping[str, str] | None = None,
        before: Sequence[str] = (),
        cwd: Path | None = None,
        fresh: bool = False,
    ) -> "Process":
        """The running program. `env` is added to its environment, `before` is a command that runs it.

        With `fresh` an interpreter is started for it, as for users; otherwise it is forked where that can be done.
        """
        streams: dict[str, Any] = {"stdin": stdin, "stdout": stdout, "stderr": stderr}
        environment = {**self.env, **(env or {})}
        return start(args, cwd=cwd or self.project, env=environment, before=before, fresh=fresh, **streams)

    def run(self, *args: str, input: bytes | None = None, **how: Any) -> Done:
        """The program run to its end; `input` comes by a pipe."""
        how.setdefault("stdin", subprocess.DEVNULL if input is None else subprocess.PIPE)
        return finish(self.start(*args, **how), input)

    def run_shell(self, redirections: str, *args: str) -> Done:
        """The program run by a shell, with `redirections` behind its arguments."""
        line = f'exec "$@" {redirections}'
        return self.run(*args, before=("sh", "-c", line, "sh"))


COMMAND = (sys.executable, "-m", "kimi_code")
Process = subprocess.Popen[bytes] | Forked


def start(
    args: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    before: Sequence[str] = (),
    fresh: bool = False,
    **streams: Any,
) -> Process:
    """The running program; the rest as in Program.start."""
    if POSSIBLE and not (fresh or before):
        return Forked(args, cwd=cwd, env=env, **streams)
    return subprocess.Popen[bytes]([*before, *COMMAND, *args], cwd=cwd, env=env, **streams)


def finish(process: Process, input: bytes | None = None) -> Done:
    """Wait for the end."""
    try:
        out, err = process.communicate(input, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise
    return Done(process.wait(), (out or b"").decode(), (err or b"").decode())


def make_program(server: FakeServer, folder: Path) -> Program:
    """A program with an empty project and the fake server's key and address."""
    project, home = folder / "project", folder / "home"
    project.mkdir()
    home.mkdir()
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "TMPDIR") if name in os.environ}
    env = {
        **kept,
        "HOME": str(home),
        "KIMI_CODE_DIR": str(folder / "kimi"),
        "KIMI_BASE_URL": server.url,
        "KIMI_API_KEY": KEY,
        "LC_ALL": "C.UTF-8",
        # No keyring: that of the machine tests run on is its owner's.
        "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
        "PYTHONPATH": str(Path(__file__).parent.parent),
    }
    return Program(server, project.resolve(), folder / "kimi" / "data", env)


def take_interrupts() -> None:
    """Where tests run in the background SIGINT is ignored, under nohup SIGHUP, and so it is in what they start."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)

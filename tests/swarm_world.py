"""A swarm in a laboratory: a project in git, and a server that plays the orchestrator and every sub-agent."""

import hashlib
import json
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.harness import Lab
from tests.server import Received, Reply, call, calls, say

WHO = re.compile(r"You are the sub-agent main/(\S+) of a swarm")
Step = Reply | Callable[[Received], Reply]

# For `kill_points.dying`: a headless run. Where there is a process for it alone, these are loaded before it is forked.
WORK_OF_A_SWARM = """
import os
os.environ["PYDANTIC_DISABLE_PLUGINS"] = "1"  # as the program does
import kimi_code.assembly, kimi_code.swarm.control
from kimi_code.llm import sdk
sdk.load()
from pathlib import Path
from kimi_code.swarm.journal import newest_unfinished
from kimi_code.wiring.opening import SwarmStart
from tests.harness import Lab, settings_for
from tests.server import FakeServer

async def work(url, project, data, mode="yolo", left=""):
    lab = Lab(FakeServer(), Path(project), Path(data), settings_for(url, Path(data)))
    lab.configure(permission_mode=mode, retry_wait=0.001)
    kept = newest_unfinished(lab.data, lab.project) if left else None
    await lab.run(**{"resume": kept.session.name, "swarms": SwarmStart(left=kept)} if kept else {})
"""


def git(folder: Path, *args: str, input: bytes | None = None) -> bytes:
    """The output of a git command that must succeed."""
    return subprocess.run(["git", *args], cwd=folder, input=input, capture_output=True, check=True).stdout


def make_project(folder: Path, files: Mapping[str, str]) -> None:
    """A repository with one commit."""
    git(folder, "init", "-q", "--template=", "-b", "main")
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    git(folder, "add", ".")
    fast = ("-c", "maintenance.auto=false", "-c", "commit.gpgsign=false")
    git(folder, *fast, "-c", "user.name=Ann", "-c", "user.email=ann@example.org", "commit", "-q", "-m", "First")


def state(folder: Path) -> dict[str, str]:
    """Every file of the tree and of the repository, by its content."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return {str(path.relative_to(folder)): hashlib.sha1(path.read_bytes()).hexdigest() for path in files}


def words(request: Received) -> str:
    """Everything that is said in a request."""
    return "\n".join(_text(message) for message in request.messages)


def who(request: Received) -> str:
    """The path of the agent that asks, below main; "" for the orchestrator, "resolver" for one that resolves."""
    said = words(request)
    if "do not go together by themselves" in said:
        return "resolver"
    named = WHO.search(said)
    return named[1] if named else ""


def _text(message: Mapping[str, Any]) -> str:
    content: Any = message.get("content") or ""
    return content if isinstance(content, str) else json.dumps(content)


# --- What agents do ---------------------------------------------------------------------------------------------------


def write(path: str, content: str) -> Reply:
    """Read the file, then write it anew."""
    return calls(("Read", {"path": path}), ("Write", {"path": path, "content": content}))


def bash(command: str) -> Reply:
    """Run a command."""
    return call("Bash", {"command": command})


def swarm(*tasks: Mapping[str, Any], **more: Any) -> Reply:
    """Start a swarm."""
    return call("Swarm", {"goal": "Make it better", "tasks": list(tasks), **more})


def task(id: str, **more: Any) -> dict[str, Any]:
    """One task of it."""
    return {"id": id, "task": f"Better {id}", **more}


class Cast:
    """Who says what: the steps of each agent, by its path below main ("" is the orchestrator), in order."""

    def __init__(self, lab: Lab, parts: Mapping[str, Sequence[Step]], *, default: Step | None = None) -> None:
        self.parts = {name: list(steps) for name, steps in parts.items()}
        self.default = default
        self.asked: list[str] = []
        self.told: dict[str, str] = {}
        lab.server.always(self.reply)

    def reply(self, request: Received) -> Reply:
        name = who(request)
        self.asked.append(name)
        self.told[name] = words(request)
        steps = self.parts.get(name)
        step = steps.pop(0) if steps else self.default
        if step is None:
            return say(f"{name or 'the orchestrator'} has nothing more to say")
        return step(request) if callable(step) else step

    @property
    def left(self) -> dict[str, int]:
        """The steps that were never asked for."""
        return {name: len(steps) for name, steps in self.parts.items() if steps}


def swarm_result(told: str) -> dict[str, Any]:
    """The digest in what the orchestrator was told."""
    for line in told.splitlines():
        if line.startswith("{"):
            return json.loads(line)
    raise AssertionError(f"no digest in {told!r}")

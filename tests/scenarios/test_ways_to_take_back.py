"""undo, redo and restore alike: --dry-run, --json, --merge, --force; refused is exit 1, nothing done, files named."""

import asyncio
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from tests.harness import Lab
from tests.program import Done
from tests.scenarios.test_undo import cli
from tests.server import call, say
from tests.swarm_world import make_project

TEN = "".join(f"{n}\n" for n in range(10))
AGENT, USER = ("1\n", "one\n"), ("8\n", "the user's\n")


@pytest.fixture(autouse=True)
def project(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KIMI_CODE_DIR", str(lab.data.parent))
    monkeypatch.chdir(lab.project)
    lab.configure(permission_mode="yolo")
    make_project(lab.project, {"a.txt": TEN, "b.txt": "b\n"})
    command = "sed -i.bak s/^1$/one/ a.txt; rm a.txt.bak; echo agent > b.txt; echo new > new.txt"
    lab.server.script(call("Bash", {"command": command}), say("Done."))
    asyncio.run(lab.run())
    return lab.project


def everything(folder: Path) -> dict[str, str]:
    """Files and repository."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha1(path.read_bytes()).hexdigest() for path in files}


def as_json(done: Done) -> Any:
    found = json.loads(done.stdout)
    assert found["exit_code"] == done.code
    return found


def ready(command: str) -> tuple[str, ...]:
    """Whatever has to come before, and the words of the command."""
    if command == "undo":
        return ("undo",)
    first = json.loads(cli("checkpoints", "list", "--json").stdout)[0]["id"]
    if command == "restore":
        return ("checkpoints", "restore", first)
    assert cli("undo").code == 0
    return ("redo",)


@pytest.mark.parametrize("command", ["undo", "redo", "restore"])
def test_flags_mean_the_same_everywhere_and_what_force_overwrote_is_kept(project: Path, command: str) -> None:
    words = ready(command)
    there = (project / "a.txt").read_text()
    was, becomes = AGENT if command == "redo" else (AGENT[1], AGENT[0])
    goal = there.replace(was, becomes)

    before = everything(project)
    planned = as_json(cli(*words, "--dry-run", "--json"))
    assert everything(project) == before
    assert planned["status"] == "planned"
    assert {entry["path"] for entry in planned["files"]} == {"a.txt", "b.txt", "new.txt"}

    (project / "a.txt").write_text(there.replace(*USER))
    (project / "b.txt").write_text("the user's\n")
    before = everything(project)
    refused = cli(*words)
    assert refused.code == 1
    assert "  a.txt: was changed since" in refused.stderr
    assert "--merge to keep both" in refused.stderr
    clash = as_json(cli(*words, "--merge", "--json"))
    assert clash["status"] == "refused"
    assert clash["conflicts"] == [{"path": "b.txt", "reason": "was changed since, and the changes clash"}]
    merging = cli(*words, "--merge").stderr
    assert "--force to overwrite them" in merging
    assert "--merge" not in merging  # it has been tried
    assert cli(*words, "--merge", "--force").code == 2
    assert everything(project) == before

    (project / "b.txt").write_text("b\n" if command == "redo" else "agent\n")
    assert as_json(cli(*words, "--merge", "--json"))["status"] == "done"
    assert (project / "a.txt").read_text() == goal.replace(*USER)

    # And the other way, by force.
    back = {"undo": ("redo",), "redo": ("undo",)}.get(command, words)
    (project / "b.txt").write_text("the user's\n")
    done = as_json(cli(*back, "--force", "--json"))
    assert done["status"] == "done"
    assert (project / "b.txt").read_text() == ("agent\n" if back == ("redo",) else "b\n")
    assert cli("checkpoints", "restore", done["saved"], "b.txt", "--force").code == 0
    assert (project / "b.txt").read_text() == "the user's\n"

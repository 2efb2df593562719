"""What a sub-agent tries against the user's tree and its siblings, on every way that copies are made."""

import json
import threading
from dataclasses import replace
from operator import methodcaller
from pathlib import Path

import pytest

from kimi_code.events import AgentFinished, Record
from kimi_code.permissions.confinement import find_mounts
from kimi_code.permissions.sandbox import find
from kimi_code.wiring.opening import SwarmStart
from tests.harness import Lab
from tests.server import Reply, call, calls, say
from tests.swarm_world import Cast, git, make_project, state, who

ATTACKS = (
    "git checkout -q -b evil; git branch -D main; true",
    "git stash -u; true",
    "git reset -q --hard HEAD~1; git clean -fdxq; true",
    "git config user.name Mallory; git update-ref refs/heads/planted HEAD; true",
    "rm -rf .git/refs .git/packed-refs; true",
    "GIT_DIR=../project/.git git update-ref refs/heads/planted HEAD; true",
    "cd .. && git -C project branch planted; true",
    "git worktree add -q ../wt; true",
)


WAYS = ["off", "bwrap", "landlock"]
WITHOUT_OVERLAYS = " without overlays"


def forget_overlays(data: Path) -> None:
    """Have the data folder remember what a machine would have found that knows no overlays."""
    find_mounts(find("bwrap", data), data)
    memory = data / "mounts.json"
    found = json.loads(memory.read_text())
    memory.write_text(json.dumps({**found, "overlay": []}))


@pytest.fixture(params=WAYS)
def project(lab: Lab, request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    make_project(lab.project, {"a.txt": "a\n", "b.txt": "b\n"})
    git(lab.project, "-c", "user.name=A", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "Second")
    (lab.project / "a.txt").write_text("dirty\n")
    (lab.project / "mine.txt").write_text("untracked\n")
    (lab.project / "out").symlink_to(tmp_path)
    mechanism = request.param.removesuffix(WITHOUT_OVERLAYS)
    if mechanism != "off" and find(mechanism, tmp_path).mechanism is None:
        pytest.skip(f"commands cannot be confined by {mechanism} on this machine")
    if mechanism != request.param:
        forget_overlays(lab.data)
    lab.configure(permission_mode="yolo", sandbox=mechanism)
    return lab.project


WORSE = (
    *ATTACKS,
    "git branch -D main 2>&1; git checkout -q --orphan gone && git rm -rfq . ; git clean -fdxq; ls -A",
    "GIT_DIR={top}/.git GIT_WORK_TREE={top} git checkout -q -f -b evil; GIT_DIR={top}/.git git stash -u; true",
    "git -C {top} reset -q --hard HEAD~1; git -C {top} clean -fdxq; git -C {top} branch -D main; true",
    "git --git-dir={top}/.git --work-tree={top} checkout -q HEAD~1; true",
    "echo gone > {top}/a.txt; rm -rf {top}/b.txt {top}/mine.txt; true",
    "echo gone > ./../project/a.txt; rm -rf ../project/mine.txt ../good ../*/mine.txt; true",
    "ln -s {top} link && echo gone > link/a.txt && rm -rf link/.git; ln -sfn .. up && rm -rf up/good up/project; true",
    "git config core.hooksPath /tmp; git config --global user.name Mallory; git gc -q --prune=now; true",
)


LOOK = (
    "echo LOOKED; git rev-parse HEAD; git status --porcelain; git for-each-ref; git stash list; git config --list; "
    "find . -path ./.git -prune -o -type f -print0 | sort -z | xargs -0 sha1sum; cat new.txt"
)


@pytest.mark.parametrize("project", [*WAYS, f"bwrap{WITHOUT_OVERLAYS}"], indirect=True)
async def test_whatever_one_agent_does_the_users_tree_and_a_siblings_are_byte_identical(
    lab: Lab, project: Path
) -> None:
    """Where nothing confines commands, those that leave the copy by `..` are left out: the plan warns of them."""
    before, over = state(project), threading.Event()
    memory = lab.data / "mounts.json"
    known = memory.read_bytes() if memory.exists() else b""
    look = call("Bash", {"command": LOOK})
    look_again = replace(look, after=over)

    def listen(record: Record) -> None:
        if record.agent == "main/evil" and isinstance(record.event, AgentFinished):
            over.set()

    commands = [command.format(top=project) for command in WORSE]
    if lab.settings.sandbox == "off":
        commands = [command for command in commands if ".." not in command and "--global" not in command]
    evil = [*(call("Bash", {"command": command}) for command in commands), say("ha")]
    # What they do is outside their scopes, and so is never applied.
    tasks = [{"id": id, "task": f"Do {id}", "scope": ["nothing/*"]} for id in ("good", "evil")]
    cast = Cast(
        lab,
        {
            "": [call("Swarm", {"goal": "g", "tasks": tasks}), say("Done.")],
            "good": [call("Bash", {"command": "echo mine > new.txt"}), look, look_again, say("ok")],
            "evil": evil,
        },
    )
    ran = await lab.run(meanwhile=methodcaller("subscribe", listen))
    assert ran.exit_code == 0, ran.result
    assert cast.left == {}
    asked = [request for request in lab.server.requests if who(request) == "good"][-1]
    seen = [str(message["content"]) for message in asked.messages if "LOOKED" in str(message.get("content"))]
    assert len(seen) == 2
    assert seen[0] == seen[1]
    assert "mine" in seen[0]
    assert state(project) == before
    assert not known or memory.read_bytes() == known  # what was to be forgotten was not found again


def swarm(*ids: str) -> Reply:
    return call("Swarm", {"goal": "g", "tasks": [{"id": id, "task": f"Do {id}"} for id in ids]})


async def test_file_tools_and_git_in_one_copy_reach_neither_the_users_files_and_repository_nor_a_siblings(
    lab: Lab, project: Path, tmp_path: Path
) -> None:
    before = state(project)
    sibling = [
        calls(("Read", {"path": "b.txt"})),
        call("Bash", {"command": "git log --oneline --all; cat a.txt mine.txt"}),
    ]
    paths = (f"{project}/../stolen.txt", "../stolen.txt", "out/stolen.txt", f"{tmp_path}/stolen.txt")
    attempts = [("Write", {"path": path, "content": "x"}) for path in paths]
    attempts += [("Read", {"path": path}) for path in paths]
    cast = Cast(
        lab,
        {
            "": [swarm("evil", "good"), say("Done.")],
            "evil": [calls(*attempts), *(call("Bash", {"command": command}) for command in ATTACKS), say("ha")],
            "good": [*sibling, say("ok")],
        },
    )
    lab.configure(permission_mode="yolo")
    await lab.run(swarms=SwarmStart(2))
    assert not (tmp_path / "stolen.txt").exists()
    assert cast.told["evil"].count("outside this working copy") == len(attempts)
    after = state(project)
    # What it deleted in its own copy is a change like any other; the repository is the user's alone.
    for name in ("a.txt", "b.txt", "mine.txt"):
        before.pop(name)
        after.pop(name, None)
    assert after == before
    assert "dirty" in cast.told["good"]
    assert "untracked" in cast.told["good"]
    assert "planted" not in cast.told["good"]


async def test_an_absolute_path_of_the_users_means_the_copy(lab: Lab, project: Path) -> None:
    lab.configure(permission_mode="auto")
    before = state(project)
    name = str(project / "b.txt")
    cast = Cast(
        lab,
        {
            "": [swarm("a"), say("Done.")],
            "a": [calls(("Read", {"path": name}), ("Write", {"path": name, "content": "new\n"})), say("ok")],
        },
    )
    ran = await lab.run()
    assert state(project) == before
    assert "+new" in ran.result["review"]["patch"]
    assert cast.left == {}


async def test_commands_that_name_the_users_folder_do_not_reach_it(lab: Lab, project: Path) -> None:
    # Where nothing confines them, the words alone are looked at; else they run, and mean the copy.
    lab.configure(permission_mode="yolo" if lab.settings.sandbox == "off" else "auto")
    before = state(project)
    command = f"echo stolen > {project}/b.txt; git -C {project} branch planted; git --git-dir {project}/.git stash"
    Cast(
        lab,
        {
            "": [swarm("evil"), say("Done.")],
            "evil": [call("Bash", {"command": command}), say("ha")],
        },
    )
    await lab.run()
    assert state(project) == before

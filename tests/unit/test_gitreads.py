"""A repository may be hostile: reading it with git must not run what its own configuration names."""

import subprocess
from pathlib import Path

import pytest

from kimi_code.events import Effect
from kimi_code.permissions.paths import Boundary
from kimi_code.permissions.policy import Policy


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = (tmp_path / "project").resolve()
    root.mkdir()
    git(root, "init", "-q")
    (root / "a.txt").write_text("a\n")
    git(root, "add", "a.txt")
    git(root, "-c", "user.name=a", "-c", "user.email=a@b", "-c", "maintenance.auto=false", "commit", "-qm", "one")
    (root / "a.txt").write_text("b\n")
    return root


def git(root: Path, *args: str) -> None:
    subprocess.run(["git", *args], cwd=root, check=True, capture_output=True)


def decide(root: Path, command: str, *allow: str) -> str:
    from kimi_code.permissions.rules import parse

    rules = tuple(parse(text, "allow") for text in allow)
    return Policy("auto", rules, Boundary((root,))).decide("Bash", Effect.EXECUTE, (command,)).decision


READS = [
    "git status",
    "git diff",
    "git log -p -3",
    "git show HEAD",
    "git blame a.txt",
    "git branch --list",
    "git grep a",
]


def test_reading_an_ordinary_repository_is_free(project: Path) -> None:
    assert {command: decide(project, command) for command in READS} == dict.fromkeys(READS, "allow")


HOSTILE = [
    ["core.fsmonitor", "touch pwned"],
    ["core.hooksPath", "hooks"],
    ["diff.external", "touch pwned"],
    ["diff.x.textconv", "touch pwned"],
    ["diff.x.command", "touch pwned"],
    ["filter.x.clean", "touch pwned"],
    ["filter.x.process", "touch pwned"],
    ["include.path", "/tmp/elsewhere"],
    ["includeIf.gitdir:/.path", "/tmp/elsewhere"],
    ["gpg.program", "touch pwned"],
    ["core.worktree", "/"],
    ["extensions.partialClone", "origin"],
]


@pytest.mark.parametrize("setting", HOSTILE, ids=lambda setting: setting[0])
def test_a_repository_whose_configuration_could_run_something_is_asked_for(project: Path, setting: list[str]) -> None:
    git(project, "config", *setting)
    for command in ("git status", "git diff", "git log -p"):
        assert decide(project, command) == "ask", command


def test_the_threat_is_real(project: Path) -> None:
    git(project, "config", "core.fsmonitor", "touch pwned; false")
    git(project, "status")
    assert (project / "pwned").exists()


def test_a_hook_that_reading_runs_is_asked_for(project: Path) -> None:
    hook = project / ".git" / "hooks" / "post-index-change"
    hook.write_text("#!/bin/sh\ntouch pwned\n")
    hook.chmod(0o755)
    assert decide(project, "git status") == "ask"


def test_a_bare_repository_committed_as_files_is_not_trusted(project: Path) -> None:
    bare = project / "fixtures"
    bare.mkdir()
    git(bare, "init", "-q", "--bare")
    git(bare, "config", "core.fsmonitor", "touch pwned")
    assert decide(project, "cd fixtures && git status") == "ask"


def test_a_nested_repository_is_judged_by_its_own_configuration(project: Path) -> None:
    nested = project / "nested"
    nested.mkdir()
    git(nested, "init", "-q")
    assert decide(project, "cd nested && git status") == "allow"
    git(nested, "config", "diff.external", "touch pwned")
    assert decide(project, "cd nested && git status") == "ask"
    assert decide(project, "git status") == "allow"


def test_a_git_file_that_points_elsewhere_is_judged_by_where_it_points(project: Path) -> None:
    other = project.parent / "other"
    other.mkdir()
    git(other, "init", "-q")
    git(other, "config", "core.fsmonitor", "touch pwned")
    linked = project / "linked"
    linked.mkdir()
    (linked / ".git").write_text(f"gitdir: {other}/.git\n")
    assert decide(project, "cd linked && git status") == "ask"


def test_a_worktree_is_judged_by_the_repository_it_belongs_to(project: Path) -> None:
    git(project, "-c", "user.name=a", "-c", "user.email=a@b", "worktree", "add", "-q", "tree")
    assert decide(project, "cd tree && git status") == "allow"
    git(project, "config", "core.fsmonitor", "touch pwned")
    assert decide(project, "cd tree && git status") == "ask"


UNWELCOME = [
    "git -c core.fsmonitor=x status",
    "git -C /tmp log",
    "git --git-dir=/tmp/x log",
    "git --exec-path=. log",
    "git diff --ext-diff",
    "git diff --output=x",
    "git log --outpu=x",
    "git grep -O less a",
    "git -p log",
    "GIT_EXTERNAL_DIFF=x git diff",
    "git bisect run x",
    "git config --global alias.x '!sh'",
    "git stash",
    "git checkout .",
    "git commit -m x",
    "git push",
    "git fetch",
]


def test_options_that_run_write_or_leave_are_asked_for_even_with_a_broad_rule(project: Path) -> None:
    for command in UNWELCOME:
        assert decide(project, command) == "ask", command
        if command not in ("git stash", "git checkout .", "git commit -m x", "git push", "git fetch"):
            assert decide(project, command, "Bash(git *)") == "ask", command

"""Repositories for tests, made by the real git."""

import subprocess
from pathlib import Path

_AUTHOR = ("-c", "user.name=T", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main")
_FAST = ("-c", "commit.gpgsign=false", "-c", "maintenance.auto=false")


def git(folder: Path, *args: str) -> str:
    """What a git command says that must succeed, without blanks around it."""
    command = ("git", *_AUTHOR, *_FAST, *args)
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def commit_all(root: Path) -> None:
    """A commit of everything that is there."""
    git(root, "add", "-A")
    git(root, "commit", "-qm", "all")

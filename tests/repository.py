"""Repositories for tests, made by the real git."""

import shutil
import subprocess
import sys
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


def copy_tree(source: Path, target: Path) -> Path:
    """A copy of a folder, as of a repository that was made once, with modes, times and links."""
    if sys.platform == "win32":
        shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
    else:  # a fifth of the time
        target.mkdir(exist_ok=True)
        subprocess.run(["cp", "-pPR", f"{source}/.", target], check=True)
    return target

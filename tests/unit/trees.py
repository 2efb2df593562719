"""Set-ups that tests of checkpoints and snapshots share: git without the machine's settings, trees as plain data."""

import os
import stat
import subprocess
from pathlib import Path

Listing = dict[str, tuple[int, bytes]]

_OWN = ("init.defaultBranch=main", "user.name=T", "user.email=t@example.org")
_QUICK = ("commit.gpgsign=false", "maintenance.auto=false")


def git(cwd: Path, *args: str) -> str:
    """What git prints, without the blanks around it."""
    command = ["git", *(word for setting in (*_OWN, *_QUICK) for word in ("-c", setting)), *args]
    return subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True).stdout.strip()


def commit_all(root: Path) -> None:
    git(root, "add", "-A")
    git(root, "commit", "-qm", "all")


def run(cwd: Path, *commands: str) -> None:
    """Shell commands, one after the other."""
    for command in commands:
        subprocess.run(command, shell=True, check=True, cwd=cwd)


def listing(root: Path) -> Listing:
    """Everything but `.git`: modes, contents, targets of links."""
    found: Listing = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if ".git" in name.split("/"):
            continue
        mode = path.lstat().st_mode
        content = b""
        if stat.S_ISLNK(mode):
            content = os.fsencode(path.readlink())
        elif stat.S_ISREG(mode):
            content = path.read_bytes()
        found[name] = (0 if stat.S_ISLNK(mode) else mode, content)
    return found

"""Set-ups that tests of checkpoints and snapshots share: trees as plain data."""

import os
import stat
import subprocess
from pathlib import Path

Listing = dict[str, tuple[int, bytes]]


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

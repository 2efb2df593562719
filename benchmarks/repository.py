"""Repositories to measure on, made quickly: `git fast-import` writes one pack, one checkout writes the files."""

import os
import random
import subprocess
import time
from pathlib import Path


def plant(root: Path, count: int) -> list[str]:
    """A committed repository of `count` files of 1 to 16 KB, 20 to a folder; returns their names."""
    chance = random.Random(1)
    names = [f"d{n // 400}/e{n // 20}/f{n}.txt" for n in range(count)]
    root.mkdir(parents=True)
    git(root, "init", "-q")
    command = ["git", "-C", str(root), "fast-import", "--quiet"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as importing:
        assert importing.stdin is not None
        write = importing.stdin.write
        for number in range(count):
            content = b"%d\n" % chance.getrandbits(64) * chance.randrange(50, 800)
            write(b"blob\nmark :%d\ndata %d\n%s\n" % (number + 1, len(content), content))
        write(b"commit refs/heads/main\ncommitter B <b@example.org> 0 +0000\ndata 3\nall\n")
        for number, name in enumerate(names):
            write(b"M 100644 :%d %s\n" % (number + 1, name.encode()))
        write(b"\n")
    if importing.returncode:
        raise OSError("git fast-import failed")
    git(root, "symbolic-ref", "HEAD", "refs/heads/main")
    git(root, "-c", "checkout.workers=0", "read-tree", "-u", "--reset", "HEAD")
    # As of yesterday: of files as young as the index git looks at every byte, again and again.
    yesterday = time.time() - 86_400
    for name in names:
        os.utime(root / name, (yesterday, yesterday))
    git(root, "update-index", "-q", "--refresh")
    return names


def git(root: Path, *args: str) -> None:
    """Run git there, which must succeed."""
    identity = ("-c", "user.name=B", "-c", "user.email=b@example.org", "-c", "commit.gpgsign=false", "-c", "gc.auto=0")
    subprocess.run(["git", *identity, *args], cwd=root, check=True, stdout=subprocess.DEVNULL)

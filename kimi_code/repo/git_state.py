"""Where a working tree stands: its branch, what changed in it, what is in progress."""

import asyncio
from pathlib import Path

from kimi_code.repo.git import GitFolders, GitOutput, find_folders, find_root, run_git
from kimi_code.values import frozen

_IN_PROGRESS = {
    "rebase-merge": "rebase",
    "rebase-apply": "rebase",
    "MERGE_HEAD": "merge",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
    "BISECT_LOG": "bisect",
}


@frozen
class GitState:
    """Where a working tree stands. Counts are of paths, an untracked folder counts as one.

    `branch` is empty when `detached`, `head` (a commit id) when nothing was committed yet. `ahead` and `behind` count
    commits, None without an upstream. `counted` is False when git took too long: then the counts say nothing.
    `problem` says why nothing at all is known; it is empty otherwise.
    """

    branch: str = ""
    detached: bool = False
    head: str = ""
    staged: int = 0
    modified: int = 0
    untracked: int = 0
    conflicted: int = 0
    in_progress: str = ""
    upstream: str = ""
    ahead: int | None = None
    behind: int | None = None
    counted: bool = True
    problem: str = ""

    def describe(self) -> str:
        """One line for the model and for people, such as `main, 2 ahead of origin/main; 1 staged, 3 modified`."""
        if self.problem:
            return self.problem
        return "; ".join(part for part in (self._place(), self._progress(), self._counts()) if part)

    def _place(self) -> str:
        place = f"detached at {self.head[:10]}" if self.detached else f"branch {self.branch}"
        if not self.head:
            place += " without commits"
        distance = " and ".join(f"{n} {word}" for n, word in ((self.ahead, "ahead of"), (self.behind, "behind")) if n)
        return f"{place}, {distance} {self.upstream}" if distance else place

    def _progress(self) -> str:
        return f"{self.in_progress} in progress" if self.in_progress else ""

    def _counts(self) -> str:
        if not self.counted:
            return ""
        named = (
            (self.staged, "staged"),
            (self.modified, "modified"),
            (self.untracked, "untracked"),
            (self.conflicted, "in conflict"),
        )
        return ", ".join(f"{count} {name}" for count, name in named if count) or "clean"


async def state(root: Path, limit: float = 2.0) -> GitState:
    """What `git status` says about the working tree around `root`; after `limit` seconds only what files tell."""
    top = find_root(root)
    if top is None:
        bare = (root / "HEAD").is_file() and (root / "objects").is_dir() and (root / "refs").is_dir()
        return GitState(problem="a bare git repository" if bare else "not a git repository")
    folders = find_folders(top)
    in_progress = _in_progress(folders)
    try:
        async with asyncio.timeout(limit):
            filters = await _foreign_filters(root)
            if filters is None:
                return _from_files(folders, in_progress)
            # Submodules are looked at from outside only: git would run itself in them, under their own configuration.
            status = ("status", "--porcelain=v2", "--branch", "-z", "--untracked-files=normal", "--no-renames")
            output = await run_git((*filters, *status, "--ignore-submodules=dirty"), root)
    except TimeoutError:
        return _from_files(folders, in_progress)
    if output.code != 0:
        return GitState(problem=_explain(output, top))
    return _parse_status(output.stdout, in_progress)


async def _foreign_filters(root: Path) -> tuple[str, ...] | None:
    """Flags that empty every clean filter the repository itself defines; None when they cannot be emptied.

    `git status` runs clean filters on files that look changed. The user's own filters (LFS) are theirs to run.
    """
    query = ("config", "-z", "--name-only", "--show-scope", "--get-regexp", r"^filter\..*\.(clean|process)$")
    output = await run_git(query, root)
    if output.code not in (0, 1):
        return () if output.code == 128 else None
    fields = output.stdout.decode(errors="surrogateescape").split("\0")
    flags: list[str] = []
    for scope, key in zip(fields[::2], fields[1::2], strict=False):
        if scope in ("local", "worktree"):
            name = key.rpartition(".")[0]
            if "=" in name:  # `-c` would cut the name there
                return None
            flags += ("-c", f"{key}=", "-c", f"{name}.required=false")
    return tuple(flags)


def _in_progress(folders: GitFolders | None) -> str:
    if folders is None:
        return ""
    return next((name for marker, name in _IN_PROGRESS.items() if (folders.own / marker).exists()), "")


def _from_files(folders: GitFolders | None, in_progress: str) -> GitState:
    try:
        head = (folders.own / "HEAD").read_text(encoding="utf-8", errors="replace").strip() if folders else ""
    except OSError:
        head = ""
    if not head or folders is None:
        return GitState(problem="git did not answer in time", counted=False)
    if not head.startswith("ref:"):
        return GitState(detached=True, head=head, in_progress=in_progress, counted=False)
    ref = head.removeprefix("ref:").strip()
    return GitState(
        branch=ref.removeprefix("refs/heads/"), head=_read_ref(folders, ref), in_progress=in_progress, counted=False
    )


def _read_ref(folders: GitFolders, ref: str) -> str:
    try:
        return (folders.common / ref).read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        pass
    try:
        packed = (folders.common / "packed-refs").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return next((line.split(" ")[0] for line in packed.splitlines() if line.endswith(f" {ref}")), "")


def _explain(output: GitOutput, top: Path) -> str:
    if b"dubious ownership" in output.stderr:
        return f"git refuses {top}, which belongs to another user (git config --global --add safe.directory {top})"
    if b"not a git repository" in output.stderr:
        return "not a git repository (its .git is damaged)"
    return f"git status failed: {output.error}"


def _parse_status(stdout: bytes, in_progress: str) -> GitState:
    headers: dict[str, str] = {}
    staged = modified = untracked = conflicted = 0
    for entry in stdout.decode("utf-8", "surrogateescape").split("\0"):
        match entry[:2]:
            case "# ":
                name, _, value = entry[2:].partition(" ")
                headers[name] = value
            case "1 " | "2 ":
                staged += entry[2] != "."
                modified += entry[3] != "."
            case "? ":
                untracked += 1
            case "u ":
                conflicted += 1
            case _:
                pass
    branch, head = headers.get("branch.head", ""), headers.get("branch.oid", "")
    ahead, _, behind = headers.get("branch.ab", "").partition(" ")
    return GitState(
        branch="" if branch == "(detached)" else branch,
        detached=branch == "(detached)",
        head="" if head == "(initial)" else head,
        staged=staged,
        modified=modified,
        untracked=untracked,
        conflicted=conflicted,
        in_progress=in_progress,
        upstream=headers.get("branch.upstream", ""),
        ahead=int(ahead) if ahead else None,
        behind=-int(behind) if behind else None,
    )

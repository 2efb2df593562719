"""The user's repository as commits need it: fit for one, and git's answers about it as values."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from kimi_code.errors import KimiError
from kimi_code.repo import git, git_state
from kimi_code.repo.git import GitFolders, GitOutput
from kimi_code.values import frozen

MODES = {"file": "100644", "executable": "100755", "symlink": "120000"}
"""Git's modes of files."""


class CommitError(KimiError):
    """No commit was made, and the repository is as it was; the text says why."""


@frozen
class Blob:
    """A file as git keeps it."""

    mode: str
    id: str

    @property
    def is_file(self) -> bool:
        return self.mode in MODES.values()


@frozen
class Repository:
    """The user's repository around a working tree; commits go on HEAD, or on another `branch`."""

    top: Path
    folders: GitFolders
    branch: str = ""

    async def run(self, *args: str, index: Path | None = None, input: bytes | None = None) -> GitOutput:
        env = {"GIT_LITERAL_PATHSPECS": "1", **own_identity()}
        if index is not None:
            env["GIT_INDEX_FILE"] = str(index)
        return await git.run_git(args, self.top, env, input)

    async def ask(self, *args: str, index: Path | None = None, input: bytes | None = None) -> bytes:
        output = await self.run(*args, index=index, input=input)
        if output.code != 0:
            raise CommitError(f"git {args[0]} failed: {output.error}.")
        return output.stdout


def own_identity() -> dict[str, str]:
    """Who the caller's environment says the user is; `environment` leaves it out with all else of git's."""
    return {
        name: value
        for name, value in os.environ.items()
        if name.startswith(("GIT_AUTHOR_", "GIT_COMMITTER_")) and not name.endswith("_DATE")
    }


async def open_repository(start: Path, *, branch: str = "") -> Repository:
    """The repository around `start`, fit for a commit (on `branch`); raises CommitError that says why not.

    A branch is a new one, or one whose last commit is ours: so the turns of a session follow each other on it.
    """
    top = git.find_root(start)
    folders = git.find_folders(top) if top else None
    if top is None or folders is None:
        raise CommitError(f"There is no git repository around {start}.", hint="`git init` makes one.")
    repository = Repository(top, folders)
    state = await git_state.state(top)
    if state.problem:
        raise CommitError(f"{top}: {state.problem}.")
    if state.in_progress or state.conflicted:
        what = f"a {state.in_progress} is in progress" if state.in_progress else "there are unresolved conflicts"
        raise CommitError(f"Nothing can be committed in {top}: {what}.", hint="Finish it first, or leave out --commit.")
    await _check_identity(repository)
    if not branch or branch == await branch_of(repository):
        return repository
    await _check_branch(repository, branch)
    return replace(repository, branch=branch)


async def _check_identity(repository: Repository) -> None:
    for role in ("AUTHOR", "COMMITTER"):
        # Git would else make up an address from the names of the user and the machine.
        output = await repository.run("-c", "user.useConfigOnly=true", "var", f"GIT_{role}_IDENT")
        if output.code != 0:
            raise CommitError(
                "Git does not know who you are, so nothing can be committed in your name.",
                hint='git config --global user.name "Your Name"; git config --global user.email you@example.com',
            )


async def _check_branch(repository: Repository, branch: str) -> None:
    if (await repository.run("check-ref-format", "--branch", branch)).code != 0 or branch.startswith("@"):
        raise CommitError(f"{branch!r} is no name for a branch.", hint="Give another: --branch NAME.")
    tip = await tip_of(repository, branch)
    if not tip:
        return
    other = "Give the name of a new one: --branch NAME."
    signed = await repository.ask("log", "-1", "--format=%(trailers:key=Generated-by,valueonly)", tip)
    if not signed.startswith(b"kimi-code "):
        raise CommitError(f"The branch {branch} exists already, and its last commit is not kimi-code's.", hint=other)
    trees = (await repository.ask("worktree", "list", "--porcelain")).decode(errors="replace").split("\n\n")
    held = next((tree for tree in trees if f"branch refs/heads/{branch}" in tree.split("\n")), None)
    if held is not None:
        folder = held.partition("\n")[0].removeprefix("worktree ")
        raise CommitError(f"The branch {branch} is checked out in {folder}.", hint=f"Work there, or: {other}")


async def tip_of(repository: Repository, branch: str) -> str:
    """The commit that a branch points to; "" where there is no such branch."""
    output = await repository.run("rev-parse", "-q", "--verify", f"refs/heads/{branch}^{{commit}}")
    return output.stdout.decode().strip() if output.code == 0 else ""


async def branch_of(repository: Repository) -> str:
    """The branch that is checked out; "" when HEAD is detached."""
    output = await repository.run("symbolic-ref", "-q", "--short", "HEAD")
    return output.stdout.decode(errors="replace").strip() if output.code == 0 else ""


def parse_tree(listing: bytes) -> dict[str, Blob]:
    """What `ls-tree -r -z` lists, by path."""
    found: dict[str, Blob] = {}
    for line in listing.split(b"\0"):
        facts, _, name = line.partition(b"\t")
        if name:
            mode, _, blob = facts.decode().split(" ")
            found[os.fsdecode(name)] = Blob(mode, blob)
    return found


def parse_index(listing: bytes) -> tuple[dict[str, Blob], Sequence[str]]:
    """What `ls-files -z --stage` lists: the entries by path, and the paths in conflict."""
    found: dict[str, Blob] = {}
    unmerged: list[str] = []
    for line in listing.split(b"\0"):
        facts, _, name = line.partition(b"\t")
        if name:
            mode, blob, stage = facts.decode().split(" ")
            if stage == "0":
                found[os.fsdecode(name)] = Blob(mode, blob)
            else:
                unmerged.append(os.fsdecode(name))
    return found, unmerged

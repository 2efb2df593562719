"""A commit of exactly what the agent changed: never of the user's other changes, nor of what they staged.

A file that had uncommitted changes before the turn is committed as HEAD's version with the agent's hunks on top; where
they do not go on top cleanly it is left out, and said. The index is as the user left it, but for those files.
"""

import contextlib
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from pathlib import Path
from uuid import uuid4

from kimi_code.errors import KimiError
from kimi_code.repo import git, git_state
from kimi_code.repo.git import GitFolders, GitOutput
from kimi_code.repo.hooks import Hooks
from kimi_code.repo.publish import IndexChanged, PublishError, publish
from kimi_code.repo.trees import Entry, Trees
from kimi_code.values import frozen

_MODES = {"file": "100644", "executable": "100755", "symlink": "120000"}
_STALE = 86_400  # seconds
_ATTEMPTS = 3  # at an index that editors refresh meanwhile


class CommitError(KimiError):
    """No commit was made, and the repository is as it was; the text says why."""


@frozen
class Blob:
    """A file as git keeps it."""

    mode: str
    id: str

    @property
    def is_file(self) -> bool:
        return self.mode in _MODES.values()


@frozen
class Repository:
    """The user's repository around a working tree; commits go on HEAD, or on another `branch`."""

    top: Path
    folders: GitFolders
    branch: str = ""

    async def run(self, *args: str, index: Path | None = None, input: bytes | None = None) -> GitOutput:
        env = {"GIT_LITERAL_PATHSPECS": "1", **_own_identity()}
        if index is not None:
            env["GIT_INDEX_FILE"] = str(index)
        return await git.run_git(args, self.top, env, input)

    async def ask(self, *args: str, index: Path | None = None, input: bytes | None = None) -> bytes:
        output = await self.run(*args, index=index, input=input)
        if output.code != 0:
            raise CommitError(f"git {args[0]} failed: {output.error}.")
        return output.stdout


@frozen
class Plan:
    """What a commit would hold, worked out before anything is done.

    `entries` are the paths that differ from `parent` ("" before the first commit), None where the file goes; `staged`
    is what the user's index has there afterwards, `indexed` what it has now. `left_out` says why, path by path. `tip`
    is where another branch stands, "" for a new one.
    """

    parent: str
    entries: Mapping[str, Blob | None] = field(default_factory=dict[str, Blob | None])
    staged: Mapping[str, Blob | None] = field(default_factory=dict[str, Blob | None])
    indexed: Mapping[str, Blob | None] = field(default_factory=dict[str, Blob | None])
    left_out: Mapping[str, str] = field(default_factory=dict[str, str])
    tip: str = ""


@frozen
class Created:
    """The commit, the branch it is on ("" when HEAD is detached), and what should be said about its hooks."""

    id: str
    branch: str
    message: str
    notes: tuple[str, ...] = ()


def _own_identity() -> dict[str, str]:
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
    if not branch or branch == await _branch(repository):
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
    tip = await _tip(repository, branch)
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


async def _tip(repository: Repository, branch: str) -> str:
    """The commit that a branch points to; "" where there is no such branch."""
    output = await repository.run("rev-parse", "-q", "--verify", f"refs/heads/{branch}^{{commit}}")
    return output.stdout.decode().strip() if output.code == 0 else ""


# --- What goes into it ------------------------------------------------------------------------------------------------


async def make_plan(repository: Repository, trees: Trees, before: str, after: str) -> Plan:
    """What of `before` -> `after` (snapshots of the working tree) can be committed on top of HEAD, or of the branch."""
    tip = await _tip(repository, repository.branch) if repository.branch else ""
    head = await repository.run("rev-parse", "-q", "--verify", "HEAD^{commit}")
    parent = tip or (head.stdout.decode().strip() if head.code == 0 else "")
    paths = [change.path for change in await trees.changes(before, after, renames=False)]
    old, new = await trees.files(before, paths), await trees.files(after, paths)
    heads = _parse_tree(await repository.ask("ls-tree", "-r", "-z", "--full-tree", parent)) if parent else {}
    index, unmerged = _parse_index(await repository.ask("ls-files", "-z", "--stage"))
    entries: dict[str, Blob | None] = {}
    staged: dict[str, Blob | None] = {}
    left_out: dict[str, str] = {}
    for path in paths:
        try:
            if path in unmerged and not repository.branch:
                raise _LeftOut("is in conflict in the index")
            known = heads.get(path)
            blob = await _committed(repository, path, known, old.get(path), new.get(path))
            # Another branch leaves the index alone.
            staged[path] = blob if repository.branch else await _staged(repository, known, index.get(path), blob)
            if blob != known:
                entries[path] = blob
        except _LeftOut as reason:
            left_out[path] = str(reason)
    return Plan(parent, entries, staged, {path: index.get(path) for path in staged}, left_out, tip)


class _LeftOut(Exception):
    """This file cannot be part of the commit; the text is the end of a sentence that begins with its name."""


async def _committed(
    repository: Repository, path: str, head: Blob | None, old: Entry | None, new: Entry | None
) -> Blob | None:
    """The file as the commit has it."""
    if head is not None and not head.is_file:
        raise _LeftOut("is a submodule")
    if head is None and old is not None:
        raise _LeftOut("had not been committed before this turn")
    if head is not None and old is None:
        raise _LeftOut("had been removed before this turn, which is not committed")
    if old is None or head is None:
        return None if new is None else await _store(repository, path, new)
    was = await _store(repository, path, old)
    # What was committed before its attributes asked for other line ends stays so.
    exact = was != head and await _store(repository, path, old, exact=True) == head
    if was == head or exact:
        return None if new is None else await _store(repository, path, new, exact=exact)
    if new is None:
        raise _LeftOut("was removed together with changes that were not committed")
    now = await _store(repository, path, new)
    merged = await _merged(repository, head.id, was.id, now.id)
    if merged is None:
        raise _LeftOut("had uncommitted changes where the agent's are")
    return Blob(now.mode if now.mode != was.mode else head.mode, merged)


async def _staged(repository: Repository, head: Blob | None, indexed: Blob | None, blob: Blob | None) -> Blob | None:
    """What the user's index has for the file once `blob` is committed: the same, and what they had staged."""
    if indexed in (head, blob):
        return blob
    if indexed is None or head is None or blob is None:
        raise _LeftOut("has staged changes that do not go with the agent's")
    merged = await _merged(repository, indexed.id, head.id, blob.id)
    if merged is None:
        raise _LeftOut("has staged changes where the agent's are")
    return Blob(indexed.mode if indexed.mode != head.mode else blob.mode, merged)


async def _store(repository: Repository, path: str, entry: Entry, *, exact: bool = False) -> Blob:
    """Keep a file's content as `git add` would: through the user's own filters and line ends, unless `exact`."""
    how = ("--no-filters",) if exact or entry.mode == "symlink" else (f"--path={path}",)
    output = await repository.run("hash-object", "-w", "--stdin", *how, input=entry.content)
    if output.code != 0:
        if git.says_no_room(output.error):
            raise CommitError(f"{path} cannot be stored by git: {output.error}.")
        raise _LeftOut(f"cannot be stored by git ({output.error})")
    return Blob(_MODES[entry.mode], output.stdout.decode().strip())


async def _merged(repository: Repository, ours: str, base: str, theirs: str) -> str | None:
    """The blob with both changes of `base`; None where they touch the same lines, or are binary."""
    if base == theirs:
        return ours
    if ours in (base, theirs):
        return theirs
    with tempfile.TemporaryDirectory(prefix="kimi-code-merge-") as name:
        for file, blob in (("ours", ours), ("base", base), ("theirs", theirs)):
            Path(name, file).write_bytes(await repository.ask("cat-file", "blob", blob))
        output = await git.run_git(("merge-file", "-p", "-q", "ours", "base", "theirs"), Path(name))
    if output.code != 0:
        return None
    stored = await repository.ask("hash-object", "-w", "--stdin", "--no-filters", input=output.stdout)
    return stored.decode().strip()


# --- Making it ------------------------------------------------------------------------------------------------------


async def create(repository: Repository, plan: Plan, message: str) -> Created:
    """Make the commit, on HEAD or on the repository's other branch. The user's commit hooks run.

    Raises CommitError or HookError; then the repository is as it was.
    """
    _sweep(repository)
    index = repository.folders.own / f"kimi-code-{uuid4().hex}.index"
    try:
        return await _create(repository, plan, message, index)
    except PublishError as error:
        raise CommitError(error.message, hint=error.hint) from None
    finally:
        for path in (index, index.with_name(f"{index.name}.lock")):
            path.unlink(missing_ok=True)


def _sweep(repository: Repository) -> None:
    """Remove what a killed process left: private indexes, long out of use."""
    for path in repository.folders.own.glob("kimi-code-*.index*"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > _STALE:
                path.unlink()


async def _create(repository: Repository, plan: Plan, message: str, index: Path) -> Created:
    hooks = await Hooks.find(repository.top, repository.folders, {"GIT_INDEX_FILE": str(index), **_own_identity()})
    hooks.refuse_changed(plan.entries)
    await repository.ask("read-tree", plan.parent or "--empty", index=index)
    await _put(repository, index, plan.entries)
    await repository.run("update-index", "-q", "--refresh", index=index)
    tree = await _tree(repository, index)
    await hooks.run("pre-commit")
    entries = await _after_hook(repository, plan, tree, index)
    message = await hooks.edit_message(message)
    author = ("-c", "i18n.commitEncoding=UTF-8", "-c", "user.useConfigOnly=true")
    parents = ("-p", plan.parent) if plan.parent else ()
    committed = await _tree(repository, index)
    made = await repository.ask(*author, "commit-tree", committed, *parents, input=message.encode())
    commit = made.decode().strip()
    subject = message.partition("\n")[0]
    if repository.branch:
        await publish(repository.folders, f"refs/heads/{repository.branch}", commit, plan.tip, f"commit: {subject}")
    else:
        await _move_head(repository, plan, entries, commit, subject)
    notes = await hooks.afterwards("post-commit")
    return Created(commit, repository.branch or await _branch(repository), message, notes)


async def _after_hook(repository: Repository, plan: Plan, tree: str, index: Path) -> Mapping[str, Blob | None]:
    """The user's index entries, with what the pre-commit hook made of the files, which may be those alone."""
    hooked = await _tree(repository, index)
    if hooked == tree:
        return plan.staged
    names = await repository.ask("diff-tree", "-r", "-z", "--name-only", "--no-renames", tree, hooked)
    changed = [os.fsdecode(name) for name in names.split(b"\0") if name]
    files = _parse_tree(await repository.ask("ls-tree", "-r", "-z", "--full-tree", hooked))
    for path in changed:
        if path not in plan.entries:
            raise CommitError(f"The pre-commit hook added {path}, which is not of this turn; nothing was committed.")
        if plan.staged[path] != plan.entries[path]:
            raise CommitError(f"The pre-commit hook changed {path}, of which you staged changes; nothing was done.")
    return {**plan.staged, **{path: files.get(path) for path in changed}}


async def _move_head(
    repository: Repository, plan: Plan, entries: Mapping[str, Blob | None], commit: str, subject: str
) -> None:
    fresh = repository.folders.own / f"kimi-code-{uuid4().hex}.index"
    theirs = repository.folders.own / "index"
    try:
        for attempt in range(_ATTEMPTS):
            before = _bytes_of(theirs)
            fresh.unlink(missing_ok=True)
            if before is not None:
                fresh.write_bytes(before)
            current, _ = _parse_index(await repository.ask("ls-files", "-z", "--stage", index=fresh))
            if any(current.get(path) != blob for path, blob in plan.indexed.items()):
                raise CommitError("The index changed while the commit was made; nothing was committed.")
            await _put(repository, fresh, entries)
            await repository.run("update-index", "-q", "--refresh", index=fresh)
            kind = "commit" if plan.parent else "commit (initial)"
            try:
                await publish(
                    repository.folders, "HEAD", commit, plan.parent, f"{kind}: {subject}", index=fresh, before=before
                )
                return
            except IndexChanged:
                if attempt == _ATTEMPTS - 1:
                    raise
    finally:
        for path in (fresh, fresh.with_name(f"{fresh.name}.lock")):
            path.unlink(missing_ok=True)


def _bytes_of(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


async def _put(repository: Repository, index: Path, entries: Mapping[str, Blob | None]) -> None:
    if entries:
        none = "0" * next((len(blob.id) for blob in entries.values() if blob), len(await _tree(repository, index)))
        lines = [f"{blob.mode} {blob.id}\t{path}" if blob else f"0 {none}\t{path}" for path, blob in entries.items()]
        data = b"".join(os.fsencode(line) + b"\0" for line in lines)
        await repository.ask("update-index", "-z", "--index-info", index=index, input=data)


async def _tree(repository: Repository, index: Path) -> str:
    return (await repository.ask("write-tree", index=index)).decode().strip()


async def _branch(repository: Repository) -> str:
    output = await repository.run("symbolic-ref", "-q", "--short", "HEAD")
    return output.stdout.decode(errors="replace").strip() if output.code == 0 else ""


# --- Reading git's answers ------------------------------------------------------------------------------------------


def _parse_tree(listing: bytes) -> dict[str, Blob]:
    found: dict[str, Blob] = {}
    for line in listing.split(b"\0"):
        facts, _, name = line.partition(b"\t")
        if name:
            mode, _, blob = facts.decode().split(" ")
            found[os.fsdecode(name)] = Blob(mode, blob)
    return found


def _parse_index(listing: bytes) -> tuple[dict[str, Blob], Sequence[str]]:
    """The entries, and the paths in conflict."""
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

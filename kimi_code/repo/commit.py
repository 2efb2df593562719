"""A commit of exactly what was planned; the user's hooks run, and the index is as they left it, but for its files."""

import contextlib
import os
import time
from collections.abc import Mapping
from pathlib import Path
from uuid import uuid4

from kimi_code.repo.commit_plan import Plan
from kimi_code.repo.hooks import Hooks
from kimi_code.repo.publish import IndexChanged, PublishError, publish
from kimi_code.repo.repository import Blob, CommitError, Repository, branch_of, own_identity, parse_index, parse_tree
from kimi_code.values import frozen

_STALE = 86_400  # seconds
_ATTEMPTS = 3  # at an index that editors refresh meanwhile


@frozen
class Created:
    """The commit, the branch it is on ("" when HEAD is detached), and what should be said about its hooks."""

    id: str
    branch: str
    message: str
    notes: tuple[str, ...] = ()


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
    hooks = await Hooks.find(repository.top, repository.folders, {"GIT_INDEX_FILE": str(index), **own_identity()})
    hooks.refuse_changed(plan.entries)
    await repository.ask("read-tree", plan.parent or "--empty", index=index)
    await _put(repository, index, plan.entries)
    await repository.run("update-index", "-q", "--refresh", index=index)
    planned = await _write_tree(repository, index)
    await hooks.run("pre-commit")
    hooked = await _written_again(repository, index, planned)
    entries = await _after_hook(repository, plan, planned.tree, hooked.tree)
    message = await hooks.edit_message(message)
    author = ("-c", "i18n.commitEncoding=UTF-8", "-c", "user.useConfigOnly=true")
    parents = ("-p", plan.parent) if plan.parent else ()
    committed = await _written_again(repository, index, hooked)
    made = await repository.ask(*author, "commit-tree", committed.tree, *parents, input=message.encode())
    commit = made.decode().strip()
    subject = message.partition("\n")[0]
    if repository.branch:
        await publish(repository.folders, f"refs/heads/{repository.branch}", commit, plan.tip, f"commit: {subject}")
    else:
        await _move_head(repository, plan, entries, commit, subject)
    notes = await hooks.afterwards("post-commit")
    return Created(commit, repository.branch or await branch_of(repository), message, notes)


async def _after_hook(repository: Repository, plan: Plan, tree: str, hooked: str) -> Mapping[str, Blob | None]:
    """The user's index entries, with what the pre-commit hook made of the files, which may be those alone."""
    if hooked == tree:
        return plan.staged
    names = await repository.ask("diff-tree", "-r", "-z", "--name-only", "--no-renames", tree, hooked)
    changed = [os.fsdecode(name) for name in names.split(b"\0") if name]
    files = parse_tree(await repository.ask("ls-tree", "-r", "-z", "--full-tree", hooked))
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
            current, _ = parse_index(await repository.ask("ls-files", "-z", "--stage", index=fresh))
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
        ids = [blob.id for blob in entries.values() if blob]
        none = "0" * len(ids[0] if ids else (await _write_tree(repository, index)).tree)
        lines = [f"{blob.mode} {blob.id}\t{path}" if blob else f"0 {none}\t{path}" for path, blob in entries.items()]
        data = b"".join(os.fsencode(line) + b"\0" for line in lines)
        await repository.ask("update-index", "-z", "--index-info", index=index, input=data)


@frozen
class _Written:
    """The tree that an index made, and what the index was by then."""

    tree: str
    index: bytes | None


async def _write_tree(repository: Repository, index: Path) -> _Written:
    tree = (await repository.ask("write-tree", index=index)).decode().strip()
    return _Written(tree, _bytes_of(index))


async def _written_again(repository: Repository, index: Path, last: _Written) -> _Written:
    """The same after hooks, which seldom touch the index."""
    return last if _bytes_of(index) == last.index else await _write_tree(repository, index)

"""What a commit of the agent's changes would hold: never the user's other changes, nor what they staged.

A file that had uncommitted changes before the turn is committed as HEAD's version with the agent's hunks on top; where
they do not go on top cleanly it is left out, and said.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path

from kimi_code.repo import git
from kimi_code.repo.repository import MODES, Blob, CommitError, Repository, parse_index, parse_tree, tip_of
from kimi_code.repo.trees import Entry, Trees
from kimi_code.values import frozen


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


async def make_plan(repository: Repository, trees: Trees, before: str, after: str) -> Plan:
    """What of `before` -> `after` (snapshots of the working tree) can be committed on top of HEAD, or of the branch."""
    tip = await tip_of(repository, repository.branch) if repository.branch else ""
    head = await repository.run("rev-parse", "-q", "--verify", "HEAD^{commit}")
    parent = tip or (head.stdout.decode().strip() if head.code == 0 else "")
    paths = [change.path for change in await trees.changes(before, after, renames=False)]
    old, new = await trees.files(before, paths), await trees.files(after, paths)
    heads = parse_tree(await repository.ask("ls-tree", "-r", "-z", "--full-tree", parent)) if parent else {}
    index, unmerged = parse_index(await repository.ask("ls-files", "-z", "--stage"))
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
    return Blob(MODES[entry.mode], output.stdout.decode().strip())


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

"""Trees and commits in a private store: read, change, compare. No working tree is ever touched."""

import os
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import field
from pathlib import Path
from typing import Literal
from uuid import uuid4

from kimi_code.events import FileChange
from kimi_code.repo import listings, loose
from kimi_code.repo.batch import Batch
from kimi_code.repo.checkpoints.raw_diff import parse_diff
from kimi_code.repo.git import run_git
from kimi_code.repo.shadow import Shadow, ShadowError
from kimi_code.values import frozen

Mode = Literal["file", "executable", "symlink"]

MODES: Mapping[str, Mode] = {"100644": "file", "100755": "executable", "120000": "symlink"}
"""What git's numbers say."""

_NUMBERS: Mapping[Mode, str] = {mode: number for number, mode in MODES.items()}
_KNOWN = 5_000  # trees whose listings are remembered
_DIFF = ("diff-tree", "-r", "-z", "--raw", "--numstat", "--no-ext-diff", "--no-textconv")
_FEW = 100  # paths that are asked for one by one; for more the whole tree is listed
# Who made a commit is told by its message: these are never the user's.
_NAME, _EMAIL = "kimi-code", "kimi-code@localhost"
_IDENTITY = {
    "GIT_AUTHOR_NAME": _NAME,
    "GIT_AUTHOR_EMAIL": _EMAIL,
    "GIT_COMMITTER_NAME": _NAME,
    "GIT_COMMITTER_EMAIL": _EMAIL,
}


@frozen
class Entry:
    """A file as a tree holds it. A symlink's content is its target."""

    mode: Mode
    content: bytes


@frozen
class Batches:
    """Git processes that stay with a store as long as many ask it: for objects, and for differences of trees.

    `mark` is a line that ends an answer about differences: what names no trees is given back as it is.
    """

    objects: Batch
    differences: Batch
    mark: bytes

    async def close(self) -> None:
        """End them."""
        await self.objects.close()
        await self.differences.close()


@frozen
class Trees:
    """The store. `tree` arguments are ids of trees or of commits, which stand for theirs. Raises ShadowError."""

    store: Shadow
    batches: Batches | None = field(default=None, compare=False, repr=False)
    _trees: dict[str, str] = field(default_factory=dict[str, str], compare=False, repr=False)
    _listings: dict[str, listings.Listing] = field(
        default_factory=dict[str, listings.Listing], compare=False, repr=False
    )

    async def read(self, tree: str, path: str) -> Entry | None:
        """The file at `path` (relative to the top, forward slashes); None when there is none."""
        return (await self.files(tree, (path,))).get(path)

    async def files(self, tree: str, paths: Iterable[str]) -> dict[str, Entry]:
        """Those of the paths that are files in the tree, with their content."""
        found = await self._entries(tree, paths)
        contents = await self._contents({blob for _, blob in found.values()})
        return {path: Entry(mode, contents[blob]) for path, (mode, blob) in found.items()}

    async def modes(self, tree: str, paths: Iterable[str]) -> dict[str, Mode]:
        """What those of the paths are that are files in the tree."""
        return {path: mode for path, (mode, _) in (await self._entries(tree, paths)).items()}

    async def edit(self, tree: str, files: Mapping[str, Entry | None]) -> str:
        """A tree like `tree` but with these files (None: without them): how a pick of hunks becomes a result."""
        with tempfile.TemporaryDirectory(dir=self.store.folder, prefix="edit-") as name:
            index = Path(name, "index")
            await self.ask("read-tree", tree, index=index)
            lines = [f"0 {'0' * 40}\t{path}" for path, entry in files.items() if entry is None]
            kept = [(path, entry) for path, entry in files.items() if entry is not None]
            blobs = await self._store([entry.content for _, entry in kept], Path(name))
            lines += [f"{_NUMBERS[entry.mode]} {blob}\t{path}" for (path, entry), blob in zip(kept, blobs, strict=True)]
            update = ("update-index", "--replace", "-z", "--index-info")
            await self.ask(*update, index=index, input=b"".join(os.fsencode(line) + b"\0" for line in lines))
            return (await self.ask("write-tree", "--missing-ok", index=index)).decode().strip()

    async def commit(self, tree: str, message: str, *parents: str) -> str:
        """A commit of `tree`; the user's objects may be parents."""
        tree = await self.tree(tree)
        if not all(map(loose.is_id, (tree, *parents))):
            words = [word for parent in parents for word in ("-p", parent)]
            return (await self.ask("commit-tree", tree, *words, input=message.encode())).decode().strip()
        who = f"{_NAME} <{_EMAIL}> {int(time.time())} +0000"
        lines = [f"tree {tree}", *(f"parent {parent}" for parent in dict.fromkeys(parents))]
        lines += [f"author {who}", f"committer {who}", "", message if message.endswith("\n") else f"{message}\n"]
        try:
            return loose.write(self.store.folder, b"commit", "\n".join(lines).encode())
        except OSError as error:
            raise ShadowError(f"a commit cannot be kept: {error.strerror}") from error

    async def tree(self, commit: str) -> str:
        """The tree's id of a commit (or of a tree)."""
        known = self._trees.get(commit) or loose.tree_of(self.store.folder, commit)
        if known is not None:
            return known
        tree = (await self.ask("rev-parse", "--verify", "-q", f"{commit}^{{tree}}")).decode().strip()
        if loose.is_id(commit):
            self._trees[commit] = tree  # a borrowed one, such as what a hundred tasks start from
        return tree

    def note(self, commit: str, tree: str) -> None:
        """Whoever knows the tree's id of a commit (or a tree) saves us the question."""
        self._trees[commit] = tree

    async def changes(self, before: str, after: str, *, renames: bool = True) -> tuple[FileChange, ...]:
        """The files that differ, paths relative to the top."""
        if self.batches is not None and not renames:
            asked, mark = f"{await self.tree(before)} {await self.tree(after)}\n".encode(), self.batches.mark
            told = await self.batches.differences.ask(asked + mark, lambda said: said.endswith(mark))
            return parse_diff(told.removesuffix(mark).partition(b"\n")[2], ".")
        found = "-M" if renames else "--no-renames"
        return parse_diff(await self.ask(*_DIFF, found, f"{before}^{{tree}}", f"{after}^{{tree}}"), ".")

    async def merge(self, base: str, ours: str, theirs: str) -> str | None:
        """The tree of what both sides made of `base`; None where git must be asked, as where both changed a file."""
        trees = [await self.tree(each) for each in (base, ours, theirs)]
        return await listings.merge(self, *trees) if self._is_at_hand(*trees) else None

    async def find(self, tree: str, path: str) -> listings.Item | None:
        """What is at a path. For a store with batches."""
        return await listings.find(self, await self.tree(tree), path)

    async def put(self, tree: str, files: Mapping[str, Entry], gone: Iterable[str] = ()) -> str:
        """A tree like `tree` but without `gone`, files or folders, and then with `files`. For a store with batches."""
        try:
            changes = dict.fromkeys(gone) | {
                path: listings.Item(_NUMBERS[entry.mode], loose.write(self.store.folder, b"blob", entry.content))
                for path, entry in files.items()
            }
            return await listings.edit(self, await self.tree(tree), changes)
        except OSError as error:
            raise ShadowError(f"a file cannot be kept: {error.strerror}") from error

    async def listing(self, tree: str) -> listings.Listing:
        """What lies in a tree's top folder. For a store with batches."""
        known = self._listings.get(tree)
        if known is None:
            if not self._is_at_hand(tree):
                raise ShadowError(f"{tree} is no tree that can be read without git")
            kind, content = loose.read(self.store.folder, tree) or await self._object(tree)
            if kind != b"tree":
                raise ShadowError(f"{tree} is no tree")
            known = listings.parse(content)
            if len(self._listings) >= _KNOWN:
                self._listings.clear()
            self._listings[tree] = known
        return known

    def keep(self, listing: listings.Listing) -> str:
        """Keep a tree of these; returns its id. Raises OSError."""
        id = loose.write(self.store.folder, b"tree", listings.render(listing))
        self._listings[id] = listing
        return id

    def _is_at_hand(self, *ids: str) -> bool:
        return self.batches is not None and all(map(loose.is_id, ids))

    async def _object(self, id: str) -> tuple[bytes, bytes]:
        assert self.batches is not None
        answer = await self.batches.objects.ask(f"{id}\n".encode(), _is_whole_object)
        head, _, content = answer.partition(b"\n")
        facts = head.split(b" ")
        if len(facts) != 3:
            raise ShadowError(f"the object {id} is gone from the repository")
        return facts[1], content[:-1]

    async def patch(self, before: str, after: str) -> bytes:
        """The difference as `git apply` takes it, binary files included."""
        diff = ("diff-tree", "-r", "-p", "--binary", "--full-index", "-M", "--no-ext-diff", "--no-textconv")
        return await self.ask(*diff, f"{before}^{{tree}}", f"{after}^{{tree}}")

    async def ask(self, *args: str, index: Path | None = None, input: bytes | None = None) -> bytes:
        """The output of a git command on the store that must succeed."""
        code, stdout, error = await self.run(*args, index=index, input=input)
        if code != 0:
            raise ShadowError(error)
        return stdout

    async def run(self, *args: str, index: Path | None = None, input: bytes | None = None) -> tuple[int, bytes, str]:
        """Exit code, output and first complaint of a git command on the store, where there is no working tree."""
        output = await run_git(args, self.store.folder, _environment(self.store, index), input)
        return output.code, output.stdout, output.error

    async def _entries(self, tree: str, paths: Iterable[str]) -> dict[str, tuple[Mode, bytes]]:
        wanted = frozenset(paths)
        if not wanted:
            return {}
        named = sorted(wanted) if len(wanted) <= _FEW else ()
        listing = await self.ask("ls-tree", "-z", "--full-tree", *(() if named else ("-r",)), tree, "--", *named)
        found: dict[str, tuple[Mode, bytes]] = {}
        for line in listing.split(b"\0"):
            facts, _, name = line.partition(b"\t")
            mode = MODES.get(facts[:6].decode())
            if mode is not None and os.fsdecode(name) in wanted:
                found[os.fsdecode(name)] = (mode, facts.split(b" ")[2])
        return found

    async def _contents(self, blobs: Iterable[bytes]) -> dict[bytes, bytes]:
        wanted = list(blobs)
        if not wanted:
            return {}
        output = await self.ask("cat-file", "--batch", input=b"".join(blob + b"\n" for blob in wanted))
        contents: dict[bytes, bytes] = {}
        at = 0
        for blob in wanted:
            end = output.index(b"\n", at)
            facts = output[at:end].split(b" ")
            if len(facts) != 3:
                raise ShadowError(f"the object {blob.decode()} is gone from the repository")
            size = int(facts[2])
            contents[blob] = output[end + 1 : end + 1 + size]
            at = end + 1 + size + 1
        return contents

    async def _store(self, contents: list[bytes], folder: Path) -> list[str]:
        if not contents:
            return []
        names: list[bytes] = []
        for number, content in enumerate(contents):
            path = folder / str(number)
            path.write_bytes(content)
            names.append(os.fsencode(path))
        output = await self.ask("hash-object", "-w", "--no-filters", "--stdin-paths", input=b"\n".join(names) + b"\n")
        return output.decode().split()


def _environment(store: Shadow, index: Path | None = None) -> dict[str, str]:
    folder = store.folder
    env = {"GIT_DIR": str(folder), "GIT_INDEX_FILE": str(index or folder / "no-index"), **_IDENTITY}
    return env | {"GIT_WORK_TREE": str(folder), "GIT_LITERAL_PATHSPECS": "1"}


def _is_whole_object(answer: bytearray) -> bool:
    """`<id> <kind> <size>\\n<content>\\n`, or a line that says that it is missing."""
    end = answer.find(b"\n")
    facts = bytes(answer[: max(end, 0)]).split(b" ")
    return end >= 0 and (len(facts) != 3 or len(answer) >= end + 1 + int(facts[2]) + 1)


def with_batches(store: Shadow) -> Trees:
    """The store, for many questions; `batches` must be closed."""
    folder, env = store.folder, _environment(store)
    objects = Batch(("cat-file", "--batch"), folder, env)
    differences = Batch((*_DIFF, "--no-renames", "--stdin"), folder, env)
    return Trees(store, Batches(objects, differences, f"end of {uuid4().hex}\n".encode()))

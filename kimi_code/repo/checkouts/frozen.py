"""A working tree's files as they were at a moment: the private store that holds them, and laying them out anew."""

import asyncio
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path

from kimi_code.repo.git import GitFolders, run_git
from kimi_code.repo.shadow import Shadow, build, files_of, make_folders
from kimi_code.repo.snapshot import Snapshot
from kimi_code.repo.trees import Trees, with_batches
from kimi_code.values import frozen

_MESSAGE = "The files as they were, uncommitted changes included\n"
_PARALLEL = ("-c", "checkout.workers=0")
# Two copies of a file differ in all that git looks at by default but for its size and time.
_CONFIG = "[core]\n\tcheckstat = minimal\n\ttrustctime = false\n\tbare = false\n"


@frozen
class Head:
    """Where the user's repository stands: `ref` is "" when detached, `commit` when nothing was committed yet.

    `tree` is the commit's.
    """

    ref: str = "refs/heads/main"
    commit: str = ""
    tree: str = ""
    packed: str = ""  # all refs, in the form of a packed-refs file
    shallow: bytes = b""


@frozen
class Moment:
    """The frozen moment. `trees` holds it, `base` is its commit, `index` an index of it whose times are the files'."""

    trees: Trees
    top: Path
    base: str
    head: Head
    index: Path
    owned: tuple[Path, ...]  # the object folders of the user's repository
    lent: tuple[Path, ...]  # where those are in a mount namespace, in which the copy covers the user's repository
    past: Path  # the object folder of the user's snapshots
    _shared: dict[tuple[tuple[Path, ...], tuple[Path, ...]], dict[str, bytes]] = field(
        default_factory=dict[tuple[tuple[Path, ...], tuple[Path, ...]], dict[str, bytes]], compare=False, repr=False
    )

    def mounts(self) -> list[str]:
        """What bwrap must mount for git to find in a copy's namespace what it finds outside."""
        words = [word for pair in zip(self.owned, self.lent, strict=True) for word in ("--ro-bind", *map(str, pair))]
        # Alternates by which borrowed folders name the user's repository would lead into the copy's own.
        store = self.trees.store.folder
        words += ["--ro-bind", str(store / "inside"), str(store / "objects" / "info")]
        return [*words, "--ro-bind", str(store / "blank"), str(self.past / "info")]

    def borrowed(self, *, mounted: bool) -> tuple[Path, ...]:
        """The object folders that a copy's repository borrows."""
        return (*(self.lent if mounted else self.owned), self.past, self.trees.store.folder / "objects")

    def make_repository(self, folder: Path, commit: str, borrowed: Sequence[Path], exclude: Sequence[Path]) -> None:
        """Write a repository at `folder` whose HEAD is at `commit`, on the user's branch."""
        make_folders(folder)
        for name, content in self._files(tuple(borrowed), tuple(exclude)).items():
            (folder / name).write_bytes(content)
        if self.head.ref:
            (folder / "HEAD").write_text(f"ref: {self.head.ref}\n", "utf-8", "surrogateescape")
            ref = folder / self.head.ref
            ref.parent.mkdir(parents=True, exist_ok=True)
            ref.write_text(f"{commit}\n")
        else:
            (folder / "HEAD").write_text(f"{commit}\n")
        shutil.copy2(self.index, folder / "index")

    def _files(self, borrowed: tuple[Path, ...], exclude: tuple[Path, ...]) -> dict[str, bytes]:
        """What all the copies' repositories have, by path."""
        if (borrowed, exclude) not in self._shared:
            store = self.trees.store
            texts = files_of(Shadow(store.folder, self.top, store.lender, store.config), exclude)
            texts["config"] += _CONFIG
            texts |= {"objects/info/alternates": alternates(borrowed), "packed-refs": self.head.packed}
            files = {name: os.fsencode(text) for name, text in texts.items()}
            files["info/attributes"] = (store.folder / "info" / "attributes").read_bytes()
            if self.head.shallow:
                files["shallow"] = self.head.shallow
            self._shared[borrowed, exclude] = files
        return self._shared[borrowed, exclude]

    async def lay_out(self, target: Path) -> None:
        """Write the files into a folder, with the times of the user's own: what builds go by. Raises ShadowError."""
        target.mkdir()
        command = ("checkout-index", "--all", "--force", f"--prefix={target}/")
        await self.trees.ask(*_PARALLEL, *command, index=self.index)
        await self._take_times(target)

    async def adjust(self, target: Path, index: Path) -> None:
        """Make files that were laid out before what they are to be now; `index` says what they are. Raises
        ShadowError."""
        store = self.trees.store
        there = Shadow(store.folder, target, None, store.config)
        await there.ask(*_PARALLEL, "read-tree", "--reset", "-u", f"{self.base}^{{tree}}", index=index)
        await self._take_times(target)

    async def _take_times(self, target: Path) -> None:
        listing = await self.trees.ask("ls-files", "-z", index=self.index)
        await asyncio.to_thread(_take_times, self.top, target, listing)


async def freeze(snapshot: Snapshot, shadow: Shadow, folder: Path, exclude: Sequence[Path]) -> Moment:
    """Make the store of a moment in `folder`. Raises ShadowError."""
    store = Shadow(folder / "store", shadow.worktree, shadow.lender, shadow.config)
    build(store, tuple(exclude))
    with (store.folder / "config").open("a", encoding="utf-8") as config:
        config.write(_CONFIG)
    owned = tuple(lenders(shadow.lender.common / "objects")) if shadow.lender else ()
    lent = tuple(store.folder / f"lent.{number}" for number, _ in enumerate(owned))
    past = shadow.folder / "objects"
    for path in (*lent, store.folder / "inside", store.folder / "blank"):
        path.mkdir()
    for place, lending in (("objects/info", owned), ("inside", lent)):
        text = alternates((*lending, past))
        (store.folder / place / "alternates").write_text(text, "utf-8", "surrogateescape")
    head = await _read_head(shadow.lender, shadow.worktree) if shadow.lender else Head()
    if head.shallow:
        (store.folder / "shallow").write_bytes(head.shallow)
    trees = with_batches(store)
    trees.note(snapshot.tree, snapshot.tree)
    if head.commit:
        trees.note(head.commit, head.tree)
    if head.commit and head.tree == snapshot.tree:
        base = head.commit
    else:
        base = await trees.commit(snapshot.tree, _MESSAGE, *([head.commit] if head.commit else []))
    index = folder / "index"
    if shadow.index.is_file():
        shutil.copy2(shadow.index, index)
    code, tree, _ = await trees.run("write-tree", "--missing-ok", index=index)
    if code != 0 or tree.decode().strip() != snapshot.tree:
        index.unlink(missing_ok=True)
        await trees.ask("read-tree", snapshot.tree, index=index)
    return Moment(trees, shadow.worktree, base, head, index, owned, lent, past)


async def _read_head(lender: GitFolders, worktree: Path) -> Head:
    async def ask(*args: str) -> str:
        output = await run_git(("--git-dir", str(lender.own), *args), worktree)
        return output.stdout.decode("utf-8", "surrogateescape").strip() if output.code == 0 else ""

    commit = tree = ""
    # As the store sees them, which knows of no replacements.
    both = ("--no-replace-objects", "rev-parse", "-q", "HEAD^{commit}", "HEAD^{tree}")
    if told := await ask(*both, "--symbolic-full-name", "HEAD"):
        commit, tree, ref = told.split("\n")
        ref = "" if ref == "HEAD" else ref
    else:
        ref = await ask("symbolic-ref", "-q", "HEAD")
    refs = await ask("for-each-ref", "--format=%(objectname) %(refname)")
    # The stash is the user's business.
    lines = [line for line in refs.splitlines() if not line.endswith(" refs/stash")]
    packed = "\n".join(("# pack-refs with: sorted ", *lines, ""))
    try:
        shallow = (lender.common / "shallow").read_bytes()
    except OSError:
        shallow = b""
    return Head(ref, commit, tree, packed, shallow)


def lenders(objects: Path) -> list[Path]:
    """An object folder and those it borrows from itself, resolved."""
    found: list[Path] = []
    waiting = [objects]
    while waiting:
        folder = Path(os.path.realpath(waiting.pop()))
        if folder in found or not folder.is_dir():
            continue
        found.append(folder)
        try:
            lines = (folder / "info" / "alternates").read_text("utf-8", "surrogateescape").splitlines()
        except OSError:
            continue
        waiting += [folder / line.strip('"') for line in lines if line and not line.startswith("#")]
    return found


def alternates(folders: Sequence[Path]) -> str:
    """The content of an `objects/info/alternates` file."""
    escapes: Mapping[str, str] = {"\\": "\\\\", '"': '\\"', "\n": "\\n"}
    lines = ("".join(escapes.get(character, character) for character in folder.as_posix()) for folder in folders)
    return "".join(f'"{line}"\n' for line in lines)


def _take_times(source: Path, target: Path, listing: bytes) -> None:
    here, there = f"{source}{os.sep}", f"{target}{os.sep}"
    for name in map(os.fsdecode, filter(None, listing.split(b"\0"))):
        try:
            status, copy = os.lstat(here + name), there + name
            if os.lstat(copy).st_mtime_ns != status.st_mtime_ns:
                os.utime(copy, ns=(status.st_atime_ns, status.st_mtime_ns), follow_symlinks=False)
        except (OSError, NotImplementedError):
            continue  # gone since; only a time is lost

"""The merge queue of a swarm: what tasks made, put onto each other in a private store. No working tree is touched."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field

from kimi_code.events import FileChange
from kimi_code.repo.merge import Conflict, Merged, merge
from kimi_code.repo.trees import Trees
from kimi_code.swarm.scope import holds
from kimi_code.values import frozen


@frozen
class Piece:
    """What one task made: `start` is the commit it began with, `commit` its files as they are to be merged."""

    task: str
    start: str
    commit: str


@frozen
class Made:
    """A task's work taken up: `piece` within its scope; `whole` has the changes `outside` it as well."""

    piece: Piece
    whole: str
    changes: tuple[FileChange, ...]
    outside: tuple[FileChange, ...] = ()


async def take_up(trees: Trees, task: str, start: str, commit: str, scope: Sequence[str]) -> Made:
    """What of `commit` lies within `scope`. Raises ShadowError.

    Where all does, `whole` is the piece's commit; else its child, so that one id tells all three.
    """
    changes = await trees.changes(start, commit, renames=False)
    outside = tuple(change for change in changes if not holds(scope, change.path))
    if not outside:
        return Made(Piece(task, start, commit), commit, changes)
    before = await trees.files(start, [change.path for change in outside])
    tree = await trees.edit(commit, {change.path: before.get(change.path) for change in outside})
    piece = Piece(task, start, await trees.commit(tree, f"{task}\n", start))
    whole = await _whole(trees, piece, commit)
    inside = tuple(change for change in changes if change not in outside)
    return Made(piece, whole, inside, outside)


async def carry_over(trees: Trees, made: Made, piece: Piece) -> str:
    """The `whole` of another piece of the same task, with what `made` has outside the scope. Raises ShadowError."""
    if not made.outside:
        return piece.commit
    paths = [change.path for change in made.outside]
    files = await trees.files(made.whole, paths)
    return await _whole(trees, piece, await trees.edit(piece.commit, {path: files.get(path) for path in paths}))


async def _whole(trees: Trees, piece: Piece, tree: str) -> str:
    return await trees.commit(tree, f"{piece.task}, with what is outside its scope\n", piece.commit)


async def recall(trees: Trees, task: str, whole: str, *, outside: bool) -> Piece:
    """The piece of a commit that `take_up` made. Raises ShadowError."""
    commit = await _parent(trees, whole) if outside else whole
    return Piece(task, await _parent(trees, commit), commit)


async def _parent(trees: Trees, commit: str) -> str:
    return (await trees.ask("rev-parse", "--verify", "-q", f"{commit}^1")).decode().strip()


@dataclass(slots=True)
class Queue:
    """The merged state: `base` with `pieces` put onto it in this order, and `head`, the commit of that."""

    trees: Trees
    base: str
    pieces: list[Piece] = field(default_factory=list[Piece])
    head: str = ""
    _starts: dict[frozenset[str], str] = field(default_factory=dict[frozenset[str], str])
    _heads: set[str] = field(default_factory=set[str])

    def __post_init__(self) -> None:
        self.head = self.head or self.base
        self._heads = {self.base, self.head}

    async def add(self, piece: Piece) -> tuple[Conflict, ...]:
        """Put one more piece on top; () when that went well, else nothing was changed. Raises ShadowError."""
        merged = await self._put(self.head, piece)
        if not merged.conflicts:
            self.head = await self.trees.commit(merged.tree, f"{piece.task}\n", self.head)
            self._heads.add(self.head)
            self.pieces.append(piece)
        return merged.conflicts

    async def _put(self, head: str, piece: Piece) -> Merged:
        """The piece on top of `head`."""
        if piece.start == head:
            return Merged(await self.trees.tree(piece.commit))
        if (tree := await self.trees.merge(piece.start, head, piece.commit)) is not None:
            return Merged(tree)
        if piece.start in self._heads and head == self.head:
            # Its start is an ancestor of both sides, so that git finds it by itself: a tenth of the processes.
            flags = ("-c", "merge.directoryRenames=false", "merge-tree", "--write-tree", "-z", "--no-messages")
            code, output, _ = await self.trees.run(*flags, head, piece.commit)
            if code == 0:
                return Merged(output.partition(b"\0")[0].decode())
        return await merge(self.trees, piece.start, head, piece.commit)

    async def without(self, task: str) -> bool:
        """Take a task's pieces out again; False, and nothing was changed, where others cannot do without them."""
        left = [piece for piece in self.pieces if piece.task != task]
        head = await self.fold(left)
        if head is None:
            return False
        self.pieces, self.head, self._heads = left, head, {self.base, head}
        self._starts.clear()
        return True

    async def start_of(self, needs: Collection[str]) -> str:
        """The commit that a task begins with: what those it needs made, and nothing else where that goes."""
        wanted = frozenset(needs)
        if wanted not in self._starts:
            pieces = [piece for piece in self.pieces if piece.task in wanted]
            commit = self.base if not pieces else self.head if pieces == self.pieces else await self.fold(pieces)
            if commit is None:
                return self.head  # they were fitted to what came before them
            self._starts[wanted] = commit
        return self._starts[wanted]

    async def fold(self, pieces: Iterable[Piece]) -> str | None:
        """`base` with these pieces alone; None where they do not go together. Raises ShadowError."""
        head = self.base
        for piece in pieces:
            merged = await merge(self.trees, piece.start, head, piece.commit)
            if merged.conflicts:
                return None
            head = await self.trees.commit(merged.tree, f"{piece.task}\n", head)
        return head

    async def heads(self) -> list[str]:
        """The commits of the merged state after each piece, in order. Raises ShadowError."""
        heads, head = list[str](), self.base
        for piece in self.pieces:
            merged = await self._put(head, piece)
            head = await self.trees.commit(merged.tree, f"{piece.task}\n", head)
            heads.append(head)
        return heads

    async def culprit(self, passes: Callable[[str], Awaitable[bool]]) -> str | None:
        """The first task in merge order with which `passes` (of a commit) no longer holds, by bisection.

        None when it does not hold of the base either: then nobody here broke it. Raises ShadowError.
        """
        if not self.pieces or not await passes(self.base):
            return None
        good, bad = 0, len(self.pieces)
        while bad - good > 1:
            middle = (good + bad) // 2
            commit = await self.fold(self.pieces[:middle])
            if commit is not None and await passes(commit):
                good = middle
            else:
                bad = middle
        return self.pieces[bad - 1].task


def describe(conflicts: Sequence[Conflict], shown: int = 12) -> str:
    """The conflicts in words, a line each."""
    lines = [f"- {conflict.path}: {conflict.kind}" for conflict in conflicts[:shown]]
    more = len(conflicts) - shown
    return "\n".join((*lines, *((f"- and {more} more",) if more > 0 else ())))

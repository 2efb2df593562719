"""What changed since a checkpoint, as diffs to pick from; and what is picked of it taken back, the way of a restore."""

from collections.abc import Collection, Mapping
from dataclasses import replace

from kimi_code.events import Diff
from kimi_code.repo.checkpoints.ledger import Ledger
from kimi_code.repo.checkpoints.states import Difference, Node, State, differences, with_changes
from kimi_code.repo.selection import Item, select
from kimi_code.repo.trees import Entry, Trees
from kimi_code.values import frozen


@frozen
class Since:
    """All that differs between checkpoint `id` and the files as they were `seen`.

    `items` are paths with what can be picked of them, `names` these paths as the person knows them.
    """

    id: str
    label: str
    seen: State
    items: tuple[Item, ...]
    names: Mapping[str, str]

    def diffs(self) -> tuple[Diff, ...]:
        """By path; hunks, and diffs without any, have the ids that `take_back` knows."""
        return tuple(replace(diff, path=self.names[item.path]) for item in self.items for diff in item.diffs())


@frozen
class Reversal:
    """`target` is the state `seen` without what is taken back; `refused` are paths that stay, with the reason."""

    target: State
    refused: Mapping[str, str]


async def look_since(ledger: Ledger, id: str) -> Since:
    """Compare checkpoint `id` with the files as they are. Raises CheckpointError and ShadowError."""
    kept = ledger.find(id)
    seen, _ = await ledger.look()
    selection = await select(Trees(ledger.shadow), kept.tree, seen.tree)
    names = {item.path: ledger.display(item.path) for item in selection.items}
    return Since(kept.id, kept.label, seen, selection.items, names)


async def take_back(ledger: Ledger, since: Since, ids: Collection[str]) -> Reversal:
    """The files as they were seen, but without the changes that `ids` name: hunks, or diffs that have none."""
    before = ledger.state(ledger.find(since.id))
    picked = [(item, item.pick(_others(item, ids))) for item in since.items if not ids_of(item).isdisjoint(ids)]
    trees = Trees(ledger.shadow)
    tree = await trees.edit(since.seen.tree, {item.path: entry for item, entry in picked})
    drafted = await differences(ledger.shadow, since.seen, State(tree, since.seen.survey))
    known = await differences(ledger.shadow, before, since.seen)
    refused: dict[str, str] = {}
    nodes: dict[str, Node | None] = {}
    for item, entry in picked:
        if entry is None and before.survey.was_ignored(item.path):
            refused[item.path] = "was there before, ignored, and is in no checkpoint"
        elif entry != item.new:
            nodes[item.path] = _node(item, entry, known.get(item.path, (None, None)), drafted.get(item.path))
    gone = {path for path, node in nodes.items() if node is None}
    empty = since.seen.survey.empty | {
        folder for folder in before.survey.empty if any(path.startswith(folder) for path in gone)
    }
    target = await with_changes(ledger.shadow, since.seen, nodes, empty, made={}, removed=())
    return Reversal(target, refused)


def ids_of(item: Item) -> set[str]:
    """What of a path can be taken back one by one."""
    return {id for diff in item.diffs() for id in ([hunk.id for hunk in diff.hunks] or [diff.id])}


def _others(item: Item, ids: Collection[str]) -> set[str]:
    return ids_of(item) - set(ids)


def _node(item: Item, entry: Entry | None, known: Difference, drafted: Difference | None) -> Node | None:
    """Wholly taken back it has its old mode too; in part, the one it has, unless that is what is taken back."""
    old, new = known
    made = drafted[1] if drafted else new
    if entry is None or entry == item.old or made is None:
        return old
    like = new if item.new is not None and entry.mode == item.new.mode else old
    return made if like is None or like.kind != "file" else replace(made, mode=like.mode)

"""What a restore would do, path by path, before anything is done; a path somebody else changed is a conflict."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from kimi_code.repo.checkpoints.report import Action, Resolve, Verb
from kimi_code.repo.checkpoints.states import Difference, Node, State, differences, folders_of, merge
from kimi_code.repo.shadow import Shadow
from kimi_code.values import frozen


@frozen
class Move:
    """A change from state `source`, as which the files are expected to be, to state `target`.

    `whole`: all files are to be as in `target`, also those that are no longer as in `source`. `by_hand` are paths that
    the user changed on the way, with git's letter for how; what is there of them is not to be lost either. `apart` are
    paths that are left as they are.
    """

    source: State
    target: State
    whole: bool = False
    by_hand: Mapping[str, str] = field(default_factory=dict[str, str])
    apart: frozenset[str] = frozenset()


@dataclass(slots=True)
class Plan:
    """What there `is` at the paths concerned, and what there is to be after all moves (`wanted`).

    `make` and `remove` are folders that are to be there (with this mode), or to go if they are empty by then; `around`
    are those that come with the files in them.
    `skipped` are files that are in no checkpoint, `unknown` those that no turn created: they stay.
    """

    state: State
    was: dict[str, Node | None] = field(default_factory=dict[str, Node | None])
    wanted: dict[str, Node | None] = field(default_factory=dict[str, Node | None])
    merged: set[str] = field(default_factory=set[str])
    make: dict[str, int] = field(default_factory=dict[str, int])
    around: dict[str, int] = field(default_factory=dict[str, int])
    remove: set[str] = field(default_factory=set[str])
    conflicts: dict[str, str] = field(default_factory=dict[str, str])
    skipped: set[str] = field(default_factory=set[str])
    unknown: set[str] = field(default_factory=set[str])

    @property
    def changes(self) -> dict[str, Node | None]:
        """What differs in the end."""
        return {path: node for path, node in self.wanted.items() if node != self.was[path] and path not in self.remove}

    @property
    def made(self) -> dict[str, int]:
        """The modes of all folders that come to be."""
        return self.around | self.make

    @property
    def empty(self) -> frozenset[str]:
        """The empty folders there are after it."""
        there = [path for path, node in self.wanted.items() if node and path not in self.remove]
        filled = {folder for path in there for folder in parents(path)}
        kept = (self.state.survey.empty | self.make.keys()) - self.remove
        return frozenset(folder for folder in kept if folder not in filled)

    def actions(self) -> tuple[Action, ...]:
        """For a person, in the order of paths."""
        found = [Action(path, self._verb(path, node)) for path, node in self.changes.items()]
        found += [Action(path, "create") for path in self.make.keys() - self.state.survey.empty]
        found += [Action(path, "delete") for path in self.remove & self.state.survey.empty]
        return tuple(sorted(found, key=lambda action: action.path))

    def _verb(self, path: str, node: Node | None) -> Verb:
        was = self.was[path]
        if path in self.merged:
            return "merge"
        if node is None:
            return "delete"
        if was is None:
            return "create"
        return "chmod" if (was.kind, was.blob) == (node.kind, node.blob) else "overwrite"


_BY_HAND = {True: "was changed by hand between turns", False: "was also changed by hand, while the turn waited for you"}


async def extend(
    plan: Plan, shadow: Shadow, now: State, move: Move, chosen: Callable[[str], bool], resolve: Resolve
) -> None:
    """Add a move to the plan, as if those planned before were done. Raises ShadowError."""
    since = await differences(shadow, move.source, now)
    wishes = await differences(shadow, move.source, move.target)
    if move.whole:
        for path, (_, target) in (await differences(shadow, now, move.target)).items():
            wishes.setdefault(path, (target, target))
    skipped = now.skipped | move.source.skipped | move.target.skipped
    for path, (source, target) in wishes.items():
        if not chosen(path) or path in move.apart or (path.endswith("/") and not (shadow.worktree / path).is_dir()):
            continue  # a folder that is to come gets its mode when it is made
        if path in skipped:
            plan.skipped.add(path)
            continue
        is_now = plan.wanted[path] if path in plan.wanted else since[path][1] if path in since else source
        plan.was.setdefault(path, is_now)
        plan.wanted[path] = await _decide(plan, shadow, path, (source, target), is_now, move, resolve)
    await _plan_folders(plan, shadow, now, move, chosen)


async def _decide(
    plan: Plan, shadow: Shadow, path: str, wish: Difference, is_now: Node | None, move: Move, resolve: Resolve
) -> Node | None:
    source, target = wish
    hand = move.by_hand.get(path, "")
    # What was ignored then was there already, unseen; whoever changed the ignore file did not create it.
    unseen = target is None and not path.endswith("/") and move.target.survey.was_ignored(path)
    if is_now == target or (is_now == source and not hand and not unseen):
        return target
    if path.endswith("/"):
        return is_now  # only a mode, and somebody has chosen another
    if target is None and (source is None or hand == "A" or unseen):
        plan.unknown.add(path)
        return is_now
    if resolve == "force":
        return target
    if resolve == "merge" and source and target and is_now and is_now != source and _mergeable(source, target, is_now):
        result = await merge(shadow, source, is_now, target)
        if result is not None:
            plan.merged.add(path)
            return result
        plan.conflicts[path] = "was changed since, and the changes clash"
        return is_now
    plan.conflicts[path] = _BY_HAND[move.whole] if is_now == source else _reason(source, is_now, target)
    return is_now


def _mergeable(*nodes: Node) -> bool:
    return all(node.kind == "file" for node in nodes)


def _reason(source: Node | None, is_now: Node | None, target: Node | None) -> str:
    if is_now is None:
        return "was deleted since"
    if source is None:
        return "was created since"
    if source.blob == is_now.blob and source.kind == is_now.kind:
        return "was changed since" if source.mode == is_now.mode else "got another mode since"
    if target is None:
        return "was changed since, and would be deleted"
    return "was changed since"


async def _plan_folders(plan: Plan, shadow: Shadow, now: State, move: Move, chosen: Callable[[str], bool]) -> None:
    emptied = {folder for path, node in plan.wanted.items() if node is None for folder in parents(path)}
    before, after = move.source.survey.empty, move.target.survey.empty
    appeared, vanished = filter(chosen, after - before), list(filter(chosen, before - after))
    leaving = set(plan.remove)
    if emptied or vanished:
        there = await folders_of(shadow, move.target)
        above = {folder for path in vanished for folder in parents(path)}
        gone = {folder for folder in (*emptied, *vanished, *above) if folder not in there}
        plan.remove |= gone
        plan.make = {folder: mode for folder, mode in plan.make.items() if folder not in gone}
    for folder in appeared:
        plan.make[folder] = 0
        plan.remove.difference_update({folder, *parents(folder)})
    coming: set[str] = set()
    for path, node in plan.wanted.items():
        if node and node.kind != "folder":  # the mode of a folder that goes keeps nothing above it
            coming.update(parents(path))
    plan.remove -= coming
    coming.update(folder for path in plan.make for folder in parents(path))
    plan.around = {folder: plan.around.get(folder, 0) for folder in coming if not (shadow.worktree / folder).is_dir()}
    back = {folder for folder in leaving - plan.remove if (shadow.worktree / folder).is_dir()}
    _plan_modes(plan, now, move.target, chosen, back)


def _plan_modes(plan: Plan, now: State, target: State, chosen: Callable[[str], bool], back: Iterable[str]) -> None:
    """The modes of folders that come to be, or come `back`: they are there, and were to go by an earlier move."""
    for folders in (plan.make, plan.around):
        for folder, mode in folders.items():
            if not mode or chosen(folder):
                folders[folder] = target.survey.mode(folder)
    for folder in back:
        plan.was.setdefault(folder, Node("folder", now.survey.mode(folder)))
        plan.wanted[folder] = Node("folder", target.survey.mode(folder))


def parents(path: str) -> Iterable[str]:
    """The folders above a path, each with a closing `/`."""
    parts = path.rstrip("/").split("/")
    return ["/".join(parts[: n + 1]) + "/" for n in range(len(parts) - 1)]


def ignored_changes(plan: Plan, target: State) -> list[str]:
    """The ignored files that differ from `target`, each with how: they are in no checkpoint."""
    looks, known = plan.state.survey.ignored, target.survey.ignored
    differing = [path for path, look in known.items() if looks.get(path) != look and path not in plan.unknown]
    return sorted(f"{path} ({'changed' if path in looks else 'deleted'})" for path in differing)

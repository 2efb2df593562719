"""What changed while a turn waited for a person: it is not the turn's, and undo leaves it alone."""

from collections.abc import Collection, Mapping
from dataclasses import field
from itertools import pairwise

from kimi_code.repo.checkpoints.checkpoint_log import TurnState
from kimi_code.repo.checkpoints.ledger import Ledger
from kimi_code.repo.checkpoints.states import Letters, State, differences, letters, with_changes
from kimi_code.repo.shadow import Shadow
from kimi_code.values import frozen


@frozen
class Apart:
    """`others` changed only while the turn waited; `both` then and by the turn, with git's letter for the former."""

    others: frozenset[str] = frozenset()
    both: Mapping[str, str] = field(default_factory=dict[str, str])


async def while_paused(ledger: Ledger, turn: TurnState, end: str) -> Apart:
    """Of the changes of `turn`, which began at a checkpoint and ended with tree `end`. Raises ShadowError."""
    pauses = ledger.history.pauses.get(turn.id)
    if not pauses:
        return Apart()
    trees = [ledger.find(turn.before).tree]
    for start, over in pauses:
        trees += [ledger.find(start).tree, ledger.find(over).tree if over else end]
    steps = await letters(ledger.shadow, list(pairwise([*trees, end])))
    own: Letters = {}
    waited: Letters = {}
    for found in steps[::2]:
        own |= found
    for found in steps[1::2]:
        # Once it was created by somebody else it is theirs.
        waited |= {path: "A" if waited.get(path) == "A" else letter for path, letter in found.items()}
    both = {path: letter for path, letter in waited.items() if path in own}
    return Apart(frozenset(waited.keys() - both.keys()), both)


async def leave_out(shadow: Shadow, paths: Collection[str], before: State, after: State) -> str:
    """The tree of `after` with `paths` as they are in `before`. Raises ShadowError."""
    found = await differences(shadow, before, after)
    kept = {path: was for path, (was, _) in found.items() if path in paths and not path.endswith("/")}
    return (await with_changes(shadow, after, kept, after.survey.empty, made={}, removed=())).tree

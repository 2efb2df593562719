"""What another process left of an agent: its conversation as far as its files bear it out, and swarms of its own."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from kimi_code.errors import SwarmError
from kimi_code.events import ContextCompacted, Effect, Record, StepEnded, ToolEnded, ToolStarted
from kimi_code.swarm.journal import Kept, swarms_of
from kimi_code.values import frozen


@frozen
class Until:
    """How much of an earlier conversation still holds: up to when the files were taken (None: until they changed).

    Of one that only reads, all of it does.
    """

    taken_at: float | None
    reads: bool = False

    def has(self, at: float) -> bool:
        """Whether what changed files at that time is in them."""
        return self.reads or (self.taken_at is not None and at <= self.taken_at)


def held(records: Sequence[Record], until: Until) -> list[Record]:
    """The whole steps of a journal that the files still bear out: what had changed them was over by then."""
    steps, changing = 0, set[str]()
    for number, record in enumerate(records, 1):
        match record.event:
            case ToolStarted(call_id=id, effect=effect) if effect is not Effect.READ:
                changing.add(id)
                if not until.has(record.at):
                    break
            case ToolEnded(call_id=id) if id in changing and not until.has(record.at):
                break
            case StepEnded() | ContextCompacted():
                steps = number
            case _:
                pass
    return list(records[:steps])


def to_go_on_with(folder: Path, until: Until, held_until: float) -> Iterator[Kept]:
    """The swarms of an agent's folder that are not over for it, oldest first.

    Those with tasks left, those whose result is not in the conversation held, which ends at `held_until` (Unix time),
    and those whose change was brought to its files after they were taken.
    """
    for kept in swarms_of(folder):
        try:
            told = kept.read()[0].at <= held_until
            over = kept.handed_over_at is not None and not kept.is_unfinished()
        except (SwarmError, IndexError):
            continue  # nobody can go on with it
        if not (told and over and until.has(kept.handed_over_at or 0.0)):
            yield kept

"""What surrounds a turn's steps: prepared before the first one, and brought to an end before the turn is over."""

from dataclasses import dataclass
from typing import Protocol

from kimi_code.agent.asking import Asker
from kimi_code.agent.changes import ChangeWatch
from kimi_code.events import Outcome


@dataclass(slots=True)
class Closing:
    """A turn whose steps are over. A stage may change how it ends: `outcome`, and `error` for the person."""

    number: int
    prompt: str
    text: str
    outcome: Outcome
    error: str
    asker: Asker
    changes: ChangeWatch


class Stage(Protocol):
    """One of them. Raises KimiError or OSError where it fails; a failed `begin` ends the turn before its first step."""

    @property
    def isolates(self) -> bool:
        """Whether the steps work in another tree than the user's, which they then cannot change."""
        ...

    async def begin(self) -> None:
        """Before the first step."""
        ...

    def forget(self) -> None:
        """The session is not kept: remove what is on disk of it, but never the only copy of somebody's work."""
        ...

    async def end(self, closing: Closing) -> None:
        """After the last one, however the turn went; also where `begin` was never reached, or failed."""
        ...

"""What the screen needs from outside itself: sessions, the folder's facts, a place to remember things.

The screen holds a Session and this, nothing else; the command line provides it.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from kimi_code.events import Notice, Record, SessionOpened
from kimi_code.values import frozen

if TYPE_CHECKING:
    from kimi_code.session.session import Session
    from kimi_code.session.store import Store
    from kimi_code.tui.welcome import Household


@frozen
class Which:
    """Which session to open: a new one, the folder's newest, or the one with an id (or its beginning)."""

    newest: bool = False
    id: str | None = None


@frozen
class Opened:
    """An open session, what it has to say first, and the records of its earlier life."""

    session: "Session"
    opened: SessionOpened
    notices: tuple[Notice, ...] = ()
    history: tuple[Record, ...] = ()


@frozen
class Place:
    """The folder as a status line shows it; `branch` is "" outside a repository."""

    folder: str
    branch: str = ""
    changed: int = 0


@frozen
class Symbol:
    """A definition: its dotted name, what it is, and where (a path relative to the folder, a line from 1)."""

    name: str
    kind: str
    path: str
    line: int


@frozen
class Preferences:
    """The user's choices for the screen. `theme` is a name or "auto"; `keys` maps ids of bindings to keys."""

    theme: str = "auto"
    keys: Mapping[str, str] = field(default_factory=dict[str, str])
    notify: bool = True
    reduced_motion: bool = False
    vim: bool = False


class Host(Protocol):
    """Everything that is not the Session. Methods raise KimiError with words for a person."""

    @property
    def folder(self) -> Path:
        """The working folder, absolute."""
        ...

    @property
    def preferences(self) -> Preferences: ...

    async def open(self, which: Which) -> Opened:
        """Open a session; slow the first time, as it imports what sessions are made of."""
        ...

    def store(self) -> "Store":
        """All sessions on disk."""
        ...

    def memory(self) -> Path:
        """A folder of this project's own for history and drafts; it may not exist yet."""
        ...

    async def place(self) -> Place:
        """Where the folder stands now, as git says."""
        ...

    async def files(self) -> Sequence[str]:
        """The folder's files that are not ignored, as relative paths with forward slashes."""
        ...

    async def symbols(self, query: str) -> Sequence[Symbol]:
        """Definitions whose names fit, the best first; () while no session is open."""
        ...

    async def draw_map(self, focus: Sequence[str]) -> str:
        """What matters in the repository, most of all to these files and names. Raises KimiError without a session."""
        ...

    async def models(self) -> Sequence[str]:
        """Names that the model can be changed to, the configured ones first."""
        ...

    async def examine(self) -> str:
        """What `kimi-code doctor` finds."""
        ...

    def household(self) -> "Household":
        """What the set-up works with."""
        ...

    def note(self, text: str) -> Path:
        """Add a line to the project's AGENTS.md; returns the file."""
        ...


def short_folder(folder: Path) -> str:
    """The folder with "~" for the home folder."""
    home = Path(os.path.expanduser("~"))
    if folder == home:
        return "~"
    return f"~/{folder.relative_to(home).as_posix()}" if folder.is_relative_to(home) else str(folder)

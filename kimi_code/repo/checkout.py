"""Isolated working copies of one working tree as it is at a moment: the facade. Nothing done in one reaches the user.

A `Checkouts` is a moment, frozen; a `Checkout` is files of its own with a private git repository and a workspace.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, Protocol

from kimi_code.errors import KimiError
from kimi_code.events import FileChange
from kimi_code.repo.search import Search
from kimi_code.repo.snapshot import Snapshots
from kimi_code.repo.trees import Trees
from kimi_code.repo.workspace import Confine, Workspace

Isolation = Literal["overlay+bwrap", "copy+bwrap", "copy+landlock", "copy only"]

# Ignored folders that builds need and that are too large to copy.
LINKED = ("node_modules", ".venv", "target")


class CheckoutError(KimiError):
    """No isolated copy can be had; the text says why. Never answered by working in the user's tree instead."""


class Ground(Protocol):
    """What a checkout's commands are confined to. All paths as the commands see them."""

    @property
    def roots(self) -> tuple[Path, ...]:
        """What may be written: the checkout, at the user's own path where there is a mount namespace."""
        ...

    @property
    def readable(self) -> tuple[Path, ...]:
        """Folders that must stay readable: borrowed objects."""
        ...

    def at(self, path: Path) -> Path:
        """Where this process finds what a command sees at `path`."""
        ...


class Confinement(Protocol):
    """What this machine can do, told by those who know of sandboxes (`permissions.confinement`)."""

    @property
    def mechanism(self) -> Literal["bwrap", "landlock"] | None: ...
    @property
    def mounter(self) -> Sequence[str]:
        """The command line of a bwrap that makes overlays here; empty where none does."""
        ...

    def confine(self, ground: Ground) -> Confine | None:
        """How commands of one checkout are confined; None where they cannot be."""
        ...


class Checkout(Protocol):
    """One isolated copy. The sketch of what `Checkouts.create` returns."""

    name: str
    isolation: Isolation
    workspace: Workspace  # every tool works on it; its paths are the user's own where there is a mount namespace
    search: Search  # for Grep and Glob

    async def changes(self) -> tuple[FileChange, ...]:
        """What differs from the frozen moment, paths relative to the top of the working tree."""
        ...

    async def commit(self, message: str) -> str:
        """The files as they are now as a commit in `Checkouts.trees`, its parent the frozen one; returns the id."""
        ...

    async def remove(self) -> None:
        """End it: renamed at once, deleted in the background. Safe to call twice."""
        ...


class Checkouts(Protocol):
    """The frozen moment. `async with await freeze(...) as checkouts:` ends them all."""

    top: Path  # the user's working tree
    base: str  # the commit that all checkouts start from, in `trees`
    trees: Trees
    notes: tuple[str, ...]  # what the frozen moment leaves out, a sentence each

    async def create(self, name: str, *, start: str = "") -> Checkout:
        """A new copy; `start` is a commit of `trees` to begin with (merged results) instead of `base`."""
        ...

    async def close(self) -> None: ...


async def freeze(
    snapshots: Snapshots,
    home: Path,
    confinement: Confinement,
    *,
    linked: Sequence[str] = LINKED,
    copied: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> Checkouts:
    """Freeze the working tree as it is. `home` is a folder of ours (`<data>/checkouts`); raises CheckoutError."""
    raise CheckoutError("Checkouts cannot be made yet.")

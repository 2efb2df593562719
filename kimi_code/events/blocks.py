"""What a person sees of a tool's work."""

from dataclasses import field
from typing import Literal

from kimi_code.values import frozen


@frozen
class Text:
    """Words for a person, never markup."""

    text: str
    kind: Literal["text"] = "text"


@frozen
class Hunk:
    """Lines of a unified diff: each starts with ' ', '-' or '+'; starts count from 1.

    `id` names it in a reply to an approval. It follows from the path, the place in the old text and the content, never
    from other hunks, so that it holds when those are left out. A hunk without one goes with its whole file. Where
    it has several runs of changed lines, each can be named too: the id of the hunk, a dot, and its number from 1.
    """

    old_start: int
    new_start: int
    lines: tuple[str, ...]
    id: str = field(default="", compare=False)


Change = Literal["created", "modified", "deleted", "renamed"]


@frozen
class Diff:
    """A change to one file; `path` is relative to the workspace where it can be.

    `id` names the whole of it in a reply to an approval. `detail` says what lines cannot show: a mode, a symlink, that
    the file is binary.
    """

    path: str
    change: Change
    added: int
    removed: int
    hunks: tuple[Hunk, ...] = ()
    detail: str = ""
    id: str = field(default="", compare=False)
    kind: Literal["diff"] = "diff"


@frozen
class Output:
    """What a command printed; `exit_code` is None while it runs or when it was killed."""

    command: str
    text: str
    exit_code: int | None
    kind: Literal["output"] = "output"


Block = Text | Diff | Output

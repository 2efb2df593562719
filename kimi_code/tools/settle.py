"""What of proposed edits is written: all, the hunks that were approved, or the text the user put in their place.

The model is told exactly where the file differs from what it sent, so that it never takes a dropped edit for done.
"""

from collections.abc import Sequence

from kimi_code.errors import ToolError
from kimi_code.events import AllowEdited, AllowHunks, Approval, Diff, Hunk
from kimi_code.repo.diff import make_diff, parts
from kimi_code.repo.large_diff import compare_any
from kimi_code.repo.text import line_ending, with_line_ending
from kimi_code.tools.files import Current
from kimi_code.values import frozen

_LINES_TOLD = 120


@frozen
class Proposed:
    """A file and what shall become of it; None for `text` removes it.

    `with_path` is the other half of a move: this file goes only if that one comes.
    """

    current: Current
    text: str | None
    with_path: str = ""


@frozen
class Settled:
    """What is written in place of `current`, and how that differs from what was proposed, in words for the model."""

    current: Current
    text: str | None
    altered: str = ""

    @property
    def unchanged(self) -> bool:
        return self.text == self.current.text


async def settle(proposed: Sequence[Proposed], approved: AllowHunks | AllowEdited | None) -> tuple[Settled, ...]:
    """What is done of `proposed`, in order. Raises ToolError when it is no longer what was approved."""
    match approved:
        case None:
            return tuple(Settled(part.current, part.text) for part in proposed)
        case AllowHunks(ids=ids):
            texts = await _picked(proposed, ids)
        case AllowEdited(text=text, path=path):
            if not any(part.current.shown == path for part in proposed):
                raise _outdated()
            texts = [_in_style(text, part) if part.current.shown == path else part.text for part in proposed]
    coming = {p.current.shown for p, text in zip(proposed, texts, strict=True) if text is not None}
    settled: list[Settled] = []
    for part, text in zip(proposed, texts, strict=True):
        if text is None and part.with_path and part.with_path not in coming:
            text = part.current.text
        settled.append(Settled(part.current, text, _altered(part, text)))
    return tuple(settled)


def _in_style(text: str, part: Proposed) -> str:
    """Editors and forms give line feeds alone; the file keeps its own line endings."""
    return text if "\r" in text else with_line_ending(text, line_ending(part.current.text or part.text or ""))


async def _picked(proposed: Sequence[Proposed], ids: Sequence[str]) -> list[str | None]:
    texts: list[str | None] = []
    unseen = set(ids)
    for part in proposed:
        compared = await compare_any(part.current.shown, part.current.text, part.text)
        texts.append(compared.pick(ids))
        unseen -= ids_of(compared.diff())
    if unseen:
        raise _outdated()
    return texts


def _outdated() -> ToolError:
    return ToolError("What was approved is no longer what this call would do: the files changed. Nothing was done.")


def ids_of(diff: Diff) -> set[str]:
    """Everything of a diff that can be picked."""
    return {diff.id, *(each.id for hunk in diff.hunks for each in (hunk, *parts(hunk)))} - {""}


def fit(approval: Approval, reply: AllowHunks | AllowEdited) -> AllowHunks | AllowEdited | str | None:
    """The reply made definite: None when it allows all that was asked; a `str` says why it cannot be followed."""
    diffs = [block for block in approval.blocks if isinstance(block, Diff)]
    if isinstance(reply, AllowEdited):
        paths = list(dict.fromkeys(diff.path for diff in diffs))
        path = reply.path or (paths[0] if len(paths) == 1 else "")
        return AllowEdited(reply.text, path) if path in paths else "the edited text belongs to none of the files shown"
    if not set(reply.ids) <= {id for diff in diffs for id in ids_of(diff)}:
        return "the reply names changes that were not shown"
    if not reply.ids:
        return reply.words or "the user approved none of the changes"
    whole = all(diff.id in reply.ids or (diff.hunks and _all_hunks(diff, reply.ids)) for diff in diffs)
    return None if whole else reply


def _all_hunks(diff: Diff, ids: Sequence[str]) -> bool:
    return all(hunk.id in ids or _all_parts(hunk, ids) for hunk in diff.hunks)


def _all_parts(hunk: Hunk, ids: Sequence[str]) -> bool:
    split = parts(hunk)
    return bool(split) and all(part.id in ids for part in split)


def _altered(part: Proposed, text: str | None) -> str:
    shown = part.current.shown
    if text == part.text:
        return ""
    if part.text is None:
        return f"{shown} was not removed; it is as it was."
    if text is None:
        return f"{shown} was not created."
    return describe(shown, part.text, text)


def describe(shown: str, sent: str, there: str) -> str:
    """Where a file differs from what the model sent, as lines."""
    hunks = make_diff(shown, sent, there).hunks
    lines = [line for hunk in hunks for line in (f"@@ line {hunk.new_start} of {shown} @@", *_marked(hunk))]
    if len(lines) > _LINES_TOLD:
        lines = [*lines[:_LINES_TOLD], f"({len(lines) - _LINES_TOLD} more lines: Read {shown})"]
    return "\n".join(lines)


def _marked(hunk: Hunk) -> tuple[str, ...]:
    if not any(line[0] != " " for line in hunk.lines):
        return ("(line endings only)",)
    return hunk.lines


def tell(settled: Sequence[Settled], approved: AllowHunks | AllowEdited | None) -> str:
    """The end of a result for the model; "" when everything is as it was sent."""
    altered = [part.altered for part in settled if part.altered]
    if not altered:
        return ""
    how = "approved only part of this" if isinstance(approved, AllowHunks) else "put another text in place of yours"
    said = f" The user says: {approved.words}" if isinstance(approved, AllowHunks) and approved.words else ""
    return (
        f"\nThe user {how}.{said} Lines with '-' are yours and are NOT in the file; lines with '+' stand there "
        + "instead:\n"
        + "\n".join(altered)
        + "\nThis is the user's decision: do not send the same again, and build on what is there."
    )

"""What an approval proposes, for a person who takes part of it or writes it anew: parts of hunks, a whole text."""

from pathlib import Path

from kimi_code.errors import UsageError
from kimi_code.events import Approval, Diff
from kimi_code.repo.diff import parts as parts
from kimi_code.repo.diff import split_lines
from kimi_code.repo.git import find_root
from kimi_code.repo.text import decode, line_ending

_WHOLE = "Allow or deny the change as it is."
_AGAIN = "Deny it, and let the model read it again."


def proposed_text(folder: Path, approval: Approval, path: str) -> str:
    """The text that the file of the approval's diff of `path` would have; `folder` is the session's.

    Raises UsageError where it has none that could be edited: the file goes, is binary, or is another by now.
    """
    diff = next((block for block in approval.blocks if isinstance(block, Diff) and block.path == path), None)
    if diff is None or not diff.hunks or diff.change == "deleted":
        raise UsageError(f"There is no text of {path} to edit: it is removed, or is no text.", hint=_WHOLE)
    # A turn's changes are named from the top of the working tree, a call's from the session's folder.
    top = folder if approval.tool else (find_root(folder) or folder)
    old = "" if diff.change == "created" else _text(top / path, path)
    return _applied(diff, split_lines(old), line_ending(old), path)


def _text(file: Path, path: str) -> str:
    try:
        decoded = decode(file.read_bytes())
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.", hint=_AGAIN) from None
    if decoded is None:
        raise UsageError(f"{path} is binary and cannot be edited.", hint=_WHOLE)
    return decoded.text


def _applied(diff: Diff, before: list[str], ending: str, path: str) -> str:
    lines: list[str] = []
    at = 0
    for hunk in diff.hunks:
        start = hunk.old_start - 1
        lines += before[at:start]
        at = start
        for line in hunk.lines:
            if line[:1] == "+":
                lines.append(line[1:] + ending)
                continue
            if at >= len(before) or before[at].rstrip("\r\n") != line[1:]:
                raise UsageError(f"{path} is no longer what the change was made for.", hint=_AGAIN)
            if line[:1] == " ":
                lines.append(before[at])
            at += 1
    return "".join([*lines, *before[at:]])

"""A patch as models write it -> what it does to each file. Two forms: `*** Begin Patch`, and unified diffs."""

import re
from collections.abc import Iterator, Sequence
from typing import Literal

from kimi_code.errors import PatchError
from kimi_code.repo.patch import Edit
from kimi_code.values import frozen

_BEGIN, _END = "*** Begin Patch", "*** End Patch"
_ACTIONS = {"Add": "add", "Delete": "delete", "Update": "update"}
_ACTION = re.compile(r"\*\*\* (Add|Delete|Update) File: (.+)")
_MOVE = re.compile(r"\*\*\* Move to: (.+)")
_AT_END = "*** End of File"
_NUMBERS = re.compile(r"@@ -\d+(?:,\d+)? \+\d+(?:,\d+)? @@.*")
_NO_FINAL = "\\ No newline at end of file"
# What a unified diff can ask for that edits of text cannot do.
_UNSUPPORTED = ("GIT binary patch", "Binary files ", "old mode ", "new mode ", "copy from ")


@frozen
class FilePatch:
    """One file's part: `text` is the whole of an added file, `move_to` the new path of a moved one."""

    action: Literal["add", "delete", "update"]
    path: str
    edits: tuple[Edit, ...] = ()
    text: str = ""
    move_to: str = ""

    @property
    def paths(self) -> tuple[str, ...]:
        """Every path it touches, as written."""
        return (self.path, self.move_to) if self.move_to else (self.path,)


def parse(text: str) -> tuple[FilePatch, ...]:
    """The parts in order. Raises PatchError that names the line which cannot be understood."""
    lines = _lines(text)
    begins = next((n for n, line in enumerate(lines) if line.strip() == _BEGIN), None)
    if begins is not None:
        ends = next((n for n in range(len(lines) - 1, begins, -1) if lines[n].strip() == _END), None)
        if ends is None:
            raise PatchError(f"The patch has no line {_END!r}: it may have been cut off. Send it whole.")
        parts = tuple(_sections(_Reader(lines[:ends], begins + 1)))
    else:
        parts = tuple(_diffs(_Reader(lines)))
    if not parts:
        raise PatchError(f"There is no patch: begin with {_BEGIN!r}, or give a unified diff with --- and +++ lines.")
    touched = [path for part in parts for path in part.paths]
    if twice := next((path for path in touched if touched.count(path) > 1), None):
        raise PatchError(f"{twice} is in the patch twice. Put all hunks of a file in one section.")
    return parts


def _lines(text: str) -> list[str]:
    """The patch's lines. Where its own marks end in CRLF, that is how lines end; else a CR is of the file's line."""
    lines = text.strip("\n").split("\n")
    marks = next((line for line in lines if line.startswith(("*** ", "--- "))), "")
    if marks.endswith("\r"):
        lines = [line.removesuffix("\r") for line in lines]
        return lines[: len(lines) - (not lines[-1])]
    return ["" if line == "\r" else line for line in lines]


class _Reader:
    """Lines with a position."""

    def __init__(self, lines: Sequence[str], at: int = 0) -> None:
        self.lines = lines
        self.at = at

    def peek(self, by: int = 0) -> str | None:
        return self.lines[self.at + by] if self.at + by < len(self.lines) else None

    def take(self) -> str:
        self.at += 1
        return self.lines[self.at - 1]

    def refuse(self, problem: str) -> PatchError:
        return PatchError(f"Line {self.at + 1} of the patch: {problem} Nothing was done.")


def _hunk(
    body: Sequence[str], reader: _Reader, *, under: tuple[str, ...] = (), at_end: bool = False, no_final: str = ""
) -> Edit:
    """The edit of a hunk's lines. `no_final` has the marks of the sides whose last line has no line feed."""
    if any(line and line[0] not in " +-" for line in body):
        raise reader.refuse("a line of the hunk above begins with none of ' ', '+', '-'.")
    old, new = ("".join(f"{line[1:]}\n" for line in body if line[:1] in ("", " ", mark)) for mark in "-+")
    if not old:
        raise reader.refuse("the hunk above has no line that is in the file, so nothing says where it belongs.")
    old = old.removesuffix("\n") if "-" in no_final else old
    new = new.removesuffix("\n") if "+" in no_final else new
    return Edit(old, new, whole_lines=True, under=under, at_end=at_end, last=no_final in ("-", "+"))


# --- *** Begin Patch ------------------------------------------------------------------------------------------------


def _sections(reader: _Reader) -> Iterator[FilePatch]:
    while (line := reader.peek()) is not None:
        match = _ACTION.fullmatch(line.rstrip())
        if match is None:
            if not line.strip():
                reader.take()
                continue
            raise reader.refuse(f"{line[:80]!r} is none of '*** Add File: ', '*** Update File: ', '*** Delete File: '.")
        reader.take()
        path = match[2].strip()
        if match[1] == "Add":
            yield FilePatch("add", path, text=_added(reader))
        elif match[1] == "Delete":
            yield FilePatch("delete", path)
        else:
            moved = _MOVE.fullmatch((reader.peek() or "").rstrip())
            if moved:
                reader.take()
            edits = tuple(_section_hunks(reader))
            if not edits and not moved:
                raise reader.refuse(f"the section of {path} has no hunk.")
            yield FilePatch("update", path, edits, move_to=moved[1].strip() if moved else "")


def _added(reader: _Reader) -> str:
    lines: list[str] = []
    while (line := reader.peek()) is not None and not line.startswith("*** "):
        if line and line[0] != "+":
            raise reader.refuse("each line of an added file begins with '+'.")
        lines.append(reader.take()[1:] + "\n")
    while lines and lines[-1] == "\n" and not reader.lines[reader.at - 1]:
        lines.pop()  # an empty line before the next section is not of the file
        break
    return "".join(lines)


def _section_hunks(reader: _Reader) -> Iterator[Edit]:
    while (line := reader.peek()) is not None and not _ACTION.fullmatch(line.rstrip()):
        headers: list[str] = []
        while (line := reader.peek()) is not None and line.startswith("@@"):
            reader.take()
            if not _NUMBERS.fullmatch(line) and line[2:].strip():
                headers.append(line[2:].strip())
        body: list[str] = []
        while (line := reader.peek()) is not None and not line.startswith(("@@", "*** ")):
            body.append(reader.take())
        at_end = (reader.peek() or "").rstrip() == _AT_END
        if at_end:
            reader.take()
        if any(line for line in body) or headers:
            yield _hunk(_without_last_empty(body), reader, under=tuple(headers), at_end=at_end)


def _without_last_empty(body: list[str]) -> list[str]:
    """Without empty lines before the next section: a hunk's own blank lines begin with a space."""
    while body and not body[-1]:
        body.pop()
    return body


# --- Unified diffs --------------------------------------------------------------------------------------------------


def _diffs(reader: _Reader) -> Iterator[FilePatch]:
    renamed = ""
    while (line := reader.peek()) is not None:
        if line.startswith(_UNSUPPORTED):
            raise reader.refuse(f"{line[:80]!r} is not supported: only text can be patched. Use a command.")
        if line.startswith("@@"):
            raise reader.refuse("a hunk needs the lines '--- path' and '+++ path' before it.")
        if line.startswith("rename from "):
            renamed = line.removeprefix("rename from ")
        elif line.startswith("rename to ") and not _has_hunks(reader):
            yield FilePatch("update", renamed, move_to=line.removeprefix("rename to "))
        elif _begins_file(reader):
            yield _diff(reader)
            continue
        reader.take()


def _has_hunks(reader: _Reader) -> bool:
    for line in reader.lines[reader.at + 1 :]:
        if line.startswith("diff "):
            return False
        if line.startswith("--- "):
            return True
    return False


def _begins_file(reader: _Reader) -> bool:
    return (reader.peek() or "").startswith("--- ") and (reader.peek(1) or "").startswith("+++ ")


def _diff(reader: _Reader) -> FilePatch:
    old, new = (reader.take()[4:].partition("\t")[0].strip() for _ in range(2))
    if (old.startswith("a/") or old == "/dev/null") and (new.startswith("b/") or new == "/dev/null"):
        old, new = old.removeprefix("a/"), new.removeprefix("b/")
    hunks: list[tuple[list[str], str]] = []
    while (reader.peek() or "").startswith("@@"):
        reader.take()
        hunks.append(_diff_body(reader))
    if not hunks:
        raise reader.refuse("the file has no hunk: after +++ comes a line that begins with '@@'.")
    if new == "/dev/null":
        return FilePatch("delete", old)
    if old == "/dev/null":
        text = "".join(f"{line[1:]}\n" for body, _ in hunks for line in body if line.startswith("+"))
        return FilePatch("add", new, text=text.removesuffix("\n") if hunks[-1][1] else text)
    edits = tuple(_hunk(body, reader, no_final=no_final) for body, no_final in hunks)
    return FilePatch("update", old, edits, move_to=new if new != old else "")


def _diff_body(reader: _Reader) -> tuple[list[str], str]:
    """A hunk's lines, and the marks of the sides without final line feed. The counts of its head are often wrong."""
    body: list[str] = []
    no_final = ""
    while (line := reader.peek()) is not None and not line.startswith(("@@", "diff ")) and not _begins_file(reader):
        if line.startswith("\\"):
            last = body[-1][:1] if body else ""
            no_final += "-+" if last == " " else last
        else:
            body.append(line)
        reader.take()
    return _without_last_empty(body), no_final

"""Edits as pure functions text -> text: exactly where they were meant, or PatchError, which says why and shows what is
there."""

from collections.abc import Iterator, Sequence

from kimi_code.errors import PatchError
from kimi_code.repo.edits.levels import find
from kimi_code.repo.edits.match import Accept, Found, Level, Place, Source, anywhere
from kimi_code.repo.edits.nearest import describe_nearest
from kimi_code.values import frozen


@frozen
class Edit:
    """Replace `old` by `new`: the only place where it stands, or all of them.

    The hunk of a patch says more: it stands as `whole_lines`, `under` a line (within its block; each within that of
    the one before), or `at_end` of the file. One that gives or takes the file's last line feed is `last`: not even
    an empty line comes after it.
    """

    old: str
    new: str
    replace_all: bool = False
    whole_lines: bool = False
    under: tuple[str, ...] = ()
    at_end: bool = False
    last: bool = False

    @property
    def names(self) -> tuple[str, str]:
        """What the model calls the two texts."""
        return ("the hunk's old text", "its new text") if self.whole_lines else ("old_string", "new_string")


@frozen
class Patched:
    """The text after all edits, how many places were replaced, and how the old text of each edit was matched."""

    text: str
    replaced: int
    levels: tuple[Level, ...] = ()


def apply(text: str, edits: Sequence[Edit], *, noun: str = "Edit") -> Patched:
    """Apply `edits` one after the other, each to the result of those before: all of them, or PatchError and none.

    Everything outside the replaced places stays as it is, and inside them every line that the new text takes over.
    `noun` is what an error calls one of several edits.
    """
    replaced = 0
    levels: list[Level] = []
    for number, edit in enumerate(edits, 1):
        try:
            text, places, level = _apply_one(text, edit)
        except PatchError as error:
            where = f"{noun} {number} of {len(edits)} (none was applied): " if len(edits) > 1 else ""
            raise PatchError(where + error.message) from None
        replaced += places
        levels.append(level)
    return Patched(text, replaced, tuple(levels))


def _apply_one(text: str, edit: Edit) -> tuple[str, int, Level]:
    if not edit.old:
        raise PatchError(
            "old_string is empty, which only creates a file or fills an empty one. "
            "Copy the lines to replace from the file, or use Write for the whole file."
        )
    if edit.old.replace("\r\n", "\n") == edit.new.replace("\r\n", "\n"):
        raise PatchError(f"{' and '.join(edit.names)} are the same, so there is nothing to do.")
    source = Source(text)
    found = find(source, edit.old, edit.new, _condition(source, edit))
    if not found.places:
        raise PatchError(_why_not_found(source, edit))
    if len(found.places) > 1 and (not edit.replace_all or found.level == "elision"):
        raise PatchError(_found_often(source, found, edit))
    if found.obstacle:
        raise PatchError(found.obstacle)
    places = list(_apart(found.places))
    parts: list[str] = []
    at = 0
    for place in places:
        parts += [text[at : place.start], place.text]
        at = place.end
    return "".join([*parts, text[at:]]), len(places), found.level


def _condition(source: Source, edit: Edit) -> Accept:
    """What a place must be like beyond its text."""
    if not edit.whole_lines:
        return anywhere
    first, last = _block(source, edit.under)
    end = len(source.text.rstrip())

    def holds(place: Place) -> bool:
        return (
            source.is_line_start(place.start)
            and source.is_line_end(place.end)
            and first <= source.line_at(place.start) <= last
            and (not edit.at_end or place.end >= end)
            and (not edit.last or place.end == len(source.text))
        )

    return holds


def _block(source: Source, headers: Sequence[str]) -> tuple[int, int]:
    """The first and the last line of the innermost block under `headers`; raises PatchError where it is not clear."""
    first, last = 0, len(source.lines) - 1
    for header in headers:
        wanted = header.strip()
        at = [n for n in range(first, last + 1) if source.lines[n].strip() == wanted]
        if len(at) != 1:
            listed = f"at lines {', '.join(str(n + 1) for n in at[:10])}" if at else "not there"
            raise PatchError(f"'@@ {wanted}' has to name one line, and it is {listed}.")
        first = at[0]
        last = next(
            (n - 1 for n in range(first + 1, last + 1) if _ends_block(source.lines[n], source.lines[first])), last
        )
    return first, last


def _ends_block(line: str, header: str) -> bool:
    """Whether `line` is outside the block that `header` opens: no deeper, and no closing bracket."""
    indentation, own = (len(text) - len(text.lstrip()) for text in (line, header))
    return bool(line.strip()) and indentation <= own and line.strip()[0] not in ")]}"


def _apart(places: Sequence[Place]) -> Iterator[Place]:
    """Those of `places` that do not overlap an earlier one."""
    free = 0
    for place in sorted(places, key=lambda place: place.start):
        if place.start >= free:
            yield place
            free = place.end


# --- Why an edit does not fit --------------------------------------------------------------------------------------

_LISTED_MOST = 10


def _found_often(source: Source, found: Found, edit: Edit) -> str:
    shown = found.places[:_LISTED_MOST]
    lines = [str(source.line_at(place.start) + 1) for place in shown]
    if found.level == "elision":  # what differs may be where they end
        lines = [
            f"{line}-{source.line_at(max(place.end - 1, 0)) + 1}" for line, place in zip(lines, shown, strict=True)
        ]
    more = f" and {len(found.places) - _LISTED_MOST} more" if len(found.places) > _LISTED_MOST else ""
    how = "" if found.level == "exact" else f" (overlooking {found.level})"
    advice = "" if found.level == "elision" or edit.whole_lines else ", or set replace_all"
    return (
        f"{edit.names[0]} is there {len(found.places)} times{how}, at lines {', '.join(lines)}{more}. "
        f"Add lines around it until it is there once{advice}."
    )


def _why_not_found(source: Source, edit: Edit) -> str:
    elsewhere = find(source, edit.old, edit.new).places if edit.whole_lines else ()
    if elsewhere:
        lines = ", ".join(str(source.line_at(place.start) + 1) for place in elsewhere[:_LISTED_MOST])
        return f"The old lines are not where the patch says: they are at line {lines}."
    old, new = edit.names
    if edit.new.strip():
        there = find(source, edit.new, "")
        if there.places and there.level in ("exact", "line endings"):
            line = source.line_at(there.places[0].start) + 1
            return f"Already applied: {old} is not in the file, and {new} is, at line {line}."
    nearest = describe_nearest(source, edit.old, old)
    if nearest is None:
        return f"{old} is not in the file, and nothing like it is. Read the file again."
    return f"{old} is not in the file. The nearest lines are ('>' marks those that differ):\n{nearest}"

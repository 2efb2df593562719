"""Old texts whose lines all stand deeper, or all less deep, than in the file: one shift for them and the new text."""

from collections.abc import Sequence

from kimi_code.repo.edits.match import BLANKS, LOOSEST, Accept, Found, Place, Source, rendered


def find_shifted(source: Source, old: str, new: str, accept: Accept) -> Found:
    """The places where `old` stands as whole lines under one shift of its indentation, `new` shifted alike."""
    ends = old.endswith("\n")
    wanted = [LOOSEST.line(line) for line in old.removesuffix("\n").split("\n")]
    if not any(wanted):
        return Found("indentation")
    places: list[Place] = []
    obstacle = ""
    for first in source.stripped.find_lines("\n".join(line.strip(BLANKS) for line in wanted)):
        last = first + len(wanted) - 1
        shift = _shift(source.folded(LOOSEST).lines[first : last + 1], wanted)
        if shift is None:
            continue
        at_end = last == len(source.lines) - 1
        start = source.starts[first]
        end = source.starts[last + 1] if ends and not at_end else source.starts[last] + len(source.lines[last])
        # The last line of the file may have no line feed.
        was, now = (text.removesuffix("\n") if ends and at_end else text for text in (old, new))
        if not accept(Place(start, end, "")):
            continue
        if not shift.fits(now):
            obstacle = shift.explain(first + 1)
            now = was
        places.append(Place(start, end, rendered(source, start, end, was, now, reindent=shift.apply)))
    return Found("indentation", tuple(places), obstacle)


class _Shift:
    """`added` is put before each line, or `taken` is cut off; one of them is empty."""

    def __init__(self, added: str, taken: str) -> None:
        self.added = added
        self.taken = taken

    def fits(self, text: str) -> bool:
        return all(line.startswith(self.taken) for line in text.split("\n") if line.strip())

    def apply(self, line: str) -> str:
        if not line.strip():
            return line
        return self.added + line.removeprefix(self.taken)

    def explain(self, number: int) -> str:
        return (
            f"old_string is at line {number} with {self.taken!r} less before each line, and new_string has lines that "
            "do not begin with it. Give both with the indentation of the file."
        )


def _shift(lines: Sequence[str], wanted: Sequence[str]) -> _Shift | None:
    """The one change of indentation that makes `wanted` into `lines`; None when there is none."""
    pairs = [(line, want) for line, want in zip(lines, wanted, strict=True) if want]
    line, want = pairs[0]
    by = len(line) - len(want)
    added, taken = (line[:by], "") if by > 0 else ("", want[:-by])
    if not by or any(added + want != taken + line for line, want in pairs):
        return None
    return _Shift(added, taken)

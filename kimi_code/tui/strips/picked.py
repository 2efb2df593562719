"""Hunks to pick from as lines: a head for each that says whether it is taken, its lines dim where it is not."""

from dataclasses import replace

from kimi_code.events import Diff, Hunk
from kimi_code.tui.picks import Pick, Picks
from kimi_code.tui.strips.code import language_of
from kimi_code.tui.strips.diffs import beginning, diff_lines, hunk_lines
from kimi_code.tui.strips.line import FANCY, Line, Span, fit, fit_end, indent, plain, width_of

_DIGITS = 4


HUNK_MOST = 200  # lines of one hunk, until more are asked for


def pick_lines(picks: Picks, number: int, width: int, *, most: int = HUNK_MOST) -> tuple[list[Line], int]:
    """The lines of the pick of that number, from 0, about `most` of its hunk, and how many it has besides."""
    pick, chosen = picks.all[number], number == picks.at
    margin = (Span(f"{FANCY.bar if chosen else ' '} ", "accent"),)
    body, rest = _body(pick, max(width - 2, 1), most)
    if rest:
        body.append(note(f"{rest:,} more lines of this hunk; scrolling on shows them", max(width - 2, 1)))
    if not pick.taken:
        body = [Line(tuple(Span(span.text, "muted") for span in line.spans)) for line in body]
    return [_head(picks, number, width), *indent(body, margin, margin)], rest


def note(words: str, width: int) -> Line:
    """Of something that is not shown."""
    return Line((Span(fit(f"… {words}", width), "muted"),))


def _body(pick: Pick, width: int, most: int) -> tuple[list[Line], int]:
    if pick.hunk is not None:
        shown, rest = beginning(pick.hunk, most)
        return hunk_lines(shown, language_of(pick.diff.path), width, _DIGITS), rest
    words = [Line((Span(plain(pick.diff.detail), "muted"),))] if pick.diff.detail else []
    hunks: list[Hunk] = []
    rest = 0
    for hunk in pick.diff.hunks:
        shown, more = beginning(hunk, max(most - sum(len(each.lines) for each in hunks), 0))
        hunks.append(shown)
        rest += more
    shown_diff = replace(pick.diff, hunks=tuple(hunk for hunk in hunks if hunk.lines))
    return [*words, *diff_lines(shown_diff, width)], rest


def _head(picks: Picks, number: int, width: int) -> Line:
    """`☑ src/a.py  line 12  +3 −1                2 of 5`"""
    pick, chosen = picks.all[number], number == picks.at
    style = "chosen" if chosen else ""
    where = f"{number + 1} of {len(picks.all)}"
    counts = _counts(pick)
    place = "" if pick.hunk is None else f"  line {pick.hunk.new_start}"
    room = max(width - width_of(where) - width_of(counts) - width_of(place) - 4, 4)
    path = fit_end(plain(pick.diff.path), room)
    spare = " " * max(room - width_of(path), 0)
    return Line(
        (
            Span(f"{FANCY.checked if pick.taken else FANCY.unchecked} ", f"{style} accent"),
            Span(path, f"{style} strong"),
            Span(f"{place}{counts} {spare}{where}", f"{style} muted"),
        ),
        fill=style,
    )


def _counts(pick: Pick) -> str:
    lines = pick.hunk.lines if pick.hunk else [line for hunk in pick.diff.hunks for line in hunk.lines]
    added, removed = (sum(line[:1] == sign for line in lines) for sign in "+-")
    change = "" if pick.diff.change == "modified" else f"  {_change(pick.diff)}"
    return f"{change}  +{added} {FANCY.minus}{removed}" if lines else change


def _change(diff: Diff) -> str:
    return {"created": "new file", "deleted": "removed", "renamed": "renamed", "modified": ""}[diff.change]

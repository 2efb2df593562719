"""A tool card as lines: one line that says it all, and below it as much of the work as the card is open."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from enum import Enum, auto
from typing import assert_never

from kimi_code.controls import clean
from kimi_code.events import Block, Diff, Hunk, Output, Text
from kimi_code.session.entries import Card, CardState
from kimi_code.tui.strips.code import highlight, language_of
from kimi_code.tui.strips.diffs import diff_lines
from kimi_code.tui.strips.line import (
    FANCY,
    Line,
    Span,
    cut,
    exact,
    fit,
    fit_end,
    head,
    indent,
    plain,
    width_of,
    wrap,
)
from kimi_code.tui.strips.links import with_links
from kimi_code.tui.strips.markdown import PROSE_MOST
from kimi_code.values import frozen

_NAME_WIDTH = 7
_HEAD_MOST = 110  # cells of a head: a sign at the far edge of a wide screen belongs to nothing
_PREVIEW = 8  # lines of output, or of a failure
_DIFF_PREVIEW = 24  # lines of a diff
_OPEN_MOST = 2_000  # lines of an open card
_BODY_INDENT = 4
_NARROW = 50  # cells; below, room is worth more than air
_NUMBERED = re.compile(r"\s*(\d+)\t(.*)")


class Fold(Enum):
    """How much of an entry is shown: its first line, the most telling part, all."""

    LINE = auto()
    PREVIEW = auto()
    ALL = auto()


@frozen
class Look:
    """What an entry is drawn with. `now` is Unix time; `link(path, line)` makes a URL, or ""."""

    width: int
    now: float = 0.0
    link: Callable[[str, int], str] = lambda path, line: ""
    moving: bool = True


def usual_fold(card: Card) -> Fold:
    """How a card is shown when nobody touched it: work in progress, changes and failures are in sight."""
    match card.state:
        case "asked":
            return Fold.ALL  # nobody can allow what they have not seen
        case "running" | "failed" | "denied":
            return Fold.PREVIEW
        case "done":
            # What the person ran is for the person to see.
            return Fold.PREVIEW if _diffs(card) or card.tool == "Shell" else Fold.LINE
        case "invalid" | "interrupted":
            return Fold.LINE
        case _:
            assert_never(card.state)


def card_lines(card: Card, fold: Fold, look: Look) -> list[Line]:
    """The card at `look.width` cells: its head, and of its body what `fold` shows."""
    if fold is Fold.LINE:
        return [_head(card, FANCY.folded if _has_body(card) else "", look)]
    shown, rest = _clipped(card, fold, look)
    fold_mark = "" if not shown and not rest else FANCY.folded if rest else FANCY.open
    if rest:
        from_end = fold is not Fold.ALL and _is_output(card)
        shown = [_more(rest, "earlier"), *shown] if from_end else [*shown, _more(rest, "more")]
    margin = (Span(" " * _indent(look)),)
    brief = bool(_trouble(card, fold, look))
    return [_head(card, fold_mark, look, brief=brief), *indent(shown, margin, margin)]


def _indent(look: Look) -> int:
    return _BODY_INDENT if look.width >= _NARROW else _BODY_INDENT // 2


def _has_body(card: Card) -> bool:
    return bool(card.blocks or card.result or card.output or card.items)


def _clipped(card: Card, fold: Fold, look: Look) -> tuple[list[Line], int]:
    """The lines of the body that are shown, and how many are not."""
    most = _OPEN_MOST if fold is Fold.ALL else _DIFF_PREVIEW if _diffs(card) else _PREVIEW
    blocks, left_out = _first_of(card.blocks, most)
    body = _body(card, blocks, fold, look)
    if left_out and len(body) + left_out <= most + 1:  # side by side, two lines take the room of one
        body, left_out = _body(card, card.blocks, fold, look), 0
    # One line that says that one line is missing would be silly.
    if len(body) + left_out <= most + 1:
        return body, 0
    from_end = fold is not Fold.ALL and _is_output(card)
    return (body[-most:] if from_end else body[:most]), max(len(body) - most, 0) + left_out


def _diffs(card: Card) -> list[Diff]:
    return [block for block in card.blocks if isinstance(block, Diff)]


def _first_of(blocks: Sequence[Block], lines: int) -> tuple[list[Block], int]:
    """The blocks with about `lines` lines of their diffs, and how many there are besides: not to colour for nothing."""
    kept: list[Block] = []
    left_out = 0
    for block in blocks:
        if isinstance(block, Diff):
            hunks: list[Hunk] = []
            for hunk in block.hunks:
                if lines > 0:
                    hunks.append(replace(hunk, lines=hunk.lines[: lines + 2]))
                left_out += len(hunk.lines) - min(len(hunk.lines), max(lines + 2, 0) if lines > 0 else 0)
                lines -= len(hunk.lines)
            block = replace(block, hunks=tuple(hunks))
        kept.append(block)
    return kept, left_out


def _is_output(card: Card) -> bool:
    return bool(card.output) or any(isinstance(block, Output) for block in card.blocks)


def _more(count: int, which: str) -> Line:
    return Line((Span(f"{FANCY.more} {count:,} {which} line{'s' if count > 1 else ''}", "muted"),))


# --- The head ---


def _head(card: Card, fold_mark: str, look: Look, *, brief: bool = False) -> Line:
    """`✓ Bash    pytest -q · exit 1 · 4 s                ▸`; `brief` where what went wrong stands below it."""
    mark, style = _mark(card.state, look)
    name = f"{fit(plain(card.tool), 24):<{_NAME_WIDTH}} "
    facts = _facts(card, look.now, brief=brief)
    width = min(look.width, _HEAD_MOST)
    room = width - 2 - len(name) - 2 * bool(fold_mark)
    spare = room - min(sum(width_of(fact.text) for fact in facts), room // 2)
    title = _title(card, max(spare, room // 3), look) if card.title != card.tool else Span("")
    if not title.text and facts:
        facts = [Span(facts[0].text.removeprefix(" · "), facts[0].style), *facts[1:]]
    left = (Span(f"{mark} ", style), Span(name, "tool"), title, *_fitted(facts, room - width_of(title.text)))
    if not fold_mark:
        return Line(left)
    used = sum(width_of(span.text) for span in left)
    return Line((*left, Span(" " * max(width - used - 1, 1)), Span(fold_mark, "muted")))


def _mark(state: CardState, look: Look) -> tuple[str, str]:
    match state:
        case "running":
            frames = FANCY.working
            return frames[int(look.now * 5) % len(frames) if look.moving else 0], "accent"
        case "asked":
            return FANCY.asked, "warning"
        case "done":
            return FANCY.done, "done"
        case "failed" | "invalid":
            return FANCY.failed, "error"
        case "denied" | "interrupted":
            return FANCY.denied, "warning"
        case _:
            assert_never(state)


def _title(card: Card, width: int, look: Look) -> Span:
    text = exact(card.title)
    path, line = _place(text)
    if not (card.tool in _ABOUT_FILES and path):
        return Span(fit(text, width))
    return Span(fit_end(text, width), "path", look.link(path, line))


_ABOUT_FILES = ("Read", "Edit", "Write")


def _place(title: str) -> tuple[str, int]:
    match = re.fullmatch(r"(.+?)(?::(\d+))?", title)
    return (match[1], int(match[2] or 0)) if match else ("", 0)


def _facts(card: Card, now: float, *, brief: bool = False) -> list[Span]:
    """What follows the title: counts, what went wrong, the time."""
    diffs = _diffs(card)
    if diffs and card.state in ("done", "running", "asked"):
        added, removed = sum(diff.added for diff in diffs), sum(diff.removed for diff in diffs)
        facts = [Span(f"  +{added}", "added-count"), Span(f" {FANCY.minus}{removed}", "removed-count")]
        return [*facts, *([Span(" · new file", "muted")] if all(d.change == "created" for d in diffs) else [])]
    words: list[Span] = []
    if card.state == "asked":
        words.append(Span(" · waits for you", "warning"))  # why, is said where it is asked
    elif card.state == "denied":
        words.append(Span(" · denied", "warning"))
        words.append(Span(f": {_summary(card)}" if card.summary and not brief else "", "muted"))
    elif brief:
        words.append(Span(" · failed", "error"))
    elif card.summary and not (card.summary == "done" and card.state == "done"):
        words.append(Span(f" · {_summary(card)}", "error" if card.state in ("failed", "invalid") else "muted"))
    seconds = max(now - card.began, 0.0) if card.state == "running" else card.seconds
    return [*words, Span(f" · {lasting(seconds)}", "muted")] if seconds >= 1 else words


def _summary(card: Card) -> str:
    """In a line; the first words of a list say nothing without it."""
    text = plain(card.summary)
    return " ".join(plain(card.result).split()) if text.endswith(":") and card.result else text


def _trouble(card: Card, fold: Fold, look: Look) -> str:
    """What went wrong, where it belongs below the head: it is long, or all is to be seen; "" else."""
    if card.state == "denied":
        words = (card.result if fold is Fold.ALL else "") or card.summary
    elif card.state in ("failed", "invalid") and not (card.blocks or card.items or card.output):
        words = card.result or card.summary
    else:
        return ""
    words = plain(words).strip()
    facts = "".join(fact.text for fact in _facts(card, look.now))
    head = f"{plain(card.tool):<{_NAME_WIDTH}} {plain(card.title)}{facts}"
    fits = width_of(head) + 4 <= min(look.width, _HEAD_MOST)  # with its mark and the sign for the fold
    return "" if fits and " ".join(words.split()) == " ".join(_summary(card).split()) else words


def lasting(seconds: float) -> str:
    """A length of time for people: 4 s, 2 min 5 s, 1 h 4 min."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def _fitted(facts: Sequence[Span], room: int) -> list[Span]:
    kept: list[Span] = []
    for fact in facts:
        if room <= 3:
            break
        lead = fact.text[: len(fact.text) - len(fact.text.lstrip())]
        text = lead + fit(fact.text, room - len(lead))
        kept.append(Span(text, fact.style))
        room -= width_of(text)
    return kept


# --- The body ---


def _body(card: Card, blocks: Sequence[Block], fold: Fold, look: Look) -> list[Line]:
    width = max(look.width - _indent(look), 1)
    whole = fold is Fold.ALL
    lines: list[Line] = []
    if _is_command(card) and (whole and ("\n" in _command(card) or width_of(_command(card)) > width - 24)):
        lines += _command_lines(_command(card), width)
    trouble = _trouble(card, fold, look)
    if trouble:
        lines += wrap([Span(trouble, "output")], min(width, PROSE_MOST))
    for block in blocks:
        lines += _block(block, card, width, look, whole=whole)
    if card.output and not card.over:
        lines += _plain_lines(card.output, width, look, whole=whole)
    if card.items:
        lines += _plan_lines(card, width, look)
    if not lines and card.result and whole and card.state not in ("failed", "invalid"):
        lines += _result_lines(card, width, look)
    return lines


def _is_command(card: Card) -> bool:
    return any(isinstance(block, Output) for block in card.blocks)


def _command(card: Card) -> str:
    return next((block.command for block in card.blocks if isinstance(block, Output)), "")


def _command_lines(command: str, width: int) -> list[Line]:
    lines = highlight(exact(command), "bash")
    wrapped = [line for spans in lines for line in wrap(spans, max(width - 2, 1), hard=True)]
    return indent(wrapped, (Span("$ ", "muted"),), (Span("  "),))


def _block(block: Block, card: Card, width: int, look: Look, *, whole: bool) -> list[Line]:
    match block:
        case Diff():
            several = len(_diffs(card)) > 1
            return [*([_diff_head(block, width, look)] if several else []), *diff_lines(block, width)]
        case Output():
            return _plain_lines(block.text, width, look, whole=whole)
        case Text() if card.tool == "Swarm":
            from kimi_code.tui.strips.plan import outline

            return outline(block.text, width)
        case Text():
            return wrap([Span(plain(block.text))], width)
        case _:
            assert_never(block)


def _diff_head(diff: Diff, width: int, look: Look) -> Line:
    counts = f" +{diff.added} {FANCY.minus}{diff.removed}"
    path = Span(fit_end(plain(diff.path), max(width - len(counts), 8)), "path", look.link(diff.path, 0))
    change = "" if diff.change == "modified" else f" {diff.change}"
    return Line((path, Span(f"{change}{counts}", "muted")))


def _plain_lines(text: str, width: int, look: Look, *, whole: bool = True) -> list[Line]:
    """Lines as they were printed; in a preview, long ones are cut, so that one line stays one line."""
    shown = plain(text).strip("\n")
    lines: list[Line] = []
    for part in shown.split("\n") if shown else ():
        spans = tuple(with_links(part, "output", look.link))
        if whole:
            lines += wrap(spans, width, hard=True)
        elif width_of(part) <= width:
            lines.append(Line(spans or (Span("", "output"),)))
        else:
            kept = cut(spans, 0, len(head(part, width - 1)))
            lines.append(Line((*kept, Span("…", "output"))))
    return lines


def _plan_lines(card: Card, width: int, look: Look) -> list[Line]:
    signs = {"done": FANCY.checked, "in_progress": FANCY.agent, "pending": FANCY.unchecked}
    styles = {"done": "muted", "in_progress": "accent", "pending": ""}
    lines: list[Line] = []
    for item in card.items:
        sign = (Span(f"{signs[item.status]} ", styles[item.status]),)
        lines += indent(wrap([Span(plain(item.text), styles[item.status])], max(width - 2, 1)), sign, (Span("  "),))
    return lines


def _result_lines(card: Card, width: int, look: Look) -> list[Line]:
    """What the model was told; the lines of a file with their numbers and colours."""
    if card.tool == "Read" and card.state == "done":
        return _file_lines(clean(card.result).split("\n"), language_of(_place(card.title)[0]), width)
    if card.tool in ("Agent", "Swarm", "SwarmUpdate"):
        from kimi_code.tui.strips.digest import digest_lines

        if (lines := digest_lines(card.result, min(width, PROSE_MOST))) is not None:
            return lines
    return _plain_lines(card.result, width, look)


def _file_lines(texts: Sequence[str], language: str, width: int) -> list[Line]:
    numbered = [_NUMBERED.fullmatch(text) for text in texts]
    code = iter(highlight("\n".join(plain(match[2]) for match in numbered if match), language))
    digits = max((len(match[1]) for match in numbered if match), default=1)
    lines: list[Line] = []
    for match, text in zip(numbered, texts, strict=True):
        if match is None:
            lines += wrap([Span(plain(text), "muted")], width)
            continue
        first, rest = (Span(f"{match[1]:>{digits}}  ", "muted"),), (Span(" " * (digits + 2)),)
        lines += indent(wrap(next(code), max(width - digits - 2, 1), hard=True), first, rest)
    return lines

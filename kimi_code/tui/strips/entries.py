"""Every entry of a transcript as lines, with its margin; what cannot be drawn is a line that says so."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import assert_never

from kimi_code.events import Diff, Outcome
from kimi_code.session.entries import Answer, Card, Compaction, Ending, Entry, Gone, Note, Retry, Thought, Words
from kimi_code.tui.strips.cards import Fold, Look, card_lines, lasting, usual_fold
from kimi_code.tui.strips.line import BLANK, FANCY, Line, Span, fit, indent, plain, wrap
from kimi_code.tui.strips.markdown import PROSE_MOST, MarkdownFlow

MARGIN = 3
_MARGIN_SPAN = (Span(" " * MARGIN),)
_UNDONE = "  (taken back)"
_WORDS_PREVIEW = 30  # lines of what the user pasted


def usual(entry: Entry) -> Fold:
    """How much of the entry is shown when nobody touched it."""
    match entry:
        case Card():
            return usual_fold(entry)
        case Thought():
            return Fold.LINE
        case Note(told=True):
            return Fold.LINE
        case Words():
            return Fold.PREVIEW
        case _:
            return Fold.ALL


def foldable(entry: Entry) -> bool:
    """Whether there is more than one way to show the entry."""
    return isinstance(entry, Card | Thought) or (isinstance(entry, Note) and entry.told) or _is_long(entry)


def _is_long(entry: Entry) -> bool:
    return isinstance(entry, Words) and not entry.undone and entry.text.count("\n") >= _WORDS_PREVIEW


def hidden(entry: Entry) -> bool:
    """Whether the entry takes no room at all."""
    if isinstance(entry, Answer | Thought):
        return entry.void or not any(piece.strip() for piece in entry.pieces)
    return isinstance(entry, Gone)


def moves(entry: Entry) -> bool:
    """Whether the entry changes with time alone: it counts seconds."""
    match entry:
        case Card(state="running"):
            return True
        case Thought(done=False, void=False):
            return True
        case Retry(over=False):
            return True
        case _:
            return False


def estimate(entry: Entry, fold: Fold, width: int) -> int:
    """About how many lines the entry has, in microseconds; never 0 for one that is seen."""
    if hidden(entry):
        return 0
    match entry:
        case Answer(pieces=pieces):
            text = pieces[0] if len(pieces) == 1 else "".join(pieces)
            return 1 + text.count("\n") + len(text) // max(min(width, PROSE_MOST), 20)
        case Words(undone=True):
            return 1
        case Words(text=text):
            return min(1 + text.count("\n") + len(text) // max(width, 20), _WORDS_PREVIEW + 1)
        case Card() if fold is not Fold.LINE:
            shown = sum(len(hunk.lines) for block in entry.blocks if isinstance(block, Diff) for hunk in block.hunks)
            return 1 + min(shown or entry.result.count("\n"), 24 if fold is Fold.PREVIEW else 2000)
        case Thought() if fold is Fold.ALL:
            return 1 + sum(len(piece) for piece in entry.pieces) // max(width, 20)
        case _:
            return 1


def joined(before: Entry | None, entry: Entry) -> bool:
    """Whether no empty line stands between the two."""
    match before:
        case None:
            return True
        case Card():
            return isinstance(entry, Card)
        case Retry():
            return isinstance(entry, Retry)
        case Note() | Compaction():
            return isinstance(entry, Note | Compaction)
        case _:
            return False


@dataclass(slots=True)
class _Flow:
    """An answer that is being written, and how much of it is drawn."""

    flow: MarkdownFlow
    width: int
    pieces: list[str]
    taken: int = 0


@dataclass(slots=True)
class Painter:
    """Draws entries; keeps what is needed to draw the open answer without beginning anew each time."""

    broke: Callable[[Exception], object] = lambda error: None
    _flows: dict[int, _Flow] = field(default_factory=dict[int, _Flow])
    _broken: set[int] = field(default_factory=set[int])  # said once each

    def lines(self, index: int, entry: Entry, fold: Fold, look: Look) -> list[Line]:
        """The lines of the entry, margins included, none of them wider than `look.width`."""
        if hidden(entry):
            return []
        try:
            return self._lines(index, entry, fold, look)
        except Exception as error:
            self._flows.pop(index, None)
            if index not in self._broken:
                self._broken.add(index)
                self.broke(error)
            words = f"(this part cannot be shown: {type(error).__name__})"
            return [Line((*_MARGIN_SPAN, Span(fit(words, max(look.width - MARGIN, 1)), "error")), MARGIN)]

    def forget(self) -> None:
        """Another conversation: nothing that was drawn counts any more."""
        self._flows.clear()
        self._broken.clear()

    def _lines(self, index: int, entry: Entry, fold: Fold, look: Look) -> list[Line]:
        width = max(look.width - MARGIN, 1)
        inner = Look(width, look.now, look.link, look.moving)
        match entry:
            case Gone():
                return []
            case Words(undone=True):
                words = fit(plain(entry.text), max(width - len(_UNDONE), 1)) + _UNDONE
                return _margined([Line((Span(words, "muted"),))], FANCY.user, "muted")
            case Words():
                return _margined(_words(entry, fold, inner), FANCY.user, "user")
            case Answer():
                return self._answer(index, entry, inner)
            case Thought():
                return _margined(_thought(entry, fold, inner), FANCY.thought, "muted")
            case Card():
                return _margined(card_lines(entry, fold, inner))
            case Note():
                return _margined(_note(entry, fold, inner))
            case Retry():
                return _margined(_retry(entry, inner))
            case Compaction(before=before, after=after):
                words = f"context compacted: {before:,} to {after:,} tokens"
                return _margined(_signed(FANCY.again, words, "muted", width))
            case Ending():
                return _margined(_ending(entry, inner))
            case _:
                assert_never(entry)

    def _answer(self, index: int, answer: Answer, look: Look) -> list[Line]:
        drawn = self._flows.get(index)
        # Other pieces, or another width: from the beginning.
        if drawn is None or drawn.width != look.width or drawn.pieces is not answer.pieces:
            margin = Span(f" {FANCY.agent} ", "agent"), _MARGIN_SPAN[0]
            flow = MarkdownFlow(look.width, margin, link=look.link)
            drawn = self._flows[index] = _Flow(flow, look.width, answer.pieces)
        fresh = answer.pieces[drawn.taken :]
        drawn.taken = len(answer.pieces)
        drawn.flow.feed("".join(fresh))
        if answer.done:
            drawn.flow.finish()
            del self._flows[index]
        return drawn.flow.lines()


def _margined(lines: list[Line], mark: str = "", style: str = "") -> list[Line]:
    first = (Span(f" {mark} ", style),) if mark else _MARGIN_SPAN
    return indent(lines or [BLANK], first, _MARGIN_SPAN)


def _words(words: Words, fold: Fold, look: Look) -> list[Line]:
    lines = wrap([Span(plain(words.text.strip("\n")), "user")], min(look.width, PROSE_MOST))
    if fold is not Fold.ALL and len(lines) > _WORDS_PREVIEW + 1:
        more = f"{FANCY.more} {len(lines) - _WORDS_PREVIEW:,} more lines"
        lines = [*lines[:_WORDS_PREVIEW], Line((Span(more, "muted"),))]
    return lines


def _thought(thought: Thought, fold: Fold, look: Look) -> list[Line]:
    if not thought.done:
        head = f"thinking · {lasting(max(look.now - thought.began, 0.0))}"
    elif thought.seconds is None:
        head = "thought"
    else:
        head = f"thought for {lasting(max(thought.seconds, 1.0))}"
    lines = [Line((Span(head, "muted"),))]
    if fold is not Fold.LINE:
        lines += wrap([Span(plain(thought.text.strip()), "thought")], min(look.width, PROSE_MOST))
    return lines


def _note(note: Note, fold: Fold, look: Look) -> list[Line]:
    text = plain(note.text.strip())
    if note.told:
        first = fit(f"told the model: {text}", look.width)
        return [Line((Span(first, "muted"),))] if fold is Fold.LINE else wrap([Span(text, "muted")], look.width)
    sign, style = {
        "info": (FANCY.bullet, "muted"),
        "warning": ("!", "warning"),
        "error": (FANCY.failed, "error"),
    }[note.level]
    return _signed(sign, text, style, look.width)


def _retry(retry: Retry, look: Look) -> list[Line]:
    reason = plain(retry.reason)
    if retry.over:
        words = f"tried again: {reason}"
        return _signed(FANCY.again, words, "muted", look.width)
    left = max(retry.at + retry.wait - look.now, 0.0)
    when = f"in {_seconds(left)}" if left > 0 else "now"
    words = f"trying again {when} (attempt {retry.attempt + 1}): {reason}"
    return _signed(FANCY.again, words, "warning", look.width)


def _signed(sign: str, words: str, style: str, width: int) -> list[Line]:
    """Words behind a sign, all lines of them."""
    lines = wrap([Span(words, style)], max(min(width, PROSE_MOST) - 2, 1))
    return indent(lines, (Span(f"{sign} ", style),), (Span("  "),))


def _seconds(seconds: float) -> str:
    return lasting(seconds + 0.999)


_OUTCOMES: dict[Outcome, str] = {
    Outcome.DONE: "done",
    Outcome.FAILED: "failed",
    Outcome.VERIFY_FAILED: "the check still fails",
    Outcome.INVALID_OUTPUT: "the answer does not fit its schema",
    Outcome.BUDGET: "a limit was reached",
    Outcome.AUTH: "the provider refused the key",
    Outcome.UNAVAILABLE: "the provider cannot be reached",
    Outcome.CONFLICT: "it does not go together with your files",
    Outcome.COMMIT_FAILED: "the commit failed",
    Outcome.PARTIAL: "done in part",
    Outcome.INTERRUPTED: "interrupted",
}


def _ending(ending: Ending, look: Look) -> list[Line]:
    match ending.outcome:
        case Outcome.DONE:
            sign, style = FANCY.done, "done"
        case Outcome.INTERRUPTED:
            sign, style = FANCY.denied, "warning"
        case _:
            sign, style = FANCY.failed, "error"
    spans = [Span(_OUTCOMES[ending.outcome], "muted" if ending.outcome is Outcome.DONE else style)]
    if ending.error and ending.outcome not in (Outcome.DONE, Outcome.INTERRUPTED):
        spans.append(Span(f": {plain(ending.error)}", style))
    spans.append(Span("".join(f" · {fact}" for fact in _spent(ending)), "muted"))
    return indent(wrap(spans, max(look.width - 2, 1)), (Span(f"{sign} ", style),), (Span("  "),))


def _spent(ending: Ending) -> list[str]:
    facts: list[str] = []
    if ending.seconds is not None and ending.seconds >= 1:
        facts.append(lasting(ending.seconds))
    if ending.usage.total:
        facts.append(f"{tokens(ending.usage.total)} tokens")
    if ending.cost_usd is not None:
        facts.append(f"${ending.cost_usd:.2f}" if ending.cost_usd >= 0.005 or not ending.cost_usd else "under 1 cent")
    if ending.files:
        count = len(ending.files)
        added, removed = sum(file.added for file in ending.files), sum(file.removed for file in ending.files)
        facts.append(f"{count} file{'s' if count > 1 else ''} +{added} {FANCY.minus}{removed}")
    return facts


def tokens(count: int) -> str:
    """A number of tokens for people: 940, 4.1k, 41k, 1.2M."""
    if count < 1000:
        return str(count)
    if count < 1_000_000:
        return f"{count / 1000:.1f}k" if count < 9_950 else f"{count / 1000:.0f}k"
    return f"{count / 1_000_000:.1f}M"

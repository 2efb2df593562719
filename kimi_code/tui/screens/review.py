"""All that changed since a moment: files at the left, hunks at the right; to be kept, taken back, commented on."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace

from textual import on
from textual.app import App, ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from kimi_code.controls import clean
from kimi_code.errors import KimiError
from kimi_code.events import Diff, Hunk
from kimi_code.session.timeline import Report
from kimi_code.tui.keys import bindings, keys_of
from kimi_code.tui.screens.line import Line as AskLine
from kimi_code.tui.strips.code import language_of
from kimi_code.tui.strips.diffs import Place, beginning, columns, placed_lines
from kimi_code.tui.strips.line import BLANK, FANCY, Line, Span, fit, fit_end, indent, plain, width_of, wrap
from kimi_code.tui.theme import MUTED
from kimi_code.tui.verdicts import ChangedFile, Piece, Verdict, Verdicts
from kimi_code.tui.widgets.hint import Hint
from kimi_code.tui.widgets.lines import LinesView
from kimi_code.values import frozen

_MARKS = {"kept": ("✓", "done"), "reverted": ("⊘", "error"), "some": ("●", "accent"), "": (" ", "")}
_WORDS = {"kept": "kept", "reverted": "to be taken back"}
_FILES_WIDTH = (20, 44)
_DRAWN_MOST = 1_000  # lines of a file's diff at a time: more follows when it is gone to
_HUNK_MOST = 500  # lines of one hunk, until more are asked for
_HINTS = (
    ("accept", "keep"),
    ("revert", "take back"),
    ("comment", "comment"),
    ("next", "next"),
    ("file_next", "file"),
    ("done", "done"),
    ("close", "leave"),
)


@frozen
class _Row:
    """What a line of the right side belongs to: a piece by its number in the file, and a place where it has one."""

    line: Line
    piece: int
    place: Place | None = None


class ReviewScreen(Screen[str | None]):
    """Returns the comments as one message, "" when there are none, None when the person left without deciding.

    `take_back(ids)` is asked to take hunks back before the screen closes; while it refuses, the screen stays.
    """

    BINDINGS = bindings("review", "scroll")

    app: "App[object]"

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (70, "-wide")]  # noqa: RUF012  (as Textual declares it)
    DEFAULT_CLASSES = "-wide"  # as most are: nothing has to be styled again once the width is known

    def __init__(
        self,
        title: str,
        diffs: Sequence[Diff],
        take_back: Callable[[Sequence[str]], Awaitable[Report]],
        keys: Mapping[str, str],
    ) -> None:
        super().__init__()
        self._title, self._take_back, self._keys = title, take_back, keys
        self._verdicts = Verdicts.on(diffs)
        self._file = 0
        self._rows: list[_Row] = []
        self._first = self._end = 0  # the pieces that are drawn, of the file's
        self._long: dict[str, int] = {}  # lines of a hunk that more were asked of
        self._drawn: dict[tuple[str, int, int], tuple[list[tuple[Line, Place]], int]] = {}
        self._leaving = False

    def compose(self) -> ComposeResult:
        yield Static("", id="review-title", markup=False)
        with Horizontal(id="review-body"):
            yield LinesView(id="review-files")
            yield LinesView(id="review-hunks")
        yield Hint(id="review-hint")

    def on_resize(self) -> None:
        self._files.styles.width = self._files_width()

    def on_mount(self) -> None:
        self._say("")
        self._show_files()
        self._open_file(0)

    # --- Drawing ---

    @property
    def _files(self) -> LinesView:
        return self.query_one("#review-files", LinesView)

    @property
    def _hunks(self) -> LinesView:
        return self.query_one("#review-hunks", LinesView)

    @property
    def _changed(self) -> ChangedFile:
        return self._verdicts.files[self._file]

    def _files_width(self) -> int:
        least, most = _FILES_WIDTH
        names = max(
            (width_of(file.path) + sum(map(width_of, _counts(file))) for file in self._verdicts.files), default=0
        )
        return max(min(names + 6, most, self.size.width // 3), least)

    def _show_title(self) -> None:
        files = self._verdicts.files
        added, removed = sum(file.added for file in files), sum(file.removed for file in files)
        self.query_one("#review-title", Static).update(
            Content.assemble(
                ("Review", "bold $accent"),
                f" · {clean(self._title)} · {len(files)} file{'s' * (len(files) != 1)}  ",
                (f"+{added}", "$text-success"),
                (f" −{removed}", "$text-error"),
                (f"   {len(self._verdicts.decided)} of {self._verdicts.count} decided", MUTED),
            )
        )

    def _say(self, words: str) -> None:
        """Words below, or the keys."""
        hint = self.query_one("#review-hint", Hint)
        if words:
            hint.say(Content.styled(words, "$text-warning"))
            return
        spans: list[str | tuple[str, str]] = []
        for name, what in _HINTS:
            first = keys_of(f"review.{name}", self._keys).partition(", ")[0]
            spans += [(first, "bold $text-accent"), f" {what}   "]
        hint.say(Content.assemble(*spans))

    def _show_files(self) -> None:
        self._show_title()
        self._files.show(self._file_lines, cursor=self._file)

    def _file_lines(self, width: int) -> list[Line]:
        lines: list[Line] = []
        for file in self._verdicts.files:
            mark, style = _MARKS[self._verdicts.of_file(file)]
            counts = _counts(file)
            room = width - 4 - sum(map(width_of, counts))
            name = fit_end(plain(file.path), max(room, 1))
            spans = (
                Span(f" {mark} ", style),
                Span(name + " " * max(room - width_of(name), 0)),
                Span(counts[0], "added-count"),
                Span(counts[1], "removed-count"),
            )
            lines.append(Line(spans, 3))
        return lines

    def _hunk_lines(self, width: int) -> list[Line]:
        """The file's hunks; what each line belongs to is kept beside."""
        file, first = self._changed, self._first
        self._rows = [_Row(Line((Span(fit_end(plain(file.path), width), "strong"),)), first)]
        if first:
            self._rows.append(_Row(_note(f"{first:,} before", width), first))
        pieces = [(diff, hunk) for diff in file.diffs for hunk in (diff.hunks or (None,))]
        room = _DRAWN_MOST
        self._end = first
        while self._end < len(pieces) and room > 0:
            diff, hunk = pieces[self._end]
            before = len(self._rows)
            self._add_piece(self._end, diff, hunk, width)
            room -= len(self._rows) - before
            self._end += 1
        if rest := len(pieces) - self._end:
            self._rows.append(_Row(_note(f"{rest:,} after", width), self._end - 1))
        self._add_comments(width)
        return [row.line for row in self._rows]

    def _add_piece(self, number: int, diff: Diff, hunk: Hunk | None, width: int) -> None:
        if hunk is None:
            self._add_heading(number, diff.detail or f"{diff.change}, empty", width)
            return
        self._add_heading(number, "" if diff.change == "modified" else diff.change, width)
        most = self._long.get(hunk.id, _HUNK_MOST)
        key = (hunk.id, width, most)
        if key not in self._drawn:  # a verdict changes headings only
            shown, rest = beginning(hunk, most)
            drawn, digits = columns(diff, width)
            self._drawn[key] = placed_lines(shown, language_of(diff.path), drawn, digits), rest
        lines, rest = self._drawn[key]
        self._rows += [_Row(line, number, place) for line, place in lines]
        if rest:
            more = keys_of("review.more", self._keys)
            self._rows.append(_Row(_note(f"{rest:,} more lines of this hunk; {more} shows more", width), number))

    def _add_heading(self, number: int, words: str, width: int) -> None:
        pieces = self._changed.pieces
        verdict = self._verdicts.decided.get(pieces[number].id, "")
        mark, style = _MARKS[verdict]
        what = [f"{number + 1} of {len(pieces)}", words, _WORDS.get(verdict, "")]
        text = fit(" · ".join(part for part in what if part), max(width - 2, 1))
        self._rows.append(_Row(BLANK, number))
        self._rows.append(_Row(Line((Span(f"{mark} ", style), Span(text, style or "muted"))), number))

    def _add_comments(self, width: int) -> None:
        """Below the last line of the place they are on."""
        path = self._changed.path
        comments = {place: words for (on, place), words in self._verdicts.comments.items() if on == path}
        if not comments:
            return
        rows: list[_Row] = []
        for row, after in zip(self._rows, [*self._rows[1:], None], strict=True):
            rows.append(row)
            if row.place is not None and row.place in comments and (after is None or after.place != row.place):
                bar = (Span(f"     {FANCY.bar} ", "accent"),)
                words = wrap([Span(plain(comments[row.place]), "strong")], max(width - 7, 1))
                rows += [replace(row, line=line) for line in indent(words, bar, bar)]
        self._rows = rows

    # --- Moving ---

    def _open_file(self, index: int, *, piece: int = 0) -> None:
        self._file, self._first = index, 0
        self._drawn.clear()
        self._files.move_to(index)
        self._hunks.show(self._hunk_lines, cursor=0)
        self._go_to_piece(piece)

    def _go_to_piece(self, piece: int) -> None:
        """To its first changed line."""
        if not self._first <= piece < self._end:
            # Going back, what came before is in sight as well.
            self._first = piece if piece >= self._end else self._reach_back(piece)
            self._hunks.show(self._hunk_lines, cursor=0)
        own = [at for at, row in enumerate(self._rows) if row.piece == piece and at > 0]
        changed = [at for at in own if (place := self._rows[at].place) is not None and place.mark != " "]
        if own:
            self._hunks.move_to(own[-1])
            self._hunks.move_to(own[0])
            self._hunks.move_to((changed or own[1:] or own)[0])

    def _reach_back(self, piece: int) -> int:
        pieces, room = self._changed.pieces, _DRAWN_MOST // 2
        while piece > 0 and (room := room - _length(pieces[piece - 1])) > 0:
            piece -= 1
        return piece

    @property
    def _row(self) -> _Row:
        return self._rows[max(self._hunks.cursor, 0)]

    @property
    def _piece(self) -> Piece:
        return self._changed.pieces[self._row.piece]

    def action_line(self, by: int) -> None:
        if not self._go_on(by):
            self._hunks.move_to(self._hunks.cursor + by)

    def action_page(self, by: int) -> None:
        if not self._go_on(by):
            self._hunks.page(by)

    def _go_on(self, by: int) -> bool:
        """From the last line that is drawn, or the first, to pieces that are not; False anywhere else."""
        last = len(self._rows) - 1
        if by > 0 and self._hunks.cursor >= last and self._end < len(self._changed.pieces):
            self._go_to_piece(self._end)
        elif by < 0 and self._hunks.cursor <= 0 and self._first > 0:
            self._go_to_piece(self._first - 1)
        else:
            return False
        return True

    def action_more(self) -> None:
        """More of a long hunk, from where the cursor is."""
        hunk = self._piece.hunk
        if hunk is None or len(hunk.lines) <= (most := self._long.get(hunk.id, _HUNK_MOST)):
            self._say("All of this hunk is shown.")
            return
        self._long[hunk.id] = 4 * most
        at = self._hunks.cursor
        self._hunks.remake()
        self._hunks.move_to(at)

    def action_hunk(self, by: int) -> None:
        piece = self._row.piece + by
        if 0 <= piece < len(self._changed.pieces):
            self._go_to_piece(piece)
        elif 0 <= self._file + by < len(self._verdicts.files):
            following = self._verdicts.files[self._file + by]
            self._open_file(self._file + by, piece=0 if by > 0 else len(following.pieces) - 1)

    def action_file(self, by: int) -> None:
        self._open_file((self._file + by) % len(self._verdicts.files))

    @on(LinesView.Clicked)
    def _clicked(self, event: LinesView.Clicked) -> None:
        if event.view is self._files:
            self._open_file(event.line)
        else:
            self._hunks.move_to(event.line)

    # --- Deciding ---

    def action_decide(self, verdict: Verdict) -> None:
        piece = self._piece
        self._verdicts.decide(verdict, piece)
        self._decided()
        if piece.id in self._verdicts.decided:
            self._to_next_open()

    def action_decide_file(self, verdict: Verdict) -> None:
        file = self._changed
        self._verdicts.decide(verdict, *file.pieces)
        self._decided()
        if self._verdicts.of_file(file):
            self._to_next_open()

    def _decided(self) -> None:
        self._leaving = False
        self._say("")
        self._show_title()
        self._files.remake()
        self._hunks.remake()

    def _to_next_open(self) -> None:
        """The next piece nothing was decided on, from here on and around."""
        files = self._verdicts.files
        order = [(index, number) for index, file in enumerate(files) for number in range(len(file.pieces))]
        here = order.index((self._file, self._row.piece))
        for index, number in (*order[here + 1 :], *order[:here]):
            if files[index].pieces[number].id not in self._verdicts.decided:
                if index == self._file:
                    self._go_to_piece(number)
                else:
                    self._open_file(index, piece=number)
                return

    def action_comment(self) -> None:
        path, place = self._changed.path, self._row.place
        if place is None:
            self._say("A comment belongs to a line: choose one below.")
            return

        def said(words: str | None) -> None:
            if words is not None:
                self._verdicts.comment(path, place, words)
                self._decided()

        before = self._verdicts.comments.get((path, place), "")
        self.app.push_screen(AskLine(f"{path}:{place.number}", before), said)

    # --- Leaving ---

    def action_done(self) -> None:
        self.run_worker(self._finish(), exclusive=True)

    async def _finish(self) -> None:
        reverted = self._verdicts.reverted
        if reverted:
            self._say("Taking back …")
            try:
                report = await self._take_back(reverted)
            except KimiError as error:
                self._say(" ".join(str(error).split("\n")))
                return
            if report.conflicts:
                found = ", ".join(f"{conflict.path} {conflict.reason}" for conflict in report.conflicts)
                self._say(f"Nothing was taken back: {found}. Leave it out, or close and look again.")
                return
        self.dismiss(self._verdicts.message())

    def action_close(self) -> None:
        undecided = len(self._verdicts.reverted) + len(self._verdicts.comments)
        if undecided and not self._leaving:
            self._leaving = True
            done = keys_of("review.done", self._keys)
            self._say(f"{done} takes back what is marked and sends your comments; leaving again throws them away.")
        else:
            self.dismiss(None)


def _note(words: str, width: int) -> Line:
    return Line((Span(fit(f"… {words}", width), "muted"),))


def _counts(file: ChangedFile) -> tuple[str, str]:
    return f" +{file.added}" * bool(file.added), f" −{file.removed}" * bool(file.removed)


def _length(piece: Piece) -> int:
    return len(piece.hunk.lines) if piece.hunk is not None else 1

"""The transcript on the screen: one scrolling canvas of lines, of which only those in sight are made."""

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import cast

from textual import events
from textual.geometry import Offset, Region, Size
from textual.message import Message
from textual.reactive import Reactive
from textual.scroll_view import ScrollView
from textual.selection import Selection
from textual.strip import Strip
from textual.timer import Timer
from textual.widget import Widget

from kimi_code.events import Record
from kimi_code.session.transcript import Transcript
from kimi_code.tui.palette import Palette, scrolled
from kimi_code.tui.strips.canvas import Canvas
from kimi_code.tui.strips.cards import Look
from kimi_code.tui.strips.entries import Painter
from kimi_code.tui.strips.line import Line, restyle
from kimi_code.tui.strips.links import FileLinks
from kimi_code.tui.timing import after

_FLUSH_EVERY = 1 / 15  # seconds
_REST = 3  # times as long as a flush worked, from one to the next: a third of the time at most goes into them
_TICK = 0.2
_SOON = 0.001
_STRIPS_KEPT = 500
_VIRTUAL_SIZE = cast("Reactive[Size]", Widget.virtual_size)


class TranscriptView(ScrollView):
    """Shows Records of one agent. It keeps at the end until the user scrolls up, and stays where the user is then.

    Feed it with `append` for each record as it comes (cheap: what is seen is refreshed at most 15 times a second) and
    with `load` for a journal.
    """

    DEFAULT_CSS = scrolled("TranscriptView")

    class LinkClicked(Message):
        """The user clicked a link: `url` is a web address, or that of a file with the line as its fragment (#L12)."""

        def __init__(self, url: str) -> None:
            super().__init__()
            self.url = url

    class FollowingChanged(Message):
        """The view began, or ceased, to keep at the end."""

        def __init__(self, following: bool) -> None:
            super().__init__()
            self.following = following

    class Broke(Message):
        """An entry could not be drawn: a placeholder stands for it. `error` is for the crash log."""

        def __init__(self, error: Exception) -> None:
            super().__init__()
            self.error = error

    def __init__(
        self,
        *,
        agent: str = "main",
        cwd: str = "",
        link: Callable[[str, int], str] | None = None,
        id: str | None = None,
    ) -> None:
        """`cwd` is what relative paths are relative to; `link(path, line)` makes the URL of a file (line 0: none).

        Without `link`, file:// URLs.
        """
        super().__init__(id=id)
        self._agent = agent
        self._link = link or FileLinks(cwd)
        self._palette = Palette(self)
        self._strips: dict[int, tuple[Line, Strip]] = {}
        self._drawn: dict[int, Line] = {}  # by rows, as they were drawn last; not what is chosen or selected
        self._drawn_width = 0
        self._painter = Painter(lambda error: self.post_message(self.Broke(error)))
        self._transcript = Transcript(agent=agent)
        self._canvas = Canvas(self._transcript.entries, self._look, self._painter)
        self._dirty: set[int] = set()
        self._flushing: asyncio.TimerHandle | None = None
        self._next_flush = 0.0
        self._ticker: Timer | None = None
        self._following = True
        self._asked = -1
        self._placing = False
        self._cursor = -1
        self._found = -1
        self.flushes = 0  # how often what was appended was drawn, for measuring

    # --- Feeding it ---

    def append(self, record: Record) -> None:
        """Show one more record. Microseconds; call it for every record, deltas included."""
        changed = self._transcript.apply(record)
        if changed:
            self._dirty.update(changed)
            if self._flushing is None and self.is_attached:
                self._flushing = after(max(self._next_flush - time.monotonic(), _SOON), self, self._flush)

    def load(self, records: Iterable[Record]) -> None:
        """Show a whole journal in place of what is shown; the end is in sight."""
        self._transcript = Transcript(records, agent=self._agent)
        self._begin_anew()

    def clear(self) -> None:
        """Show nothing."""
        self.load(())

    def _begin_anew(self) -> None:
        self._painter.forget()
        self._canvas = Canvas(self._transcript.entries, self._look, self._painter)
        self._dirty.clear()
        self._cursor = self._found = self._asked = -1
        self._set_following(True)
        self._show()

    @property
    def has_pending(self) -> bool:
        """Whether something was appended that is not on the screen yet."""
        return bool(self._dirty)

    # --- Where it stands ---

    @property
    def following(self) -> bool:
        """Whether the view keeps at the end."""
        return self._following

    def follow(self) -> None:
        """Go to the end and keep there."""
        self._asked = -1
        self._set_following(True)
        self._show()

    def show_asked(self, call_id: str) -> None:
        """While the end is followed, keep the beginning of the call's card in sight, until the user scrolls; "" for
        none any more."""
        asked = self._transcript.card(call_id)
        self._asked = -1 if asked is None else asked
        self._show()

    def _set_following(self, following: bool) -> None:
        if following != self._following:
            self._following = following
            self.post_message(self.FollowingChanged(following))

    def go_to_turn(self, by: int) -> None:
        """Scroll to the user's words before (-1) or after (1) the top of what is in sight."""
        index = self._canvas.turn_from(self.scroll_offset.y, by)
        if index is None:
            self.follow()
        else:
            self._go_to(index)

    def find(self, text: str, *, backwards: bool = True) -> bool:
        """Scroll to the next entry that has `text` (any case), from where the last search ended; False for none."""
        step = -1 if backwards else 1
        start = self._found if self._found >= 0 else len(self._transcript.entries) if backwards else -1
        found = self._canvas.find(text, start + step, step)
        if found is None:
            self._found = -1
            return False
        self._found = found
        self._go_to(found)
        return True

    def _go_to(self, index: int) -> None:
        self._set_following(False)
        self._canvas.place(self._canvas.top_of(index))
        self._show()

    # --- Folding ---

    def toggle_all(self) -> bool:
        """Unfold all cards and thoughts, or fold them as they were; returns whether they are unfolded now."""
        unfolded = self._canvas.toggle_all()
        self._show()
        return unfolded

    def _toggle(self, index: int) -> None:
        if not self._canvas.can_fold(index):
            return
        unfolded = self._canvas.toggle(index)
        if unfolded and self._following:
            # What was unfolded is what the user wants to see, not what comes below it.
            head = self._canvas.top_of(index)
            if self._canvas.height - head > self.size.height:
                self._go_to(index)
                return
        self._show()

    def move_cursor(self, by: int) -> None:
        """Choose the next (1) or previous (-1) card or thought for `toggle_chosen`; scrolls it into sight."""
        last, first_in_sight = len(self._transcript.entries) - 1, self._canvas.at(self.scroll_offset.y)[0]
        start = self._cursor + by if self._cursor >= 0 else last if by < 0 else first_in_sight
        index = self._canvas.foldable_from(start, by)
        if index is not None:
            self._cursor = index
            self._bring_into_sight(index)

    def _bring_into_sight(self, index: int) -> None:
        self._canvas.lines_of(index)
        head = self._canvas.top_of(index) + self._canvas.head_of(index)
        top = self.scroll_offset.y
        if not top <= head < top + self.size.height:
            self._go_to(index)
        self.refresh()

    def toggle_chosen(self) -> None:
        """Fold or unfold what the cursor is on."""
        if self._cursor >= 0:
            self._toggle(self._cursor)

    def open_file(self) -> bool:
        """Follow the first link to a file of the chosen card, else of the newest card with one; False without any."""
        newest_first = range(len(self._transcript.entries) - 1, -1, -1)
        link = self._canvas.file_of([self._cursor] if self._cursor >= 0 else newest_first)
        if link:
            self.post_message(self.LinkClicked(link))
        return bool(link)

    def clear_cursor(self) -> None:
        """Choose nothing."""
        if self._cursor >= 0:
            self._cursor = -1
            self.refresh()

    # --- Words ---

    def last_answer(self) -> str:
        """The Markdown of the newest answer, for /copy; "" when there is none."""
        return self._canvas.last_answer()

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """The selected text: no decoration, and wrapped lines put together again."""
        start = selection.start or Offset(0, 0)
        text = self._canvas.text(
            (start.x, start.y), None if selection.end is None else (selection.end.x, selection.end.y)
        )
        return (text, "\n") if text else None

    def selection_updated(self, selection: Selection | None) -> None:
        self.refresh()

    # --- Drawing ---

    def _look(self) -> Look:
        moving = not self.is_attached or self.app.animation_level != "none"  # pyright: ignore[reportUnknownMemberType]  (no types)
        return Look(self._drawn_width or 80, time.time(), self._link, moving)

    def _flush(self) -> None:
        began, worked = time.monotonic(), time.thread_time()
        self._flushing = None
        self._canvas.changed(self._dirty)
        self._dirty.clear()
        self.flushes += 1
        self._show()
        self._next_flush = began + max(_FLUSH_EVERY, _REST * (time.thread_time() - worked))

    def _show(self) -> None:
        """Make what is in sight and put the view where it belongs."""
        if not self.is_attached or not self._drawn_width:
            return
        before = self.virtual_size.height
        selected = self._selected_places()
        top = self._canvas.settle(self.size.height, at_end=self._following, asked=self._asked)
        if selected is not None:
            self._keep_selected(selected)
        height = self._canvas.height
        if height != before:
            # Not by assignment: a layout of the whole screen is not needed, for the scroll bar is always there.
            self.set_reactive(_VIRTUAL_SIZE, Size(self._drawn_width, height))
            self.vertical_scrollbar.window_virtual_size = height
        if top != self.scroll_offset.y:
            self._placing = True
            self.scroll_target_y = self.scroll_y = top
            self._placing = False
        self._look_after_ticker()
        self._repaint(top)

    def _repaint(self, top: int) -> None:
        """Draw what is not as it was drawn last: of an answer that is streamed, mostly its last line."""
        if self._cursor >= 0 or self.text_selection is not None:
            self.refresh()
            return
        lines = ((y, self._canvas.line(top + y)) for y in range(self.size.height))
        if changed := [y for y, line in lines if self._drawn.get(y) != line]:
            self.refresh(Region(0, changed[0], self.size.width, changed[-1] - changed[0] + 1))

    def _selected_places(self) -> list[tuple[int, int, int] | None] | None:
        """Both ends of the selection as entry, line of it, and character: what is measured moves the lines."""
        selection = self.text_selection
        if selection is None:
            return None
        return [None if end is None else (*self._canvas.at(end.y), end.x) for end in selection]

    def _keep_selected(self, places: list[tuple[int, int, int] | None]) -> None:
        start, end = (None if p is None else Offset(p[2], self._canvas.top_of(p[0]) + p[1]) for p in places)
        if self.text_selection != (moved := Selection(start, end)):
            self.screen.selections = {**self.screen.selections, self: moved}

    def _look_after_ticker(self) -> None:
        if self._ticker is None:
            self._ticker = self.set_interval(_TICK, self._tick, pause=True)
        (self._ticker.resume if self._canvas.moving else self._ticker.pause)()

    def _tick(self) -> None:
        top = self.scroll_offset.y
        before = self._canvas.height
        for index in self._canvas.tick(top, self.size.height):
            lines = self._canvas.lines_of(index)
            head = self._canvas.top_of(index)
            self.refresh(Region(0, head - top, self.size.width, len(lines)))
        if self._canvas.height != before or not self._canvas.moving:
            self._show()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        if self._placing or not self.is_attached or round(old_value) == round(new_value):
            return
        self._asked = -1
        self._set_following(new_value >= self.max_scroll_y)
        self._canvas.place(round(new_value))
        self._show()

    def scroll_to(self, *args: object, **options: object) -> None:
        """At once: nothing moves on the way to where the user goes."""
        super().scroll_to(*args, **{**options, "animate": False})  # pyright: ignore[reportArgumentType]  (Textual's own)

    def scroll_end(self, *args: object, **options: object) -> None:
        """The end is where it is followed, even if it is not yet known how far down that is."""
        self.follow()

    def on_resize(self, event: events.Resize) -> None:
        width = self.scrollable_content_region.width
        self._drawn.clear()
        if width != self._drawn_width:
            self._drawn_width = width
            self._strips.clear()
            self._canvas.reset()
        self._canvas.changed(self._dirty)
        self._dirty.clear()
        self._show()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._palette.clear()
        self._strips.clear()

    def render_line(self, y: int) -> Strip:
        at = self.scroll_offset.y + y
        line = self._canvas.line(at)
        selection = self.text_selection
        if self._cursor < 0 and selection is None:
            self._drawn[y] = line
            # Strips keep what Textual makes of them; a line that did not change keeps its strip.
            known = self._strips.get(at)
            if known is not None and known[0] is line:
                return known[1]
            strip = self._palette.strip(line, self._drawn_width).apply_offsets(0, at)
            if len(self._strips) > _STRIPS_KEPT:
                self._strips.clear()
            self._strips[at] = line, strip
            return strip
        self._drawn.pop(y, None)
        if selection is not None and (span := selection.get_span(at)) is not None:
            start, end = span
            spans = restyle(line.spans, start, len(line.text) if end == -1 else end, "selected")
            line = Line(spans, line.gutter, line.glue, line.fill)
        index, offset = self._canvas.at(at)
        if index == self._cursor and offset == self._canvas.head_of(index):
            line = Line(restyle(line.spans, 0, len(line.text), "chosen"), line.gutter, line.glue, "chosen")
        return self._palette.strip(line, self._drawn_width).apply_offsets(0, at)

    # --- The mouse ---

    def on_click(self, event: events.Click) -> None:
        if self.text_selection is not None:
            return
        at = self.scroll_offset.y + event.y
        index, offset = self._canvas.at(at)
        link = self._canvas.link_at(event.x, at)
        if link:
            self.post_message(self.LinkClicked(link))
        elif self._canvas.can_fold(index) and offset == self._canvas.head_of(index):
            self._toggle(index)

"""The transcript on the screen: one scrolling canvas of lines, of which only those in sight are made."""

from collections.abc import Callable, Iterable

from textual.message import Message
from textual.scroll_view import ScrollView

from kimi_code.events import Record


class TranscriptView(ScrollView):
    """Shows Records of one agent. It keeps at the end until the user scrolls up, and stays where the user is then.

    Feed it with `append` for each record as it comes (cheap: what is seen is refreshed at most 15 times a second) and
    with `load` for a journal.
    """

    class CardToggled(Message):
        """The user folded or unfolded a card."""

        def __init__(self, call_id: str, folded: bool) -> None:
            super().__init__()
            self.call_id, self.folded = call_id, folded

    class LinkClicked(Message):
        """The user clicked a link; `url` as it is in the OSC 8 sequence."""

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
        ascii_only: bool = False,
        name: str | None = None,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        """`cwd` is what relative paths are relative to; `link(path, line)` makes the URL of a file (line 0: none).

        Without `link`, file:// URLs. `ascii_only` uses marks that every font has.
        """
        super().__init__(name=name, id=id, classes=classes)

    def append(self, record: Record) -> None:
        """Show one more record. Microseconds; call it for every record, deltas included."""
        raise NotImplementedError

    def load(self, records: Iterable[Record]) -> None:
        """Show a whole journal in place of what is shown; the end is in sight."""
        raise NotImplementedError

    def clear(self) -> None:
        """Show nothing."""
        raise NotImplementedError

    @property
    def following(self) -> bool:
        """Whether the view keeps at the end."""
        raise NotImplementedError

    def follow(self) -> None:
        """Go to the end and keep there."""
        raise NotImplementedError

    def toggle_all(self) -> bool:
        """Unfold all cards and thoughts, or fold them as they were; returns whether they are unfolded now."""
        raise NotImplementedError

    def toggle(self, call_id: str) -> None:
        """Fold or unfold the card of a call."""
        raise NotImplementedError

    def move_cursor(self, by: int) -> None:
        """Choose the next (1) or previous (-1) card or thought for `toggle_chosen`; scrolls it into sight."""
        raise NotImplementedError

    def toggle_chosen(self) -> None:
        """Fold or unfold what the cursor is on."""
        raise NotImplementedError

    def clear_cursor(self) -> None:
        """Choose nothing."""
        raise NotImplementedError

    def go_to_turn(self, by: int) -> None:
        """Scroll to the user's words before (-1) or after (1) the top of what is in sight."""
        raise NotImplementedError

    def find(self, text: str, *, backwards: bool = True) -> bool:
        """Scroll to the next entry that has `text` (any case), from where the last search ended; False for none."""
        raise NotImplementedError

    def last_answer(self) -> str:
        """The Markdown of the newest answer, for /copy; "" when there is none."""
        raise NotImplementedError

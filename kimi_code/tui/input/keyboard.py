"""What a terminal sends, as events: keys by Textual's parser, a paste in one piece past it."""

from collections.abc import Iterator

from textual import events
from textual._xterm_parser import BRACKETED_PASTE_END, BRACKETED_PASTE_START, XTermParser
from textual.message import Message

# Less of the beginning of a paste may be the Esc key, or Alt and a bracket: the parser waits for more of those itself.
_CERTAIN = len("\x1b[2")


class Keyboard(XTermParser):
    """Textual's parser, which takes 1.8 s for a megabyte of text, is given keys only.

    Sequences of keys inside a paste are its text.
    """

    def __init__(self, debug: bool = False) -> None:
        super().__init__(debug)
        self._pasted: list[str] | None = None  # since a paste began
        self._held = ""  # what may be the beginning of a mark

    def feed(self, data: str) -> Iterator[Message]:
        """The events of what came; "" ends it."""
        if not data:
            yield from super().feed(data)
        rest, self._held = self._held + data, ""
        while rest:
            if self._pasted is None:
                keys, began, rest = rest.partition(BRACKETED_PASTE_START)
                if began:
                    self._pasted = []
                else:
                    keys = self._hold(keys, BRACKETED_PASTE_START, _CERTAIN)
                if keys:
                    yield from super().feed(keys)
            else:
                text, ended, rest = rest.partition(BRACKETED_PASTE_END)
                self._pasted.append(text if ended else self._hold(text, BRACKETED_PASTE_END, 1))
                if ended:
                    yield events.Paste("".join(self._pasted).replace("\x00", ""))
                    self._pasted = None

    def rest(self) -> Iterator[Message]:
        """Nothing came for a while: what was held were keys, and a lone Esc is one too."""
        if self._pasted is None and self._held:
            keys, self._held = self._held, ""
            yield from super().feed(keys)
        yield from self.tick()

    def _hold(self, text: str, mark: str, least: int) -> str:
        """`text` without an end that the mark begins with; that waits for what follows."""
        size = next((size for size in range(len(mark) - 1, least - 1, -1) if text.endswith(mark[:size])), 0)
        self._held = text[len(text) - size :]
        return text[: len(text) - size]

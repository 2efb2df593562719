"""Control sequences taken out of what others say: commands, files, models. Output is data and steers no terminal."""

import codecs
import re

_SEQUENCE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor movements
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)"  # OSC, DCS, SOS, PM, APC: titles, links, images
    r"|\x1b[ -/]*[0-~]"  # the short ones
    r"|\r+(?=\n)"
    r"|[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f]+"  # in runs: a dump of NUL bytes is one match, not millions
    r"|\x1b"
)
# The start of a sequence, or of CR LF, at the end of what has come so far.
_UNFINISHED = re.compile(r"(?:\x1b(?:\[[0-?]*[ -/]*|[\]PX^_][^\x07\x1b]*\x1b?|[ -/]*)?|\r+)\Z")
_HELD_MOST = 4096


class OutputCleaner:
    """Takes control sequences out of text that comes in pieces, wherever the pieces are cut.

    Line feeds, tabs and lone carriage returns stay (see `overwrite`); CR LF becomes LF.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""

    def feed(self, data: bytes, *, end: bool = False) -> str:
        """The clean text that `data` completes; with `end`, all that is left."""
        text = self._held + self._decoder.decode(data, end)
        self._held = ""
        if not end and (tail := _UNFINISHED.search(text, max(0, len(text) - _HELD_MOST))):
            self._held = tail.group()
            text = text[: tail.start()]
        return _SEQUENCE.sub("", text)


def clean(text: str) -> str:
    """`text` without control sequences and control characters; tabs and line feeds stay."""
    return overwrite(_SEQUENCE.sub("", text))


def overwrite(text: str) -> str:
    """What a terminal would leave of each line that was rewritten after a lone carriage return."""
    if "\r" not in text:
        return text
    return "\n".join(_last_writing(line) for line in text.split("\n"))


def _last_writing(line: str) -> str:
    return next((part for part in reversed(line.split("\r")) if part), "")

"""Proof that a command line was read in full: the words and operators found in it make it up, with blanks between."""

import re
from dataclasses import dataclass, field

from kimi_code.permissions.words import NotAWordError

# What a span is, but for those of words, which have the number of their command, from 1.
OPERATOR, HEREDOC, KEYWORD = 0, -1, -2

_BLANK = re.compile(r"(?:[ \t\n]|\\\n)*")


@dataclass(slots=True)
class Spans:
    """Of one line, or of what stands in one of its substitutions; `source` is all of the line, a character a byte."""

    source: str
    _found: set[tuple[int, int, int]] = field(default_factory=set[tuple[int, int, int]])

    def add(self, start: int, end: int, owner: int) -> None:
        """source[start:end] is a word of the command `owner`, or what else there is."""
        self._found.add((start, end, owner))

    def check(self, start: int, end: int) -> None:
        """Raise NotAWordError unless words and operators, with blanks between, make up source[start:end].

        Each word was read from its beginning in the unquoted state and found whole, so by induction a shell reads
        the same words; a newline between two of them must be where one command ends and the next begins.
        """
        at, last = start, OPERATOR
        for begin, stop, owner in sorted(self._found):
            gap = self.source[at:begin]
            if begin < at or not _BLANK.fullmatch(gap):
                raise NotAWordError
            blanks = gap.replace("\\\n", "")
            newline = "\n" in blanks
            if gap and not blanks and begin > start and at > start and not (last == OPERATOR and owner > 0):
                raise NotAWordError  # a joined line joins what stands on both sides
            if _is_read_as_word(last) and _is_read_as_word(owner):
                if not gap:
                    raise NotAWordError
                if last == owner and newline:
                    raise NotAWordError
                # Two commands with nothing between them; loops and branches bring keywords.
                if owner > 0 and last > 0 and last != owner and not newline and not self._same_list(at):
                    raise NotAWordError
            at, last = stop, owner
        if not _BLANK.fullmatch(self.source[at:end]):
            raise NotAWordError

    def _same_list(self, at: int) -> bool:
        # `for x in a b`, `case w in`: words of a statement that belong to no command.
        line = self.source[self.source.rfind("\n", 0, at) + 1 : at]
        return re.search(r"(?:^|[;&|({ \t])(?:for|select|case|in)(?:[ \t]|$)", line) is not None


def _is_read_as_word(owner: int) -> bool:
    return owner > 0 or owner == KEYWORD

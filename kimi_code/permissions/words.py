"""One word of a shell command, read by the rules of POSIX quoting: its exact value, or that it cannot be known.

The parser's tree says where words are; this module does not trust it and checks that each is one whole word.
"""

import re
from collections.abc import Mapping

from kimi_code.values import frozen

_NAME = re.compile(r"\$(?:[A-Za-z_]\w*|[0-9@*#?$!-])")
_ANSI_C = re.compile(
    r"\\(?:x([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{1,4})|U([0-9a-fA-F]{1,8})|([0-7]{1,3})|c(.)|(.))", re.DOTALL
)
_ANSI_C_LETTERS = {
    "a": "\a",
    "b": "\b",
    "e": "\x1b",
    "E": "\x1b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
}


@frozen
class Word:
    """A word as written, and its value after quotes and backslashes are removed.

    `value` is None when it depends on something else: a variable, a substitution, a brace expansion. `glob` says that
    unquoted `*`, `?` or `[` stand in it; its value is then the pattern. `sure` is False when shells disagree about it
    (`$'...'`): good enough to forbid, not to allow.
    """

    text: str
    value: str | None
    glob: bool = False
    sure: bool = True

    @property
    def exact(self) -> str | None:
        """The value if the program is given exactly that, whichever shell runs it."""
        return self.value if self.sure and not self.glob else None

    @property
    def plain(self) -> bool:
        """Whether it is written without any quoting."""
        return self.exact is not None and self.text == self.value


class NotAWordError(ValueError):
    """The text is not one whole word; whatever said so is mistaken, and nothing after it can be trusted."""


def literal(value: str) -> Word:
    """A word that is just this value."""
    return Word(value, value)


UNKNOWN = Word("...", None)


class _Reader:
    def __init__(self, source: str, start: int, end: int, holes: Mapping[int, int]) -> None:
        self.source, self.at, self.end, self.holes = source, start, end, holes
        self.out: list[str] = []
        self.known = self.sure = True
        self.glob = False
        self.braces = ""  # the unquoted characters that decide whether braces are expanded

    def read(self) -> None:
        start = self.at
        while self.at < self.end:
            char = self.source[self.at]
            if char in " \t\n;&|<>()" or (char == "#" and self.at == start):
                raise NotAWordError
            self._unquoted(char, self.at == start or self.source[self.at - 1] in "=:")

    def _unquoted(self, char: str, tilde_here: bool) -> None:
        if char == "\\":
            following = self._next()
            if following != "\n":
                self.out.append(following)
            self.at += 2
        elif char == "'":
            self.out.append(self._until_quote(self.at + 1))
        elif char == '"':
            self.at += 1
            self._double_quoted()
        elif char in "$`":
            self._dollar(char, quoted=False)
        else:
            self.glob = self.glob or char in "*?["
            if char in "{},.":
                self.braces += char
            if char == "~" and tilde_here and self.source[self.at + 1 : self.at + 2] not in ("", "/", " ", "\n", "\t"):
                self.known = False  # another user's home, or the shell's memory
            self.out.append(char)
            self.at += 1

    def _next(self) -> str:
        if self.at + 1 >= self.end:
            raise NotAWordError
        return self.source[self.at + 1]

    def _until_quote(self, start: int) -> str:
        stop = self.source.find("'", start, self.end)
        if stop < 0:
            raise NotAWordError
        self.at = stop + 1
        return self.source[start:stop]

    def _double_quoted(self) -> None:
        while True:
            if self.at >= self.end:
                raise NotAWordError
            char = self.source[self.at]
            if char == '"':
                self.at += 1
                return
            if char == "\\":
                following = self._next()
                if following != "\n":
                    self.out.append(following if following in '$`"\\' else "\\" + following)
                self.at += 2
            elif char in "$`":
                self._dollar(char, quoted=True)
            else:
                self.out.append(char)
                self.at += 1

    def _dollar(self, char: str, *, quoted: bool) -> None:
        following = self.source[self.at + 1 : min(self.at + 2, self.end)]
        if self.source.startswith("\\\n", self.at + 1):
            raise NotAWordError  # shells join lines before they look at what a `$` begins
        if char == "`" or following in ("(", "{"):
            if self.at not in self.holes or self.holes[self.at] > self.end:
                raise NotAWordError
            self.at = self.holes[self.at]
            self.known = False
        elif following == "'" and not quoted:
            self._ansi_c()
        elif following == "[" or (following == '"' and not quoted):
            # Old arithmetic, and translated strings.
            raise NotAWordError
        elif match := _NAME.match(self.source, self.at, self.end):
            self.at = match.end()
            self.known = False
        else:
            self.out.append("$")
            self.at += 1

    def _ansi_c(self) -> None:
        start = self.at = self.at + 2
        while self.at < self.end and self.source[self.at] != "'":
            self.at += 2 if self.source[self.at] == "\\" else 1
        if self.at >= self.end:
            raise NotAWordError
        self.out.append(_ANSI_C.sub(_unescape, self.source[start : self.at]).partition("\0")[0])
        self.at += 1
        self.sure = False


def _unescape(match: re.Match[str]) -> str:
    hexadecimal, short, long, octal, control, other = match.groups()
    if other is not None:
        return _ANSI_C_LETTERS.get(other, other if other in "\\'\"?" else "\\" + other)
    if control is not None:
        return chr(ord(control) & 0x1F)
    code = int(octal, 8) & 0xFF if octal else int(hexadecimal or short or long, 16)
    # The source stands as bytes, a character each.
    return chr(code) if code < 0x100 and not (short or long) else _as_bytes(code)


def _as_bytes(code: int) -> str:
    return chr(code).encode("utf-8", "replace").decode("latin-1") if code < 0x110000 else "?"


def read_word(source: str, start: int, end: int, holes: Mapping[int, int]) -> Word:
    """The word at source[start:end], where `source` holds a byte of the command in each character.

    `holes` maps the start of each `$(...)`, `${...}` and backtick inside it to its end. Raises NotAWordError.
    """
    reader = _Reader(source, start, end, holes)
    reader.read()
    if reader.at != end or start == end:
        raise NotAWordError
    text = _text(source[start:end])
    braces = reader.braces
    if "{" in braces and "}" in braces and ("," in braces or ".." in braces):
        return Word(text, None)
    return Word(text, _text("".join(reader.out)) if reader.known else None, reader.glob, reader.sure)


def _text(source: str) -> str:
    return source.encode("latin-1", "replace").decode("utf-8", "replace")

"""Source code to styled lines (only importer of pygments); a language that is not known stays plain."""

from fnmatch import fnmatchcase
from functools import cache, lru_cache
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from kimi_code.tui.strips.line import Span
from kimi_code.values import frozen

if TYPE_CHECKING:
    from pygments.lexer import Lexer

# Colouring takes about 1 ms per kilobyte: what is longer than this is no longer read by eye.
_COLOURED_MOST = 200_000

_STYLES = (
    ("Token.Comment", "comment"),
    ("Token.Literal.String.Doc", "comment"),
    ("Token.Literal.String", "string"),
    ("Token.Literal.Number", "number"),
    ("Token.Keyword", "keyword"),
    ("Token.Operator.Word", "keyword"),
    ("Token.Name.Function", "function"),
    ("Token.Name.Class", "function"),
    ("Token.Name.Decorator", "function"),
    ("Token.Name.Tag", "keyword"),
    ("Token.Name.Attribute", "function"),
    ("Token.Name.Builtin", "builtin"),
    ("Token.Generic.Inserted", "added"),
    ("Token.Generic.Deleted", "removed"),
    ("Token.Generic.Heading", "strong"),
    ("Token.Generic.Subheading", "strong"),
)


def highlight(text: str, language: str) -> list[tuple[Span, ...]]:
    """The lines of `text`, each as spans. The text has no tabs and no control characters."""
    lexer = _lexer(language) if language and len(text) <= _COLOURED_MOST else None
    if lexer is None:
        return [(Span(line),) if line else () for line in text.split("\n")]
    lines: list[tuple[Span, ...]] = []
    line: list[Span] = []
    pending, pending_style = "", ""
    # Lexers expect a line feed at the end: what makes the line after it is left out below.
    for _, kind, value in lexer.get_tokens_unprocessed(text + "\n"):
        style = _style(kind)
        # Blanks have no colour: they join what stands before them.
        if value and (style == pending_style or value.isspace()) and "\n" not in value:
            pending += value
            continue
        if pending:
            line.append(Span(pending, pending_style))
        *whole, pending = value.split("\n")
        pending_style = style
        for part in whole:
            if part:
                line.append(Span(part, style))
            lines.append(tuple(line))
            line = []
    return lines


@lru_cache(maxsize=512)
def _style(kind: Any) -> str:
    name = str(kind)
    return next((style for prefix, style in _STYLES if name == prefix or name.startswith(prefix + ".")), "")


@lru_cache(maxsize=64)
def _lexer(language: str) -> "Lexer | None":
    from pygments.lexers import get_lexer_by_name  # pyright: ignore[reportUnknownVariableType]  (no types)
    from pygments.util import ClassNotFound

    try:
        return get_lexer_by_name(language, stripnl=False)
    except ClassNotFound:
        return None


@lru_cache(maxsize=512)
def language_of(path: str) -> str:
    """The language of a file by its name; "" when nobody knows.

    It is the one that pygments finds, which for that makes a thousand regular expressions at its first file.
    """
    name = PurePosixPath(path.replace("\\", "/")).name
    found = [kind for kind in _kinds() if kind.holds(name)]
    return max(found, key=_Kind.rank).language if found else ""


@frozen
class _Kind:
    """Files of one language."""

    lexer: str
    language: str
    pattern: str

    def holds(self, name: str) -> bool:
        """Whether a file of that name is one."""
        end = self.pattern.removeprefix("*")
        if "*" in end or "?" in end or "[" in end:
            return fnmatchcase(name, self.pattern)
        return name == end or (end != self.pattern and name.endswith(end))

    def rank(self) -> tuple[float, str]:
        """The highest is what a file is that is of several kinds: a whole name tells more than its end."""
        from pygments.lexers import find_lexer_class

        lexer = find_lexer_class(self.lexer)
        return (lexer.priority + 0.5 * ("*" not in self.pattern), lexer.__name__) if lexer is not None else (-1.0, "")


@cache
def _kinds() -> tuple[_Kind, ...]:
    from pygments.lexers import get_all_lexers

    every = get_all_lexers(plugins=False)
    return tuple(_Kind(name, known[0], pattern) for name, known, patterns, _ in every if known for pattern in patterns)

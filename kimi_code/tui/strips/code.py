"""Source code to styled lines (only importer of pygments); a language that is not known stays plain."""

from functools import lru_cache
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from kimi_code.tui.strips.line import Span

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


def language_of(path: str) -> str:
    """The language of a file by its name; "" when nobody knows."""
    name = PurePosixPath(path.replace("\\", "/"))
    return _language(name.suffix or name.name)


@lru_cache(maxsize=128)
def _language(suffix: str) -> str:
    from pygments.lexers import find_lexer_class_for_filename

    try:
        found = find_lexer_class_for_filename(f"x{suffix}" if suffix.startswith(".") else suffix)
    except Exception:  # a name that is no name
        return ""
    return found.aliases[0] if found is not None and found.aliases else ""

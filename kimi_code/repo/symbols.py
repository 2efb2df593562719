"""What one file defines, uses and imports: plain values, and `analyse`, which finds them in the file's bytes."""

from collections.abc import Mapping
from typing import Literal

from kimi_code.repo.indexing.languages import is_lock_file, is_vendored
from kimi_code.values import field, frozen

Kind = Literal[
    "class", "interface", "struct", "enum", "trait", "type", "module",
    "function", "method", "macro",
    "constant", "variable", "property", "heading", "block",
]  # fmt: skip

# Why a file has no symbols, "" when it was read. "vendored" comes from its path, the others from its bytes; "unparsed"
# is a text whose grammar is not installed or that has none, so that its symbols are headings and top lines.
Problem = Literal["", "vendored", "too large", "minified", "generated", "binary", "too slow", "unparsed"]

LARGEST = 512 * 1024  # bytes of a file that is looked at
SLOWEST = 1.0  # seconds for one file


@frozen
class Symbol:
    """A definition. Lines count from 1; bytes from 0, in the file's text as UTF-8 without a byte order mark.

    `container` is the dotted name of what it stands in; `signature` one line without the body; `doc` the first line of
    its docstring or comment. The span includes decorators. `exported` follows the rule of the language.
    """

    name: str
    kind: Kind
    container: str
    signature: str
    doc: str
    line: int
    end_line: int
    start_byte: int
    end_byte: int
    exported: bool

    @property
    def path(self) -> str:
        """The dotted name in its file: `Class.method`."""
        return f"{self.container}.{self.name}" if self.container else self.name


@frozen
class Import:
    """One import as it is written: `target` is the module or path, relative ones with their dots.

    `names` are pairs of the name there and the name here; `("*", "*")` is everything, `("", "np")` the module itself.
    """

    target: str
    names: tuple[tuple[str, str], ...]
    line: int


@frozen
class FileSymbols:
    """All that is known of a file. `references` are the lines each name is used at, in order: calls, types,
    attributes, and plain names that the file imports or defines at its top."""

    language: str
    symbols: tuple[Symbol, ...] = ()
    references: Mapping[str, tuple[int, ...]] = field(default_factory=dict[str, tuple[int, ...]])
    imports: tuple[Import, ...] = ()
    problem: Problem = ""


def analyse(path: str, content: bytes, limit_seconds: float = SLOWEST) -> FileSymbols:
    """The symbols of a file, by its name (relative, forward slashes) and its bytes. Never raises for what they hold.

    `limit_seconds` bounds the parse; a file that takes longer is "too slow". One that has no grammar is "unparsed".
    """
    from kimi_code.repo.indexing.analysis import analyse_file

    return analyse_file(path, content, limit_seconds)


def problem_of(path: str, size: int) -> Problem:
    """Why a file is not worth reading, by its path and its size in bytes; "" when it is."""
    if is_vendored(path):
        return "vendored"
    if is_lock_file(path):
        return "generated"
    return "too large" if size > LARGEST else ""

"""What the index answers: definitions, uses, outlines, and how complete an answer is. Values only."""

from collections.abc import Iterable, Mapping
from typing import Generic, TypeVar

from kimi_code.values import frozen

T = TypeVar("T")


@frozen
class Answer(Generic[T]):
    """Items, best first. `partial` says that the index was still reading files when it answered."""

    items: tuple[T, ...]
    partial: bool = False


@frozen
class Definition:
    """A symbol and where it is. Lines count from 1, `end_line` is its last; bytes are a half-open span of the file.

    `container` is dotted, "" at the top of a file; `doc` is the first line of its documentation.
    """

    name: str
    kind: str
    path: str
    line: int
    end_line: int
    container: str = ""
    signature: str = ""
    doc: str = ""
    exported: bool = True
    start_byte: int = 0
    end_byte: int = 0

    @property
    def qualified(self) -> str:
        """Container and name, such as `Session.close`."""
        return f"{self.container}.{self.name}" if self.container else self.name


def innermost(definitions: Iterable[Definition], line: int) -> Definition | None:
    """The smallest definition around a line (from 1)."""
    around = [each for each in definitions if each.line <= line <= each.end_line]
    return min(around, key=lambda each: (each.end_line - each.line, -each.line), default=None)


@frozen
class FileOutline:
    """A file's definitions in the order of lines; `problem` says why a file has none, "" when it was parsed."""

    path: str
    language: str
    definitions: tuple[Definition, ...]
    problem: str = ""


@frozen
class Use:
    """A line that names a symbol; `enclosing` is the definition around it (`Session.close`), "" outside of all."""

    line: int
    enclosing: str = ""


@frozen
class FileUses:
    """A file's uses of a name, in the order of lines.

    `resolved` when the file defines the name, or imports (or lies beside) a file that does: else it is the same name,
    perhaps of something else.
    """

    path: str
    uses: tuple[Use, ...]
    resolved: bool


@frozen
class Skipped:
    """A file that has no symbols, and why: too large, minified, generated, vendored, too slow, crashed the parser."""

    path: str
    reason: str


@frozen
class Status:
    """How far the index is: `files` are all in the tree, `indexed` those whose symbols are known, `pending` come next.

    `looking`: it is still being found out which files there are, and which changed.
    `skipped` counts files by reason. `notes` are for people: why there is no watcher, no cache on disk, no parser.
    """

    files: int = 0
    indexed: int = 0
    pending: int = 0
    looking: bool = False
    skipped: Mapping[str, int] | None = None
    watching: bool = False
    notes: tuple[str, ...] = ()

    @property
    def partial(self) -> bool:
        """Whether answers may still lack something."""
        return self.looking or self.pending > 0

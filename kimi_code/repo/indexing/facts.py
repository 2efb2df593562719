"""What the index keeps of a file: few facts in memory and the details on disk, and how both travel as bytes."""

import json
from collections.abc import Mapping
from operator import attrgetter
from typing import Any, get_args

from kimi_code.repo.indexing.answers import Definition
from kimi_code.repo.symbols import FileSymbols, Import, Kind
from kimi_code.values import frozen

KINDS: tuple[str, ...] = get_args(Kind)
KIND_LETTERS = frozenset(letter for n in range(len(KINDS)) for letter in (chr(ord("a") + n), chr(ord("A") + n)))
_COUNT_MOST = 255
_IN_TEXT = "surrogatepass"
_ENCODER = json.JSONEncoder(separators=(",", ":"), check_circular=False)
_ROW = attrgetter(
    *("name", "kind", "container", "signature", "doc", "line", "end_line", "start_byte", "end_byte", "exported")
)
_LETTERS = {(kind, up): chr(ord("A" if up else "a") + n) for n, kind in enumerate(KINDS) for up in (False, True)}


@frozen
class Facts:
    """What is known of one file in little space. Names are joined by line feeds.

    `defined` has a name for each definition, `kinds` a letter: the kind's place in KINDS, upper case when exported.
    `referenced` has every name once, `counts` (a byte each) how often. `imports` is JSON. `digest` is the content's.
    """

    path: str
    size: int
    mtime_ns: int
    digest: str
    language: str = ""
    problem: str = ""
    defined: str = ""
    kinds: str = ""
    referenced: str = ""
    counts: bytes = b""
    imports: str = "[]"


@frozen
class Detail:
    """All definitions of a file in their order, and the lines of each name it uses."""

    definitions: tuple[Definition, ...]
    references: Mapping[str, tuple[int, ...]]


def kind_letter(kind: str, exported: bool) -> str:
    """A kind and whether it is exported, as one letter."""
    return _LETTERS[kind, exported]


def read_kind(letter: str) -> tuple[str, bool]:
    """What `kind_letter` wrote. Raises ValueError."""
    place = ord(letter.lower()) - ord("a")
    if not 0 <= place < len(KINDS):
        raise ValueError(f"{letter!r} is no kind")
    return KINDS[place], letter.isupper()


def make_facts(path: str, size: int, mtime_ns: int, digest: str, found: FileSymbols) -> tuple[Facts, bytes]:
    """The facts and the encoded detail of a file that was parsed."""
    references = found.references
    if "\n" in "".join(references):
        references = {_one_line(name): lines for name, lines in references.items()}
    facts = Facts(
        path,
        size,
        mtime_ns,
        digest,
        found.language,
        found.problem,
        defined="\n".join([_one_line(symbol.name) for symbol in found.symbols]),
        kinds="".join([kind_letter(symbol.kind, symbol.exported) for symbol in found.symbols]),
        referenced="\n".join(references),
        counts=bytes([n if n < _COUNT_MOST else _COUNT_MOST for n in map(len, references.values())]),
        imports=_ENCODER.encode([[each.target, each.names, each.line] for each in found.imports]),
    )
    return facts, _ENCODER.encode([list(map(_ROW, found.symbols)), references]).encode()


def pack_facts(facts: Facts, detail: bytes) -> tuple[dict[str, Any], bytes]:
    """What travels from process to process: a header for JSON, and a body whose text needs no escapes."""
    texts = (facts.defined, facts.referenced, facts.imports)
    parts = [*(text.encode("utf-8", _IN_TEXT) for text in texts), facts.counts]
    header = {
        "path": facts.path, "size": facts.size, "mtime_ns": facts.mtime_ns, "digest": facts.digest,
        "language": facts.language, "problem": facts.problem, "kinds": facts.kinds, "lengths": list(map(len, parts)),
    }  # fmt: skip
    return header, b"".join((*parts, detail))


def unpack_facts(header: Mapping[str, Any], body: bytes) -> tuple[Facts, bytes]:
    """Facts and detail of what `pack_facts` made. Raises KeyError, TypeError, ValueError when it is something else."""
    parts: list[bytes] = []
    place = 0
    for length in header["lengths"]:
        parts.append(body[place : place + length])
        place += length
    *texts, counts = parts
    defined, referenced, imports = (text.decode("utf-8", _IN_TEXT) for text in texts)
    facts = Facts(
        *(header["path"], header["size"], header["mtime_ns"], header["digest"], header["language"], header["problem"]),
        *(defined, header["kinds"], referenced, counts, imports),
    )
    return facts, body[place:]


def read_detail(path: str, encoded: bytes) -> Detail:
    """What `make_facts` encoded. Raises ValueError when it is something else."""
    try:
        rows, references = json.loads(encoded)
        definitions = tuple(_definition(path, *row) for row in rows)
        return Detail(definitions, {str(name): tuple(map(int, lines)) for name, lines in references.items()})
    except (TypeError, AttributeError) as error:
        raise ValueError(f"no detail of {path}: {error}") from error


def _definition(
    path: str, name: str, kind: str, container: str, signature: str, doc: str,
    line: int, end_line: int, start_byte: int, end_byte: int, exported: bool,
) -> Definition:  # fmt: skip
    return Definition(
        *(name, kind, path, line, end_line, container, signature, doc, exported, start_byte, end_byte)
    )  # fmt: skip


def read_imports(encoded: str) -> tuple[Import, ...]:
    """The imports in Facts. Raises ValueError when they are something else."""
    try:
        rows: Any = json.loads(encoded)
        return tuple(
            Import(target, tuple((there, here) for there, here in names), line) for target, names, line in rows
        )
    except TypeError as error:
        raise ValueError(f"no imports: {error}") from error


def _one_line(name: str) -> str:
    return name.replace("\n", " ") if "\n" in name else name

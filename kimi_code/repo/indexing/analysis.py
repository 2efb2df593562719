"""A file's bytes -> its symbols: what is not source is told apart first, then each language in it is read."""

import re
from collections.abc import Iterable, Mapping

from kimi_code.repo.indexing.blocks import nest
from kimi_code.repo.indexing.definitions import read_definitions, read_references
from kimi_code.repo.indexing.import_statements import read_imports
from kimi_code.repo.indexing.languages import language_of
from kimi_code.repo.indexing.plain_outline import outline, salvage
from kimi_code.repo.indexing.python_tree import find_statements
from kimi_code.repo.indexing.token_uses import import_dots, read_code, token_uses
from kimi_code.repo.symbols import FileSymbols, Import, Problem, Symbol, problem_of
from kimi_code.repo.syntax import Span, TooSlowError, capture, read_tree
from kimi_code.repo.text import UTF8, decode

_MINIFIED_LINE = 300  # bytes of a mean line
_HEAD = 1_500  # bytes in which a file says that it is generated
_PROSE = frozenset({"", "markdown"})  # where a paragraph may be a line
_ERRORS_MOST = 40  # places in a file where definitions are looked for line by line
# Where a definition has a word that tells it, at the start of a line.
_SALVAGED = frozenset(
    {
        "python", "javascript", "typescript", "tsx", "go", "rust", "java", "csharp", "ruby", "php", "kotlin", "swift",
        "lua", "bash", "scala", "elixir", "zig", "dart",
    }
)  # fmt: skip
_MIXED = frozenset({"html", "vue", "svelte", "jinja"})

_GENERATED = re.compile(
    rb"""^[ \t]*(?:\#|//|/?\*|--|<!--|;|%|\"{3})\W*
    (?:[^\n]*\bDO[ ]NOT[ ](?:EDIT|MODIFY)\b | [^\n]*@generated\b | [^\n]*\b(?:auto-?|automatically[ ])generated\b
      | (?:this[ ]\w+[ ](?:is|was|has[ ]been)[ ]|code[ ])?generated[ ](?:by|from|with|using)\b)""",
    re.M | re.I | re.X,
)
_SAID_OF_GENERATED = (b"generated", b"do not ")  # one of which the pattern needs
_SCRIPT = re.compile(rb"<script\b([^>]*)>(.*?)(?:</script\s*>|\Z)", re.S | re.I)
_DATA_SCRIPT = re.compile(rb"""type\s*=\s*["']?(?!text/javascript|application/javascript|module|text/babel)\w""", re.I)
_TYPED_SCRIPT = re.compile(rb"""lang\s*=\s*["']?(tsx?)\b""", re.I)

Found = tuple[list[Symbol], Mapping[str, tuple[int, ...]], tuple[Import, ...]]


def analyse_file(path: str, content: bytes, limit_seconds: float) -> FileSymbols:
    """`symbols.analyse`, which see."""
    language = language_of(path, content[:65_536])
    if problem := problem_of(path, len(content)):
        return FileSymbols(language, problem=problem)
    decoded = decode(content)
    if decoded is None:
        return FileSymbols(language, problem="binary")
    text = content if decoded.encoding == UTF8 else decoded.text.encode()
    if problem := _made_by_a_tool(language, text):
        return FileSymbols(language, problem=problem)
    try:
        if language in _MIXED:
            return _read_mixed(language, text, limit_seconds)
        if language == "markdown":  # an outline by headings is all there is to know, and its grammar has no better
            return FileSymbols(language, tuple(outline(language, text)))
        found = _read(language, text, limit_seconds)
    except TooSlowError:
        return FileSymbols(language, problem="too slow")
    if found is None:
        return FileSymbols(language, tuple(outline(language, text)), problem="unparsed")
    symbols, references, imports = found
    return FileSymbols(language, tuple(symbols), references, imports)


def _made_by_a_tool(language: str, content: bytes) -> Problem:
    if language not in _PROSE and len(content) > _MINIFIED_LINE * (content.count(b"\n") + 2):
        return "minified"
    head = content[:_HEAD]
    may_be = any(word in head.lower() for word in _SAID_OF_GENERATED)
    return "generated" if may_be and _GENERATED.search(head) else ""


def _read(language: str, content: bytes, limit_seconds: float, within: tuple[Span, ...] = ()) -> Found | None:
    """What one language says; None when there is no grammar for it."""
    root = read_tree(language, content, limit_seconds, within)
    if root is None:
        return None
    if language == "python" and not root.has_error:
        blocks, captures = find_statements(root)
    else:
        captures = capture(language, root)
        blocks = nest(language, content, captures)
    symbols, names = read_definitions(language, content, blocks, captures.get("public", ()))
    if "error" in captures and language in _SALVAGED:
        symbols = _with_salvaged(language, content, symbols, [node.byte_range for node in captures["error"]])
    elif "error" in captures and not symbols:
        symbols = outline(language, content)
    nodes = sorted(captures.get("import", ()), key=lambda node: node.start_byte)
    statements = [
        (content[node.start_byte : node.end_byte].decode("utf-8", "replace"), node.start_point[0] + 1) for node in nodes
    ]
    imports = read_imports(language, statements)
    known = _known(symbols, imports)
    if language != "python":
        return symbols, read_references(content, captures, names, known), imports
    spans = [*names.items(), *import_dots(content, [node.byte_range for node in nodes])]
    return symbols, token_uses(read_code(content, root, captures, spans), known), imports


def _with_salvaged(language: str, content: bytes, symbols: list[Symbol], errors: list[Span]) -> list[Symbol]:
    """The symbols and those that stand in what could not be read, on lines that have none yet."""
    lines = {symbol.line for symbol in symbols}
    symbols = list(symbols)
    done = 0
    for start, end in sorted(errors)[:_ERRORS_MOST]:
        if end <= done:
            continue
        for symbol in salvage(language, content, max(start, done), end):
            if symbol.line not in lines:
                lines.add(symbol.line)
                symbols.append(symbol)
        done = end
    symbols.sort(key=lambda symbol: symbol.start_byte)
    return symbols


def _known(symbols: list[Symbol], imports: tuple[Import, ...]) -> set[str] | None:
    """The names that are no local variables: of the file's top and what it imports; None when that may be any."""
    known = {name for statement in imports for pair in statement.names for name in pair}
    known.update(symbol.name for symbol in symbols if not symbol.container)
    return None if "*" in known else known


def _read_mixed(language: str, content: bytes, limit_seconds: float) -> FileSymbols:
    """A page: its scripts by their languages, its markup by its grammar, the rest by what stands out."""
    parts: list[Found] = [(outline(language, content), {}, ())]
    if language == "html" and (markup := _read(language, content, limit_seconds)):
        parts.append(markup)
    for script, spans in _scripts(content).items():
        if found := _read(script, content, limit_seconds, tuple(spans)):
            parts.append(found)
    return _joined(language, parts)


def _scripts(content: bytes) -> dict[str, list[Span]]:
    scripts: dict[str, list[Span]] = {}
    for found in _SCRIPT.finditer(content):
        if found[2].strip() and not _DATA_SCRIPT.search(found[1]):
            typed = _TYPED_SCRIPT.search(found[1])
            script = "javascript" if typed is None else "tsx" if typed[1].lower() == b"tsx" else "typescript"
            scripts.setdefault(script, []).append(found.span(2))
    return scripts


def _joined(language: str, parts: Iterable[Found]) -> FileSymbols:
    symbols: list[Symbol] = []
    references: dict[str, tuple[int, ...]] = {}
    imports: list[Import] = []
    for some_symbols, some_references, some_imports in parts:
        symbols += some_symbols
        imports += some_imports
        for name, lines in some_references.items():
            references[name] = tuple(sorted({*references.get(name, ()), *lines}))
    symbols.sort(key=lambda symbol: symbol.start_byte)
    return FileSymbols(language, tuple(symbols), references, tuple(imports))

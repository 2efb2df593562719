"""Parsers and queries, one of each per language and process; the owner of tree_sitter for the repository.

A grammar is a wheel of its own and is imported when its first file comes. The binding holds the GIL while it parses:
call this in a process that nobody waits for.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, lru_cache
from importlib import import_module
from importlib.resources import files
from importlib.util import find_spec
from types import MappingProxyType
from typing import TYPE_CHECKING, cast

from kimi_code.values import frozen

if TYPE_CHECKING:
    from tree_sitter import Language, Parser, Point, Query, Range, Tree
    from tree_sitter import Node as Node

Span = tuple[int, int]  # bytes from, to
Captures = Mapping[str, Sequence["Node"]]

# The module and function of each grammar; the queries of a language are its own and those it builds on.
_GRAMMARS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "python": ("tree_sitter_python", "language"),
        "javascript": ("tree_sitter_javascript", "language"),
        "typescript": ("tree_sitter_typescript", "language_typescript"),
        "tsx": ("tree_sitter_typescript", "language_tsx"),
        "go": ("tree_sitter_go", "language"),
        "rust": ("tree_sitter_rust", "language"),
        "java": ("tree_sitter_java", "language"),
        "c": ("tree_sitter_c", "language"),
        "cpp": ("tree_sitter_cpp", "language"),
        "csharp": ("tree_sitter_c_sharp", "language"),
        "ruby": ("tree_sitter_ruby", "language"),
        "php": ("tree_sitter_php", "language_php"),
        "bash": ("tree_sitter_bash", "language"),
        "kotlin": ("tree_sitter_kotlin", "language"),
        "swift": ("tree_sitter_swift", "language"),
        "lua": ("tree_sitter_lua", "language"),
        "scala": ("tree_sitter_scala", "language"),
        "elixir": ("tree_sitter_elixir", "language"),
        "dart": ("tree_sitter_dart", "language"),
        "html": ("tree_sitter_html", "language"),
        "css": ("tree_sitter_css", "language"),
        "json": ("tree_sitter_json", "language"),
        "yaml": ("tree_sitter_yaml", "language"),
        "toml": ("tree_sitter_toml", "language"),
        "zig": ("tree_sitter_zig", "language"),
        "haskell": ("tree_sitter_haskell", "language"),
        "hcl": ("tree_sitter_hcl", "language"),
    }
)
LANGUAGES = tuple(_GRAMMARS)
_QUERY_FILES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "javascript": ("ecmascript", "javascript"),
        "typescript": ("ecmascript", "typescript"),
        "tsx": ("ecmascript", "typescript"),
        "cpp": ("c", "cpp"),
    }
)

_ERRORS = "\n(ERROR) @error"
_SHORT = 64 * 1024  # bytes that parse in milliseconds whatever they are: no need to look at the clock meanwhile
_CHUNK = 256 * 1024
_MOST_LOOSE = 4_000  # tokens
_MOST_STATES = 2_048  # unfinished matches of a query; more make it slow, and real files hardly need them
_MOST_LEVELS = 2_000  # of a tree
_PROBE_EVERY = 8 * 1024  # bytes


class TooSlowError(Exception):
    """A parse or a query took longer than its limit."""


@frozen
class Grammar:
    """A language's parser and its compiled queries: `top` has the patterns that begin at a tree's root.

    Such a pattern is tried at each node of the tree; apart, only at the root's children (of Python's query an eighth).
    """

    parser: "Parser"
    query: "Query"
    top: "Query | None"


@cache
def _language(name: str) -> "tuple[Language, Parser] | None":
    from tree_sitter import Language, Parser

    if name not in _GRAMMARS:
        return None
    module, function = _GRAMMARS[name]
    try:
        language = Language(cast(object, getattr(import_module(module), function)()))
        return language, Parser(language)
    except (ImportError, AttributeError, ValueError):  # missing; of another make; of an ABI not known here
        return None


@lru_cache(maxsize=64)
def grammar_for(language: str) -> Grammar | None:
    """The grammar of a language; None when it has none or its wheel is not installed (`kimi-code[langs]`)."""
    from tree_sitter import Query

    found = _language(language)
    if found is None:
        return None
    try:
        top = query_text(language, "-top")
        return Grammar(found[1], Query(found[0], query_text(language) + _ERRORS), Query(found[0], top) if top else None)
    except ValueError:  # nodes that are not known here
        return None


def kind_numbers(language: str, kinds: Iterable[str]) -> dict[int, str]:
    """Kinds of named nodes by `Node.kind_id`, which costs less than a node's type; empty without a grammar."""
    found = _language(language)
    numbers = {found[0].id_for_node_kind(kind, True): kind for kind in kinds} if found else {}
    return {number: kind for number, kind in numbers.items() if number is not None}


def missing_grammars() -> tuple[str, ...]:
    """The languages whose grammar is not installed, without loading any."""
    return tuple(language for language, (module, _) in _GRAMMARS.items() if find_spec(module) is None)


def query_text(language: str, part: str = "") -> str:
    """The queries of a language, or a part of them, as they are written; "" where there are none."""
    folder = files("kimi_code.repo") / "queries"
    found = (folder / f"{name}{part}.scm" for name in _QUERY_FILES.get(language, (language,)))
    return "\n".join(each.read_text("utf-8") for each in found if each.is_file())


def read_tree(language: str, content: bytes, limit_seconds: float, within: Sequence[Span] = ()) -> "Node | None":
    """The root of a UTF-8 text's tree, None without a grammar; with `within`, only of those parts, as one program.

    Raises TooSlowError, also for a tree in which a query would be.
    """
    grammar = grammar_for(language)
    if grammar is None:
        return None
    tree = _parse(grammar.parser, content, time.monotonic() + limit_seconds, within)
    if _is_wreck(tree.root_node) or _is_too_deep(tree, len(content)):
        raise TooSlowError
    return tree.root_node


def capture(language: str, root: "Node") -> "dict[str, list[Node]]":
    """The nodes of a tree that the queries of its language capture, by capture name, those of each query in order."""
    from tree_sitter import QueryCursor

    grammar = grammar_for(language)
    if grammar is None:
        return {}
    captures = QueryCursor(grammar.query, match_limit=_MOST_STATES).captures(root)
    if grammar.top is not None:
        cursor = QueryCursor(grammar.top, match_limit=_MOST_STATES)
        cursor.set_max_start_depth(0)
        for name, nodes in cursor.captures(root).items():
            captures.setdefault(name, []).extend(nodes)
    return captures


def parse(language: str, content: bytes, limit_seconds: float) -> "Node | None":
    """The root of a UTF-8 text's tree; None without a grammar, for a wreck, and when it takes longer."""
    grammar = grammar_for(language)
    if grammar is None:
        return None
    try:
        root = _parse(grammar.parser, content, time.monotonic() + limit_seconds, ()).root_node
    except TooSlowError:
        return None
    return None if _is_wreck(root) else root


def find_errors(language: str, content: bytes, limit_seconds: float, most: int = 200) -> list[tuple[int, str]]:
    """The lines (from 1) where a UTF-8 text does not parse, each with what is missing there, "" for what is too much.

    Empty without a grammar, and when it takes longer; no query is compiled for it.
    """
    found = _language(language)
    if found is None:
        return []
    try:
        root = _parse(found[1], content, time.monotonic() + limit_seconds, ()).root_node
    except TooSlowError:
        return []
    errors: list[tuple[int, str]] = []
    left = [root]
    while left and len(errors) < most:
        node = left.pop()
        if node.is_error or node.is_missing:
            errors.append((node.start_point[0] + 1, node.type if node.is_missing else ""))
        elif node.has_error:
            left += reversed(node.children)
    return errors


def _is_wreck(root: "Node") -> bool:
    """Whether the parser gave up and left thousands of loose tokens: a query looks at the later ones for each of them.

    (tree-sitter 0.26: 200,000 opening brackets take 67 s. The time of a query cannot be limited: a progress callback
    crashes the binding.)
    """
    if not root.has_error:
        return False
    wrecks = (root, *(node for node in root.children if node.is_error))
    return any(node.child_count - node.named_child_count > _MOST_LOOSE for node in wrecks)


def _is_too_deep(tree: "Tree", size: int) -> bool:
    """Whether a tree has thousands of levels: the time of a query grows with their square (16,000 take 5 s).

    Looked up at a few places: so many levels take kilobytes of text.
    """
    cursor = tree.walk()
    for place in range(_PROBE_EVERY, size, _PROBE_EVERY):
        cursor.reset(tree.root_node)
        for _ in range(_MOST_LEVELS):
            if cursor.goto_first_child_for_byte(place) is None:
                break
        else:
            return True
    return False


def _parse(parser: "Parser", content: bytes, deadline: float, within: Sequence[Span]) -> "Tree":
    if within:
        parser.included_ranges = _ranges(content, within)
    try:
        if len(content) <= _SHORT:
            return parser.parse(content)
        return _parse_in_time(parser, content, deadline)
    finally:
        parser.reset()
        if within:
            del parser.included_ranges


def _parse_in_time(parser: "Parser", content: bytes, deadline: float) -> "Tree":
    def read(start: int, _: "Point") -> bytes:
        return content[start : start + _CHUNK]

    def is_overdue(_offset: int, _error: bool) -> bool:
        return time.monotonic() > deadline

    try:
        return parser.parse(read, progress_callback=is_overdue)
    except ValueError as error:
        raise TooSlowError from error


def _ranges(content: bytes, within: Sequence[Span]) -> "list[Range]":
    from tree_sitter import Point, Range

    def point(offset: int) -> Point:
        return Point(content.count(b"\n", 0, offset), offset - content.rfind(b"\n", 0, offset) - 1)

    return [Range(point(start), point(end), start, end) for start, end in within]

"""Python's fast path: a walk over statements finds what the query captures, a scan of literals what the tree says."""

import re
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from kimi_code.repo.indexing.analysis import analyse_file
from kimi_code.repo.indexing.blocks import nest
from kimi_code.repo.indexing.definitions import read_definitions
from kimi_code.repo.indexing.python_tree import find_statements
from kimi_code.repo.indexing.token_uses import read_code, token_uses
from kimi_code.repo.symbols import Symbol
from kimi_code.repo.syntax import Span, capture, read_tree

ODD = """
from . import a
from __future__ import annotations
import b.c as d; import e
type Alias = int
type Pair[T] = tuple[T, T]
class One(Base):
    x: int
    y = z = 1
    p, q = 1, 2
    if x:
        hidden = 1
    class Two: w = 3
try:
    type Late = int
    tried = 1
    if x: deep = 1
except E:
    failed = 1
left, right = 1, 2
if a:
    u, v = 1, 2
    both: int = 1
else:
    other = 2
    class Late:
        '''Said.'''
        if a: not_here = 1
# Of the class.
@decorated(1)
@again
class Decorated[T](
    Base,
):
    async def g( self, a, ): return 1
@decorated
async def f(match, case, type):
    match match:
        case Point(x=0): case = type(match)
        case _:
            def inner(): import late
    try:
        pass
    except* Error:
        class InExcept: pass
    else:
        def in_else(): pass
    finally:
        with a as b:
            for c in d:
                while e:
                    def deep(): pass
lambda: 0
if a: v = 1
elif b: w = 2
else: u = 3
"""

LITERALS = (
    r"""
f"at the start {Start}"
One = 'a \' # no comment' + "b \" c" # Comment "with a quote
Two = '''it's ""\' not \''' over''' + Three
Four = rb'\\' + Rb"x" + F"a{Five!r:>{Width}}b{Six:x}" f'{ {"key": Seven}["key"] }'
Eight = f"{Nine["same quotes"]}" if"a"else"b" + t"x{Ten}"
Eleven = '''two
lines'''; Twelve = "continued \
here"; Thirteen
fourteen = a. Fifteen + 1. + b.\
    sixteen + "x" .seventeen + ... + c[..., 1:2].eighteen + 0x1F.real + 1.5.hex()
def f(x=f'''{
    Nineteen  # Comment
}'''): return x["post"]if x else rf'\d{Twenty}'"""
    + '"""'
    + " Docs # and ' more\n"
    + '"""\n'
)


def definitions_of(content: bytes, *, walked: bool) -> tuple[list[Symbol], dict[int, int], dict[str, set[Span]]]:
    """The symbols, where their names stand, and what is captured but strings and comments: those are in the text."""
    root = read_tree("python", content, 10)
    assert root is not None and not root.has_error
    if walked:
        blocks, captures = find_statements(root)
    else:
        captures = capture("python", root)
        blocks = nest("python", content, captures)
    literal = {"string_content", "comment", "type_conversion"}
    spans = {
        tag: {node.byte_range for node in captures.get(tag, ()) if node.type not in literal}
        for tag in ("import", "opaque")
    }
    return *read_definitions("python", content, blocks), spans


def uses_of(content: bytes, *, scanned: bool) -> dict[str, tuple[int, ...]]:
    """Every name and its lines: by a scan for literals, or without what the query says is one."""
    root = read_tree("python", content, 10)
    assert root is not None and not root.has_error
    if scanned:
        return token_uses(read_code(content, root, find_statements(root)[1], ()), None)
    found = capture("python", root)
    code = bytearray(content)
    for node in (*found.get("opaque", ()), *found.get("format", ())):
        start, end = node.byte_range
        if node.type != "format_specifier" or b"{" not in content[start:end]:
            code[start:end] = re.sub(rb"[^\n]", b" ", code[start:end])
    return token_uses(bytes(code), None)


def sources() -> Iterator[tuple[Path, bytes]]:
    """Files of the standard library that parse: every twentieth, and a few of the richest."""
    files = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
    for file in (*files[::20], *(file for file in files if file.stem in ("dataclasses", "enum", "typing"))):
        content = file.read_bytes()
        root = read_tree("python", content, 10)
        if root is not None and not root.has_error:
            yield file, content


def test_statements_hold_what_the_query_captures() -> None:
    assert definitions_of(ODD.encode(), walked=True) == definitions_of(ODD.encode(), walked=False)


def test_the_scan_leaves_the_names_that_the_query_leaves() -> None:
    assert uses_of(LITERALS.encode(), scanned=True) == uses_of(LITERALS.encode(), scanned=False)


def test_uses_stand_between_literals_and_in_the_braces_of_formatted_strings() -> None:
    found = uses_of(LITERALS.encode(), scanned=True)
    assert found["Start"] == (2,) and found["Fifteen"] == (10,) and found["sixteen"] == (11,)
    assert {"Width", "Nine", "Ten", "Thirteen", "Nineteen", "Twenty", "seventeen", "eighteen"} <= found.keys()
    assert not {"Comment", "Docs", "post", "quote", "over", "here", "start", "key", "quotes"} & found.keys()


@pytest.mark.parametrize(
    "line",
    [
        r"""x = "" + One + '' + "\"" + Two + '\\' + Three + "\'" """,
        r"""x = """ + '"' * 6 + r""" + One + '''a\'''' + Two""",
        """x = ""f"{One}"'' f'' rf"{Two!r}"''"#" + Three # Four""",
        """x = [1, f"{One}" . Two, 1. .Three, fr'{Four["#"]}'"f" 'r']""",
    ],
)
def test_quotes_next_to_quotes_and_escapes_hide_no_name(line: str) -> None:
    found = uses_of(line.encode() + b"\nLast", scanned=True)
    assert found == uses_of(line.encode() + b"\nLast", scanned=False)
    assert {"One", "Two", "Last"} <= found.keys()


def test_real_files_give_the_same_either_way() -> None:
    checked = 0
    for file, content in sources():
        assert definitions_of(content, walked=True) == definitions_of(content, walked=False), file
        assert uses_of(content, scanned=True) == uses_of(content, scanned=False), file
        checked += 1
    assert checked > 8


def test_a_file_with_errors_is_read_by_the_query() -> None:
    found = analyse_file("a.py", b"def f():\n    return [\n\nclass C:\n    x = Name.attribute\n", 10)
    assert "C" in [symbol.name for symbol in found.symbols] and "attribute" in found.references

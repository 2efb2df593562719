"""The uses of names in Python, read from the tokens: what real modules use by Python's own parser, and odd forms."""

import argparse
import ast
import dataclasses
import inspect
import json.decoder
import textwrap
from collections.abc import Mapping
from types import ModuleType

import pytest

from kimi_code.repo.symbols import analyse


def uses(source: str) -> Mapping[str, tuple[int, ...]]:
    return analyse("a.py", source.encode()).references


@pytest.mark.parametrize("module", [argparse, dataclasses, json.decoder, textwrap, inspect])
def test_every_attribute_of_a_real_module_is_a_use_on_its_line_and_no_use_is_made_up(module: ModuleType) -> None:
    source = inspect.getsource(module)
    nodes = list(ast.walk(ast.parse(source)))
    attributes = {(node.attr, node.end_lineno) for node in nodes if isinstance(node, ast.Attribute)}
    words = {name for name, _ in attributes}
    for node in nodes:
        match node:
            case ast.Name(id=name) | ast.arg(arg=name) | ast.keyword(arg=str(name)):
                words.add(name)
            case ast.alias(name=name, asname=other):
                words.update((*name.split("."), *((other,) if other else ())))
            case ast.ImportFrom(module=str(name)):
                words.update(name.split("."))
            case ast.ExceptHandler(name=str(name)):
                words.add(name)
            case _:
                pass
    found = uses(source)
    assert attributes <= {(name, line) for name, lines in found.items() for line in lines}
    assert found.keys() <= words


def test_strings_comments_and_keywords_hold_no_uses() -> None:
    source = '''
from x import f, Found, None_
F"Capital {Found.attribute:%Y} {f!r}"  # Comment.attribute
text = """
Prose. With.dots
""" or Found
value = True if None else B"Bytes"
'''
    assert uses(source) == {"f": (2, 3), "Found": (2, 3, 6), "None_": (2,), "attribute": (3,)}


def test_names_in_a_format_are_uses() -> None:
    assert uses("from x import width\nf'{1:>{width}} {1:>{a.b}}'\n") == {"width": (1, 2), "b": (2,)}


def test_a_number_or_an_ellipsis_makes_no_attribute_of_the_next_name() -> None:
    assert uses("a = 1.\nlocal = 2.5\nb = ...\nlocal = 1e5 + .5\n'x'.join(other)\n") == {"join": (5,)}


def test_an_attribute_may_stand_on_the_next_line() -> None:
    assert uses("(a\n  .first()  # why.not\n  .  second)\na. \\\n  third\n") == {
        "first": (2,),
        "second": (3,),
        "third": (5,),
    }


def test_the_parts_of_an_imported_module_are_no_attributes() -> None:
    assert uses("from .inner import thing\nimport a.b.c\n") == {"thing": (1,)}


def test_after_a_star_import_every_name_may_be_a_use_but_no_keyword() -> None:
    assert uses("from x import *\nfor each in known: return each\n") == {"x": (1,), "each": (2,), "known": (2,)}


def test_words_that_are_keywords_in_one_place_are_names_in_another() -> None:
    source = "from re import match\nmatch match(x):\n    case 1: match(y)\ntype T = match\n"
    assert uses(source) == {"match": (1, 2, 3, 4)}


def test_names_beyond_ascii_are_whole() -> None:
    assert uses("from x import größe\na.länge = größe\n") == {"größe": (1, 2), "länge": (2,)}


def test_a_character_that_no_code_has_parts_two_names() -> None:
    assert uses("from a import left, right\nleft?right\n") == {"left": (1, 2), "right": (1, 2)}

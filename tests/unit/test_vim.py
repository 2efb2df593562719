"""Vim's keys: what they make of a text, as examples and as what always holds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kimi_code.tui.input.vim import Vim

KEYS = st.text("hjklwbe0$^xXdDcCiaIAoOyYpPugG23 zé", max_size=25)


def typed(keys: str, text: str, at: int = 0, *, vim: Vim | None = None) -> tuple[str, str]:
    """The text after the keys with the caret as "|", and the mode; "~" is Esc, what is inserted is inserted."""
    vim = vim or Vim("normal")
    for key in keys:
        done = vim.press("escape" if key == "~" else key, text, at)
        if done is not None:
            text, at = done.text, done.at
        elif vim.mode == "insert":
            text, at = text[:at] + key + text[at:], at + 1
    return text[:at] + "|" + text[at:], vim.mode


@pytest.mark.parametrize(
    ("keys", "text", "expected"),
    [
        ("w", "one two", "one |two"),
        ("2w", "one two three", "one two |three"),
        ("$", "one\ntwo", "on|e\ntwo"),
        ("e", "one two", "on|e two"),
        ("$b", "one two", "one |two"),
        ("^", "  one", "  |one"),
        ("G", "one\ntwo", "one\ntw|o"),
        ("Ggg", "one\ntwo", "|one\ntwo"),
        ("jl", "one\ntwo", "one\nt|wo"),
        ("lljk", "one\nt", "|one\nt"),
        ("x", "one", "|ne"),
        ("3x", "one two", "| two"),
        ("$x", "one", "o|n"),
        ("dw", "one two", "|two"),
        ("d2w", "one two three", "|three"),
        ("wdw", "one two\nthree", "one| \nthree"),
        ("$db", "one two", "one |o"),
        ("wD", "one two", "one| "),
        ("dd", "one\ntwo", "|two"),
        ("jdd", "one\ntwo", "|one"),
        ("2dd", "one\ntwo\nthree", "|three"),
        ("yyp", "one\ntwo", "one\n|one\ntwo"),
        ("ddp", "one\ntwo", "two\n|one"),
        ("xp", "one", "n|oe"),
        ("ywP", "one two", "one| one two"),
        ("dz", "one", "|one"),
    ],
)
def test_in_normal_mode(keys: str, text: str, expected: str) -> None:
    assert typed(keys, text) == (expected, "normal")


@pytest.mark.parametrize(
    ("keys", "text", "expected"),
    [
        ("ix", "one", "x|one"),
        ("ax", "one", "ox|ne"),
        ("Ax", "one\ntwo", "onex|\ntwo"),
        ("wIx", "one two", "x|one two"),
        ("ox", "one\ntwo", "one\nx|\ntwo"),
        ("Ox", "one", "x|\none"),
        ("cwx", "one two", "x| two"),
        ("ccx", "one\ntwo", "x|\ntwo"),
        ("wCx", "one two", "one x|"),
    ],
)
def test_into_insert_mode(keys: str, text: str, expected: str) -> None:
    assert typed(keys, text) == (expected, "insert")


def test_esc_leaves_insert_mode_then_a_command_and_is_nobodys_after_that() -> None:
    vim = Vim()
    assert typed("ab~", "", vim=vim) == ("a|b", "normal")
    assert vim.press("d", "ab", 1) is not None
    assert vim.press("escape", "ab", 1) is not None
    assert vim.press("escape", "ab", 1) is None


def test_the_history_is_beyond_the_first_and_the_last_line() -> None:
    assert Vim("normal").press("k", "one\ntwo", 1) is None
    assert Vim("normal").press("j", "one\ntwo", 5) is None


@given(KEYS, st.text("ab \n漢", max_size=30), st.integers(0, 30))
def test_the_caret_stays_in_the_text_and_what_is_no_command_types_nothing(keys: str, text: str, at: int) -> None:
    vim, at = Vim("normal"), min(at, len(text))
    for key in keys:
        before = text
        done = vim.press(key, text, at)
        if done is not None:
            text, at = done.text, done.at
            assert 0 <= at <= len(text)
        if key in "hjklwbe0$^uz":
            assert len(text) <= len(before)

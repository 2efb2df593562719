"""Unified diffs, also of files without a last line feed: what they say comes about to the byte, or nothing does."""

from difflib import unified_diff

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from kimi_code.errors import PatchError
from kimi_code.repo import patch
from kimi_code.repo.patchset import parse

NO_FEED = "\\ No newline at end of file\n"


def diff(old: str, new: str) -> str:
    """As git writes it."""
    lines = unified_diff(old.splitlines(keepends=True), new.splitlines(keepends=True), "a/f", "b/f")
    return "".join(line if line.endswith("\n") else f"{line}\n{NO_FEED}" for line in lines)


def apply(text: str, patch_text: str) -> str:
    (part,) = parse(patch_text)
    return patch.apply(text, part.edits, noun="Hunk").text


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("one\ntwo", "one\ntwo\n"),
        ("one\ntwo\n", "one\ntwo"),
        ("one", "one\ntwo\n"),
        ("one\ntwo\n", "one"),
        ("a", "b\n"),
    ],
)
def test_the_last_line_feed_comes_and_goes(old: str, new: str) -> None:
    assert apply(old, diff(old, new)) == new


@pytest.mark.parametrize(
    ("there", "old", "new"),
    [
        ("one\ntwo\n", "one\ntwo", "one\ntwo\n"),  # it is there already
        ("one\ntwo\n\n", "one\ntwo\n", "one\ntwo"),  # more comes after it
        ("one\ntwo\nthree", "one\ntwo", "one\nTWO\n"),
    ],
)
def test_a_last_line_that_is_not_the_last_is_refused(there: str, old: str, new: str) -> None:
    with pytest.raises(PatchError):
        apply(there, diff(old, new))


def _text(parts: tuple[list[str], str]) -> str:
    return "\n".join(parts[0]) + parts[1]


LINES = st.lists(st.sampled_from(["alpha", "beta", "", "  deep", "\ttab", "*** star", "@@ at", "-- x", "++ y"]))
TEXTS = st.tuples(LINES, st.sampled_from(["", "\n"])).map(_text)


@given(TEXTS, TEXTS, st.sampled_from(["\n", "\r\n"]))
def test_any_diff_makes_the_new_text_or_nothing(old: str, new: str, ending: str) -> None:
    assume(old != new and old and new and ("\n" in old or ending == "\n"))  # else nothing shows its style
    try:
        found = apply(old.replace("\n", ending), diff(old, new))
    except PatchError:  # such as of lines that are there twice
        return
    assert found == new.replace("\n", ending)


@given(TEXTS, TEXTS, TEXTS)
def test_a_diff_of_another_text_never_touches_what_it_does_not_name(there: str, old: str, new: str) -> None:
    assume(old != new and old and new and there)
    try:
        found = apply(there + "\nkept\n", diff(old, new))
    except PatchError:
        return
    assert found.endswith("\nkept\n")

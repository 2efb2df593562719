import time

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from kimi_code.errors import PatchError
from kimi_code.repo.patch import Edit, apply
from kimi_code.repo.text import decode, encode
from tests.costly import costly

CODE = "def f():\n    return 1\n\n\ndef g():\n    return 2\n"


def test_the_only_place_is_replaced() -> None:
    assert apply(CODE, [Edit("return 1", "return 3")]).text == CODE.replace("1", "3")


def test_edits_apply_one_after_the_other() -> None:
    patched = apply("a b", [Edit("a", "c"), Edit("c b", "d")])
    assert (patched.text, patched.replaced) == ("d", 2)


def test_one_edit_that_does_not_fit_undoes_all_and_is_named() -> None:
    with pytest.raises(PatchError, match=r"^Edit 2 of 2 \(none was applied\): old_string is not in the file"):
        apply(CODE, [Edit("return 1", "return 3"), Edit("nowhere at all", "x")])


def test_several_places_are_listed_by_line_and_replaced_on_request() -> None:
    with pytest.raises(PatchError, match="there 2 times, at lines 2, 6"):
        apply(CODE, [Edit("    return ", "    yield ")])
    patched = apply(CODE, [Edit("    return ", "    yield ", replace_all=True)])
    assert (patched.text, patched.replaced) == (CODE.replace("return", "yield"), 2)


def test_overlapping_places_are_not_unique_and_are_replaced_once() -> None:
    with pytest.raises(PatchError, match="2 times"):
        apply("aaa", [Edit("aa", "b")])
    assert apply("aaa", [Edit("aa", "b", replace_all=True)]).text == "ba"


def test_line_feeds_fit_a_file_with_crlf_and_new_lines_get_its_ending() -> None:
    patched = apply("a\r\nb\r\nc\r\n", [Edit("a\nb\n", "a\nx\ny\n")])
    assert patched.text == "a\r\nx\r\ny\r\nc\r\n"
    assert apply("a\r\nb\r\n", [Edit("b", "b\nc")]).text == "a\r\nb\r\nc\r\n"


def test_an_edit_that_starts_with_a_line_feed_fits_crlf_once() -> None:
    assert apply("a\r\nb\r\n", [Edit("\nb", "\nc")]).text == "a\r\nc\r\n"


def test_crlf_from_the_model_fits_a_file_with_line_feeds() -> None:
    assert apply("a\nb\n", [Edit("a\r\nb\r\n", "a\r\nc\r\n")]).text == "a\nc\n"


def test_in_a_file_of_mixed_endings_a_place_keeps_its_own() -> None:
    text = "a\nb\nc\r\nd\r\ne\r\n"
    assert apply(text, [Edit("a\nb\n", "a\nB\n")]).text == "a\nB\nc\r\nd\r\ne\r\n"
    assert apply(text, [Edit("d\ne\n", "d\nE\n")]).text == "a\nb\nc\r\nd\r\nE\r\n"


def test_a_last_line_without_line_feed_fits_and_stays_without() -> None:
    assert apply("a\nb", [Edit("b\n", "c\n")]).text == "a\nc"


def test_identical_and_empty_texts_are_refused() -> None:
    with pytest.raises(PatchError, match="same"):
        apply("a", [Edit("a", "a")])
    with pytest.raises(PatchError, match="empty"):
        apply("a", [Edit("", "b")])


def test_an_edit_that_was_made_before_is_told_apart() -> None:
    with pytest.raises(PatchError, match=r"Already applied: .* at line 6"):
        apply(CODE, [Edit("    return 5", "    return 2")])


def test_the_nearest_lines_are_shown_and_marked_where_they_differ() -> None:
    with pytest.raises(PatchError) as caught:
        apply(CODE, [Edit("def g():\n    return 22\n", "x")])
    assert caught.value.message.endswith("  5\tdef g():\n> 6\t    return 2\n   \t            ^ here old_string has '2'")


def test_a_difference_in_white_space_only_is_said() -> None:
    with pytest.raises(PatchError, match="white space only"):
        apply(CODE, [Edit("def g():\n\treturn 2\n", "x")])


def test_a_single_misspelt_line_finds_its_neighbour() -> None:
    with pytest.raises(PatchError, match="> 2\t    total = compute_total"):
        apply("a\n    total = compute_total(items)\nb\n", [Edit("    total = compute_totals(item)", "x")])


def test_looking_for_the_nearest_lines_of_a_big_file_is_bounded() -> None:
    text = "".join(f"value_{n} = compute_something_long_and_similar({n})\n" for n in range(100_000))
    started = time.perf_counter()
    with pytest.raises(PatchError, match="nearest"):
        apply(text, [Edit("value_x = compute_something_long_and_similar(x)\n" * 40, "y")])
    assert time.perf_counter() - started < 10


LINE = st.text(st.sampled_from("abé"), max_size=3)
ENDING = st.sampled_from(["\n", "\r\n"])
LINES = st.lists(st.tuples(LINE, ENDING).map("".join), max_size=6).map("".join)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
@costly
@given(head=LINES, old=LINES, tail=LINES, new=LINES)
def test_bytes_outside_the_replaced_place_stay_as_they_are(
    encoding: str, head: str, old: str, tail: str, new: str
) -> None:
    old = f"{old}<é>"
    content = f"{head}{old}{tail}".encode(encoding)
    decoded = decode(content)
    assert decoded is not None
    assume(decoded.text.count("<é>") == 1)
    asked = Edit(old.replace("\r\n", "\n"), f"{new}<new>".replace("\r\n", "\n"))
    result = encode(apply(decoded.text, [asked]).text, decoded.encoding)
    start = len(f"{head}".encode(encoding))
    end = len(content) - len(tail.encode(encoding).removeprefix(decoded.encoding.bom))
    assert result.startswith(content[:start])
    assert result.endswith(content[end:])
    again = decode(result)
    assert again is not None
    assert "<new>" in again.text

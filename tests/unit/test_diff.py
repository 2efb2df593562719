import time

from hypothesis import given
from hypothesis import strategies as st

from kimi_code.events import Hunk
from kimi_code.repo.diff import changed_spans, make_diff, split_lines
from kimi_code.repo.large_diff import diff_of


def test_a_change_is_shown_with_three_lines_around_it() -> None:
    old = "".join(f"{n}\n" for n in range(1, 21))
    diff = make_diff("a.txt", old, old.replace("10\n", "ten\nmore\n"))
    assert (diff.change, diff.added, diff.removed) == ("modified", 2, 1)
    assert diff.hunks == (Hunk(7, 7, (" 7", " 8", " 9", "-10", "+ten", "+more", " 11", " 12", " 13")),)


def test_changes_far_apart_are_hunks_of_their_own_and_close_ones_share_one() -> None:
    lines = [f"{n}\n" for n in range(30)]
    far = [*lines]
    far[2], far[25] = "x\n", "y\n"
    assert [(h.old_start, h.new_start) for h in make_diff("a", "".join(lines), "".join(far)).hunks] == [
        (1, 1),
        (23, 23),
    ]
    close = [*lines]
    close[2], close[8] = "x\n", "y\n"
    assert len(make_diff("a", "".join(lines), "".join(close)).hunks) == 1


def test_new_and_deleted_files_are_all_plus_or_all_minus() -> None:
    created = make_diff("a", None, "x\ny")
    assert (created.change, created.hunks) == ("created", (Hunk(1, 1, ("+x", "+y")),))
    deleted = make_diff("a", "x\ny", None)
    assert (deleted.change, deleted.removed) == ("deleted", 2)
    assert make_diff("a", None, "").hunks == ()


def test_a_change_of_the_last_line_feed_or_of_a_line_ending_is_a_change() -> None:
    assert make_diff("a", "x", "x\n").added == 1
    assert make_diff("a", "x\r\ny\n", "x\ny\n").hunks == (Hunk(1, 1, ("-x", "+x", " y")),)


TEXT = st.lists(st.sampled_from("abcd"), max_size=30)


@given(TEXT, TEXT)
def test_spans_turn_the_old_lines_into_the_new(before: list[str], after: list[str]) -> None:
    result: list[str] = []
    at = 0
    for span in changed_spans(before, after):
        result += before[at : span.old_start] + after[span.new_start : span.new_end]
        at = span.old_end
    assert result + before[at:] == after


@given(st.text(st.sampled_from("a\r\n")))
def test_lines_join_to_the_text(text: str) -> None:
    assert "".join(split_lines(text)) == text


def test_large_texts_that_have_little_in_common_are_compared_in_bounded_time() -> None:
    old = "".join(f"{n % 7}\n" for n in range(20_000))
    new = "".join(f"{n % 5}\n" for n in range(20_000))
    started = time.perf_counter()
    assert make_diff("a", old, new).added > 0
    assert time.perf_counter() - started < 10


async def test_a_large_diff_of_few_distinct_lines_shows_what_was_changed_and_little_more() -> None:
    lines = [f"{n * n % 31}\n" for n in range(10_000)]
    changed = [*lines]
    for n in range(0, 10_000, 25):
        changed[n] = f"{n % 29} new\n" if n % 2 else ""
    diff = await diff_of("a", "".join(lines), "".join(changed))
    assert diff.added <= 200
    assert diff.removed <= 400
    assert len(diff.hunks) == 400


@given(TEXT, TEXT)
async def test_a_diff_of_any_size_is_that_of_make_diff_when_small(before: list[str], after: list[str]) -> None:
    old, new = "\n".join(before), "\n".join(after)
    assert await diff_of("a", old, new) == make_diff("a", old, new)

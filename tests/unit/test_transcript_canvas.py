"""The column of all entries: heights, places, folding, what is in sight."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kimi_code.events import Diff, Hunk, Outcome, Output, TodoItem
from kimi_code.messages import Usage
from kimi_code.session.entries import Answer, Card, CardState, Compaction, Ending, Entry, Note, Retry, Thought, Words
from kimi_code.tui.strips.canvas import Canvas
from kimi_code.tui.strips.cards import Fold, Look, card_lines, lasting, usual_fold
from kimi_code.tui.strips.diffs import diff_lines
from kimi_code.tui.strips.entries import Painter, tokens
from kimi_code.tui.strips.heights import Heights
from kimi_code.tui.strips.line import FANCY, Line
from tests.costly import costly


def card(
    tool: str = "Bash", title: str = "make", state: CardState = "done", began: float = 0.0, **facts: object
) -> Card:
    made = Card("c", tool, title, state, began)
    for name, value in facts.items():
        setattr(made, name, value)
    return made


def texts(lines: list[Line]) -> list[str]:
    return [line.text.rstrip() for line in lines]


def canvas(*entries: Entry, width: int = 60) -> Canvas:
    made = Canvas(entries, lambda: Look(width, now=10.0), Painter())
    made.changed(range(len(entries)))
    return made


def column(made: Canvas) -> list[str]:
    made.settle(1_000, at_end=True)
    return [made.line(y).text.rstrip() for y in range(made.height)]


# --- Heights and places ---


@given(
    st.lists(st.integers(0, 5), max_size=40), st.lists(st.tuples(st.integers(0, 39), st.integers(0, 9)), max_size=20)
)
def test_heights_are_sums(start: list[int], changes: list[tuple[int, int]]) -> None:
    heights, plain = Heights(start[::2]), start[::2]
    for height in start[1::2]:
        heights.append(height)
        plain.append(height)
    for index, height in changes:
        if index < len(plain):
            heights.set(index, height)
            plain[index] = height
    assert [heights.above(index) for index in range(len(plain) + 1)] == [sum(plain[:n]) for n in range(len(plain) + 1)]
    owners = [(index, offset) for index, height in enumerate(plain) for offset in range(height)]
    assert [heights.find(y) for y in range(heights.total)] == owners


ANSWERS = st.lists(
    st.integers(1, 30).map(lambda count: Answer(["word " * 9 * count + "\n\n- a\n\n- b"], done=True)),
    min_size=1,
    max_size=30,
)


@costly
@given(ANSWERS, st.integers(3, 30), st.data())
def test_what_is_in_sight_stays_while_things_above_and_below_it_change(
    answers: list[Answer], height: int, data: st.DataObject
) -> None:
    entries: list[Entry] = list(answers)
    made = canvas(*entries)
    made.settle(height, at_end=True)
    made.place(data.draw(st.integers(0, max(made.height - height, 0))))
    top = made.settle(height, at_end=False)
    seen = [made.line(y) for y in range(top, min(top + height, made.height))]
    first, last = made.at(top)[0], made.at(top + height)[0]
    for index in (*range(first), *range(last + 1, len(answers))):
        answers[index].pieces = ["shorter now"]
    made.changed(range(len(answers)))
    after = made.settle(height, at_end=False)
    if after + height < made.height:
        assert [made.line(y) for y in range(after, after + height)] == seen


@costly
@given(ANSWERS, st.integers(3, 30))
def test_going_up_screen_by_screen_shows_every_line_once(answers: list[Answer], height: int) -> None:
    expected = column(canvas(*answers))
    made = canvas(*answers)
    top = made.settle(height, at_end=True)
    seen = [made.line(y).text.rstrip() for y in range(top, min(top + height, made.height))]
    while top > 0:
        before = top
        made.place(max(top - height, 0))
        step = min(top, height)
        top = made.settle(height, at_end=False)
        # What was measured on the way moved the numbers, not the lines: the same step above what was seen before.
        seen = [made.line(y).text.rstrip() for y in range(top, top + step)] + seen
        assert before != top or before == 0
    assert seen == expected


def test_only_what_is_near_is_drawn() -> None:
    drawn: list[int] = []

    class Counting(Painter):
        def lines(self, index: int, entry: Entry, fold: Fold, look: Look) -> list[Line]:
            drawn.append(index)
            return super().lines(index, entry, fold, look)

    made = Canvas([Answer(["one\n\ntwo"], done=True)] * 5_000, lambda: Look(60), Counting())
    assert made.settle(40, at_end=True) == made.height - 40
    assert len(drawn) < 50


def test_an_empty_conversation_has_no_lines() -> None:
    made = canvas()
    assert (made.settle(20, at_end=True), made.height, made.line(3).text) == (0, 0, "")
    assert made.settle(20, at_end=False) == 0


# --- Every kind of entry ---


def test_a_conversation_reads_well() -> None:
    output = (Output("pytest -q", "\n".join(f"line {n}" for n in range(20)), 1),)
    made = canvas(
        Words("fix it", 1),
        Thought(["hm"], 0.0, done=True, seconds=6.2),
        Answer(["I'll look **first**."], done=True),
        card("Read", "a.py", summary="2 lines", result="1\tx = 1\n2\ty = 2"),
        card("Bash", "pytest -q", "failed", summary="exit 1", seconds=4.2, blocks=output),
        card("Bash", "git push", "denied", summary="asked: leaves this machine"),
        Retry(1, 2.0, "429", 0.0, over=True),
        Compaction(120_000, 20_000),
        Ending(1, Outcome.DONE, "", 41.0, 2, 3, Usage(40_000, 0, 1_234), 0.031),
    )
    assert column(made) == [
        " › fix it",
        "",
        " ○ thought for 6 s",
        "",
        " ● I'll look first.",
        "",
        "   ✓ Read    a.py · 2 lines                                ▸",
        "   ✗ Bash    pytest -q · exit 1 · 4 s                      ▸",
        "       … 12 earlier lines",
        *(f"       line {n}" for n in range(12, 20)),
        "   ⊘ Bash    git push · denied: asked: leaves this machine",
        "",
        "   ↻ tried again: 429",
        "",
        "   ↻ context compacted: 120,000 to 20,000 tokens",
        "",
        "   ✓ done · 41 s · 41k tokens · $0.03",
    ]


def test_what_runs_counts_the_seconds() -> None:
    made = canvas(
        Thought(["hm"], 7.0),
        card("Bash", "make", "running", began=6.0, output="cc a.c\ncc b.c"),
        Retry(2, 9.5, "503", 5.0),
    )
    assert made.moving
    lines = [line for line in column(made) if line]
    assert lines[0] == " ○ thinking · 3 s"
    assert lines[1].split()[1:] == ["Bash", "make", "·", "4", "s", "▾"]
    assert lines[2:4] == ["       cc a.c", "       cc b.c"]
    assert lines[4] == "   ↻ trying again in 5 s (attempt 3): 503"


def test_the_mark_of_what_runs_turns_unless_motion_is_to_be_reduced() -> None:
    running = card("Bash", "make", "running", began=6.0)
    for moving, count in ((True, len(FANCY.working)), (False, 1)):
        looks = [Look(60, now=10 + tick / 5, moving=moving) for tick in range(len(FANCY.working))]
        assert len({card_lines(running, Fold.LINE, look)[0].text[:3] for look in looks}) == count


def test_a_failed_turn_says_why_and_a_void_step_is_not_shown() -> None:
    ending = Ending(1, Outcome.AUTH, "401: no such key", None, 1, 0, Usage(), None)
    made = canvas(
        Answer(["half"], done=True, void=True), Note("warning", "careful"), Note("info", "a\nb", told=True), ending
    )
    assert column(made) == [
        "   ! careful",
        "   told the model: a b",
        "",
        "   ✗ the provider refused the key: 401: no such key",
    ]


@pytest.mark.parametrize("outcome", Outcome)
def test_each_way_a_turn_can_end_is_said(outcome: Outcome) -> None:
    (line,) = [line for line in column(canvas(Ending(1, outcome, "", None, 1, 0, Usage(), None))) if line]
    assert len(line.split()) >= 2 and "cannot be shown" not in line


def test_a_narrow_screen_gives_no_room_away_and_one_line_of_output_stays_one() -> None:
    output = (Output("make", "short\n" + "long " * 20, 2),)
    lines = card_lines(card("Bash", "make", "failed", summary="exit 2", blocks=output), Fold.PREVIEW, Look(30))
    assert texts(lines) == ["✗ Bash    make · exit 2      ▾", "  short", "  long long long long long lo…"]


def test_a_card_says_what_failed_without_being_opened() -> None:
    failed = card(
        "Edit", "a.py", "failed", summary="old_string is not in a.py", result="old_string is not in a.py.\nNearest:\n x"
    )
    assert texts(card_lines(failed, usual_fold(failed), Look(60)))[1:] == [
        "    old_string is not in a.py.",
        "    Nearest:",
        "     x",
    ]


def test_the_contents_of_a_file_have_numbers_and_colours() -> None:
    read = card("Read", "a.py:9", summary="2 lines", result="9\tdef f():\n10\t\treturn 1\n[lines 9-10 of 20]")
    lines = card_lines(read, Fold.ALL, Look(60))
    assert texts(lines)[1:] == ["     9  def f():", "    10      return 1", "    [lines 9-10 of 20]"]
    assert "keyword" in {span.style for span in lines[1].spans}


def test_the_plan_is_in_its_card() -> None:
    todo = card("Todo", "b", items=(TodoItem("a", "done"), TodoItem("b", "in_progress"), TodoItem("c")))
    assert texts(card_lines(todo, Fold.ALL, Look(60)))[1:] == ["    ☑ a", "    ● b", "    ☐ c"]


def test_titles_that_are_too_long_are_cut_where_it_hurts_least() -> None:
    path = card("Read", "kimi_code/very/long/folder/of/modules/transcript.py", summary="10 lines")
    command = card("Bash", "echo " + "x" * 80, summary="exit 1")
    assert texts(card_lines(path, Fold.LINE, Look(40)))[0] == "✓ Read    …ules/transcript.py · 10 lines"
    assert card_lines(command, Fold.LINE, Look(40))[0].text.endswith("… · exit 1")


def test_an_entry_that_cannot_be_drawn_is_a_line_that_says_so() -> None:
    errors: list[Exception] = []
    broken = card("Edit", "a.py", "failed", blocks=(object(),))
    made = Canvas([broken, Words("next", 1)], lambda: Look(60), Painter(errors.append))
    made.changed([0, 1])
    assert column(made) == ["   (this part cannot be shown: AssertionError)", "", " › next"]
    made.reset()
    column(made)
    assert len(errors) == 1


# --- Diffs ---

HUNK = Hunk(3, 3, (" def f():", "-    return one", "+    return two", "+    # more", " x = 1"))
CHANGE = Diff("a.py", "modified", 2, 1, (HUNK,))


def test_where_nothing_but_removed_lines_is_left_they_have_their_old_numbers() -> None:
    gone = Diff("a.py", "deleted", 0, 2, (Hunk(1, 0, ("-one", "-two")),))
    assert texts(diff_lines(gone, 60)) == ["   1 │ - one", "   2 │ - two"]


def test_a_diff_is_numbered_and_marked() -> None:
    assert texts(diff_lines(CHANGE, 60)) == [
        "   3 │   def f():",
        "     │ -     return one",
        "   4 │ +     return two",
        "   5 │ +     # more",
        "   6 │   x = 1",
    ]


def test_a_wide_screen_shows_both_sides() -> None:
    rows = [line.text for line in diff_lines(CHANGE, 160)]
    assert {len(row) for row in rows} == {159}
    assert [[half.strip() for half in row.split("│")] for row in rows] == [
        ["3   def f():", "3   def f():"],
        ["4 -     return one", "4 +     return two"],
        ["", "5 +     # more"],
        ["5   x = 1", "6   x = 1"],
    ]


def test_the_words_that_changed_are_marked() -> None:
    lines = diff_lines(Diff("a.py", "modified", 1, 1, (Hunk(1, 1, ("-one two three", "+one 2 three")),)), 60)
    marked = [span.text for line in lines for span in line.spans if span.style.endswith("-word")]
    assert marked == ["two", "2"]


def test_a_long_diff_is_shown_in_part_and_whole_when_unfolded() -> None:
    diff = Diff("a.txt", "created", 300, 0, (Hunk(1, 1, tuple(f"+line {n}" for n in range(300))),))
    written = card("Write", "a.txt", blocks=(diff,))
    preview = texts(card_lines(written, usual_fold(written), Look(60)))
    assert len(preview) == 26 and preview[-1] == "    … 276 more lines"
    assert len(card_lines(written, Fold.ALL, Look(60))) == 301


def test_side_by_side_a_diff_loses_no_line_unsaid() -> None:
    for count in range(6, 40):
        lines = [*(f"-old {n}" for n in range(count)), *(f"+new {n}" for n in range(count))]
        written = card("Edit", "a.txt", blocks=(Diff("a.txt", "modified", count, count, (Hunk(1, 1, tuple(lines)),)),))
        preview = texts(card_lines(written, usual_fold(written), Look(200)))
        assert f"new {count - 1}" in preview[-1] or "more lines" in preview[-1], (count, preview)


# --- Folding, text, searching ---


def test_unfolding_and_folding() -> None:
    made = canvas(card("Read", "a.py", result="1\tx\n2\ty"), card("Read", "b.py", result="1\tz"))
    folded = column(made)
    assert made.toggle(0) and not made.toggle(0)
    assert column(made) == folded
    assert made.toggle_all()
    unfolded = column(made)
    assert len(unfolded) == 5
    assert not made.toggle(1)  # the others stay as they are seen
    assert len(column(made)) == 4
    assert made.toggle_all() and not made.toggle_all()
    assert column(made) == folded


def test_text_between_two_places() -> None:
    made = canvas(
        Words("please", 1), Answer(["A long line of words that is wrapped " * 3 + "\n\n- one\n- two"], done=True)
    )
    column(made)
    assert made.text((3, 0), (8, 2)) == "please\n\nA lon"
    assert made.text((0, 2), None) == ("A long line of words that is wrapped " * 3).strip() + "\n\n• one\n• two"


def test_searching_both_ways() -> None:
    made = canvas(Words("Alpha", 1), card("Read", "beta.py", result="alpha"), Answer(["gamma"], done=True))
    assert (made.find("ALPHA", 2, -1), made.find("alpha", 0, -1), made.find("gamma", 0, 1)) == (1, 0, 2)
    assert made.find("delta", 0, 1) is None


def test_numbers_for_people() -> None:
    assert [lasting(seconds) for seconds in (0.4, 59.9, 60, 125, 3600, 3850)] == [
        "0 s",
        "59 s",
        "1 min",
        "2 min 5 s",
        "1 h",
        "1 h 4 min",
    ]
    assert [tokens(count) for count in (940, 4_100, 41_000, 1_200_000)] == ["940", "4.1k", "41k", "1.2M"]

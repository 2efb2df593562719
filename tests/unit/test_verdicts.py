"""Decisions on changes, and the message that comments become."""

from hypothesis import given
from hypothesis import strategies as st

from kimi_code.events import Diff
from kimi_code.repo.diff import make_diff
from kimi_code.tui.strips.diffs import Place
from kimi_code.tui.verdicts import Verdicts

MODE = Diff("b", "modified", 0, 0, detail="file → executable", id="mode")


def both() -> Verdicts:
    lines = [f"{number}\n" for number in range(40)]
    changed = ["first\n", *lines[1:-1], "last\n"]
    return Verdicts.on([make_diff("b", "".join(lines), "".join(changed)), make_diff("a", None, "new\n"), MODE])


def test_a_file_is_one_entry_whatever_changed_of_it() -> None:
    verdicts = both()
    assert [(file.path, len(file.pieces), file.added, file.removed) for file in verdicts.files] == [
        ("b", 3, 2, 2),
        ("a", 1, 1, 0),
    ]
    assert verdicts.count == 4


def test_a_file_tells_what_was_decided_on_all_of_it_and_the_same_again_takes_it_back() -> None:
    verdicts = both()
    file = verdicts.files[0]
    verdicts.decide("reverted", file.pieces[0])
    assert verdicts.of_file(file) == "some"
    verdicts.decide("reverted", *file.pieces)
    assert verdicts.of_file(file) == "reverted"
    assert set(verdicts.reverted) == {piece.id for piece in file.pieces}
    verdicts.decide("kept", file.pieces[0])
    assert verdicts.of_file(file) == "some"
    verdicts.decide("kept", *file.pieces)
    verdicts.decide("kept", *file.pieces)
    assert verdicts.of_file(file) == ""
    assert verdicts.reverted == ()


def test_comments_come_in_the_order_of_files_and_lines_with_what_they_are_about() -> None:
    verdicts = both()
    verdicts.comment("a", Place(1, "+", "new"), " why? ")
    verdicts.comment("b", Place(40, "+", "last"), "no")
    verdicts.comment("b", Place(1, "-", "0"), "keep this")
    verdicts.comment("b", Place(2, " ", "1"), "oops")
    verdicts.comment("b", Place(2, " ", "1"), "")
    assert verdicts.message() == (
        "My comments on the changes:\n\n"
        "b:1 (a line that was removed)\n> 0\nkeep this\n\n"
        "b:40\n> last\nno\n\n"
        "a:1\n> new\nwhy?"
    )
    assert both().message() == ""


@given(st.lists(st.tuples(st.sampled_from(["kept", "reverted"]), st.integers(0, 3)), max_size=20))
def test_a_piece_is_kept_or_reverted_or_open_whatever_was_pressed(pressed: list[tuple[str, int]]) -> None:
    verdicts = both()
    pieces = [piece for file in verdicts.files for piece in file.pieces]
    expected: dict[str, str] = {}
    for verdict, index in pressed:
        id = pieces[index].id
        verdicts.decide("kept" if verdict == "kept" else "reverted", pieces[index])
        if expected.pop(id, "") != verdict:
            expected[id] = verdict
    assert verdicts.decided == expected

"""What commands print: aligned, clean, and never a whole key."""

import pytest

from kimi_code.cli.output import clean, mask, say_table, wants_json, width
from kimi_code.cli.sessions import age


def test_columns_align_with_wide_and_combining_characters(capsys: pytest.CaptureFixture[str]) -> None:
    say_table(("NAME", "X"), [("文件", "1"), ("e\u0301t", "2"), ("abcdef", "3")])
    lines = capsys.readouterr().out.splitlines()
    assert [width(line) for line in lines] == [9, 9, 9, 9]
    assert lines[1] == "文件    1"


@pytest.mark.parametrize(
    ("dirty", "expected"),
    [
        ("a\nb\tc\r", "a b c"),
        ("\x1b[2J\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://x\x1b\\link", "link"),
        ("[bold]not markup[/bold]", "[bold]not markup[/bold]"),
        ("\x9b31mred", "31mred"),
    ],
)
def test_control_sequences_of_others_do_not_reach_the_terminal(dirty: str, expected: str) -> None:
    assert clean(dirty) == expected


def test_a_key_is_shown_by_its_end_and_a_short_one_not_at_all() -> None:
    assert (mask("sk-0123456789abcd"), mask("short-key")) == ("…abcd", "…")


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["--output-format", "json"], True),
        (["--what", "--output-format=stream-json"], True),
        (["--output-format", "text"], False),
        (["--output-format"], False),
        (["-p", "--output-format json"], False),
        ([], False),
    ],
)
def test_a_machines_output_is_recognised_in_a_wrong_command_line(argv: list[str], expected: bool) -> None:
    assert wants_json(argv) is expected


def test_ages_are_told_in_the_largest_unit_that_fits() -> None:
    assert [age(seconds) for seconds in (-5, 59, 60, 7_199, 86_400)] == ["now", "now", "1 min", "1 h", "1 d"]

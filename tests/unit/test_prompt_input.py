"""What a person writes, without a screen: completion, history, drafts, pastes, keys."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kimi_code.config.screen import peek
from kimi_code.tui.input.completion import Wanted, is_command, wanted
from kimi_code.tui.input.fuzzy import Choices, best
from kimi_code.tui.input.history import Draft, History
from kimi_code.tui.input.pastes import Pastes
from kimi_code.tui.keys import KEYS, TITLES, keys_of
from kimi_code.tui.terminal import is_dark, notification, title

PATHS = ["src/pricing.py", "src/price/list.py", "tests/test_pricing.py", "docs/PRICES.md", "src/app.py"]


def test_a_name_that_begins_with_the_letters_comes_before_one_that_only_has_them() -> None:
    assert best("prici", PATHS)[0] == "src/pricing.py"
    assert best("tpp", PATHS) == ["tests/test_pricing.py"]
    assert best("app", PATHS) == ["src/app.py"]


@given(st.lists(st.text("abc/._", min_size=1, max_size=12)), st.text("abc/.", max_size=4))
def test_what_is_found_has_the_letters_in_order_and_nothing_is_lost_by_typing_on(paths: list[str], query: str) -> None:
    choices = Choices(paths)
    for end in range(1, len(query) + 1):
        choices.best(query[:end])
    found = choices.best(query, 1000)
    assert Counter(found) == Counter(Choices(paths).best(query, 1000))
    for path in found:
        letters = iter(path)
        assert all(letter in letters for letter in query)


def test_fifty_thousand_paths_are_searched_within_a_key_press() -> None:
    import time

    choices = Choices(f"package{n % 97}/module{n % 31}/file_{n}.py" for n in range(50_000))
    started = time.process_time()
    for query in ("f", "fi", "file", "file_4", "file_49", "file_4999"):
        assert choices.best(query)
    # A second per key would be a stutter anybody sees; here it is some tens of milliseconds.
    assert time.process_time() - started < 3.0


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ("/mo", Wanted("command", "mo", 0)),
        ("/model ki", Wanted("argument", "ki", 7, "model")),
        ("see @src/a", Wanted("file", "src/a", 4)),
        ("@", Wanted("file", "", 0)),
        ("mail me@example", None),
        ("what is /etc", None),
        ("", None),
    ],
)
def test_what_is_being_written_is_told_from_ordinary_words(before: str, expected: Wanted | None) -> None:
    assert wanted(before) == expected


def test_a_path_is_no_command() -> None:
    assert is_command("/help")
    assert is_command("/model kimi-k3")
    assert not is_command("/etc/passwd has a strange line")


def test_history_goes_back_and_forth_and_outlives_the_process(tmp_path: Path) -> None:
    history = History(tmp_path / "p")
    for text in ("one", "two", "two", "  "):
        history.add(text)
    again = History(tmp_path / "p")
    assert again.entries == ["one", "two"]
    assert [again.older("half"), again.older("two"), again.older("one")] == ["two", "one", None]
    assert [again.newer(), again.newer(), again.newer()] == ["two", "half", None]


def test_a_torn_line_of_the_history_costs_nothing_but_itself(tmp_path: Path) -> None:
    (tmp_path / "history.jsonl").write_text('"one"\n"tw\n{"no": "text"}\n"three"\n')
    assert History(tmp_path).entries == ["one", "three"]


def test_history_and_drafts_do_without_a_folder_that_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    history = History(tmp_path / "file" / "p")
    history.add("one")
    assert history.older("") == "one"
    Draft(tmp_path / "file" / "p").save("text")


def test_an_empty_draft_is_no_draft(tmp_path: Path) -> None:
    draft = Draft(tmp_path / "p")
    draft.save("héllo\n")
    assert Draft(tmp_path / "p").load() == "héllo\n"
    draft.save(" ")
    assert Draft(tmp_path / "p").load() == ""


@given(st.lists(st.text(max_size=60), max_size=4))
def test_folded_pastes_unfold_to_what_was_pasted(texts: list[str]) -> None:
    pastes = Pastes()
    long = [text + "\n" * 10 for text in texts]
    assert pastes.unfold("|".join(pastes.fold(text) for text in long)) == "|".join(long)


def test_a_chip_that_was_typed_by_hand_stays_text() -> None:
    assert Pastes().unfold("[pasted #7: 12 lines]") == "[pasted #7: 12 lines]"


def test_every_binding_has_an_id_of_its_own_and_a_title_to_stand_under() -> None:
    assert max(Counter(key.id for key in KEYS).values()) == 1
    assert {key.where for key in KEYS} == set(TITLES)


def test_no_key_means_two_things_in_one_place() -> None:
    for places in (("everywhere", "transcript", "prompt"), ("approval",), ("question",), ("list", "sessions")):
        keys = [name for key in KEYS if key.where in places for name in key.keys.split(",")]
        assert max(Counter(keys).values()) == 1, places


def test_the_users_keys_are_shown_in_place_of_ours() -> None:
    assert keys_of("prompt.newline", {}) == "Shift+Enter, Alt+Enter, Ctrl+J"
    assert keys_of("prompt.newline", {"prompt.newline": "f2"}) == "F2"


def test_what_is_wrong_in_the_screens_table_is_left_out(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    assert peek(file).theme == "auto"
    file.write_text('[screen]\ntheme = 3\nnotify = false\nkeys = {"screen.help" = "f2", "x" = 1}\n')
    assert (peek(file).theme, peek(file).notify, peek(file).keys) == ("auto", False, {"screen.help": "f2"})
    file.write_text("[screen\n")
    assert peek(file).notify


def test_grounds_are_told_apart_by_their_brightness() -> None:
    assert is_dark("1414", "1616", "1b1b")
    assert is_dark("00", "00", "ff")
    assert not is_dark("fdfd", "f6f6", "e3e3")


def test_words_for_the_terminal_cannot_end_their_sequence() -> None:
    assert title("a\x1b\\b\x07c\n") == "\x1b]2;abc\x1b\\"
    assert notification("x\x07", {}) == "\x07\x1b]9;x\x1b\\"
    assert notification("kimi; done: x;y", {"VTE_VERSION": "7600"}) == "\x07\x1b]777;notify;kimi, done;x;y\x1b\\"

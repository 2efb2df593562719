"""Fuzzy matching of names and paths."""

import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kimi_code.repo.indexing.fuzzy import Closeness, Lines, closeness, match_names, match_paths, words_of


@pytest.mark.parametrize(
    ("query", "name", "expected"),
    [
        ("get", "get", Closeness.SAME),
        ("GET", "get", Closeness.SAME_LETTERS),
        ("get", "get_queryset", Closeness.PREFIX),
        ("gqs", "get_query_set", Closeness.WORDS),
        ("queSet", "get_query_set", Closeness.WORDS),
        ("query_set", "getQuerySet", Closeness.WORDS),
        ("HS", "HTTPServer", Closeness.WORDS),
        ("ueryse", "get_queryset", Closeness.INSIDE),
        ("gtqt", "get_queryset", Closeness.SUBSEQUENCE),
        ("tesyreuq", "get_queryset", None),
    ],
)
def test_a_query_fits_a_name_by_its_letters_its_words_or_its_order(
    query: str, name: str, expected: Closeness | None
) -> None:
    assert closeness(query, name) == expected


def test_words_are_told_apart_by_case_underscores_and_digits() -> None:
    assert words_of("HTTPServer_error2.fooBar") == ["http", "server", "error", "2", "foo", "bar"]


def test_exact_matches_come_before_prefixes_words_and_subsequences() -> None:
    names = ["agqs", "get_query_set", "gqs", "gqsx", "GQS", "grumpy queens"]
    found = sorted(match_names("gqs", Lines(names)))
    assert [names[line] for _, line in found] == ["gqs", "GQS", "gqsx", "get_query_set", "agqs", "grumpy queens"]


def test_typing_on_finds_what_a_fresh_search_finds() -> None:
    names = ["alpha_beta", "alphabet", "beta", "gamma", "alb"]
    typed = Lines(names)
    for query in ("a", "al", "alb", "albt"):
        assert typed.subsequence(query) == Lines(names).subsequence(query)


NAMES = st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=12), max_size=12)


@given(NAMES, st.text(st.characters(codec="utf-8"), min_size=1, max_size=4))
def test_a_match_always_has_the_letters_and_no_name_that_contains_the_query_is_missed(
    names: list[str], query: str
) -> None:
    lines = Lines(names)
    found = {line for _, line in match_names(query, lines)}
    wanted = query.strip()
    for line, name in enumerate(names):
        if wanted and wanted.lower() in name.lower().replace("\n", " "):
            assert line in found or "\n" in name
    assert all(0 <= line < len(names) for line in found)
    assert set(match_paths(query, lines)) <= set(names)


PATHS = ["kimi_code/repo/query.py", "docs/query.md", "src/query/other.py", "tests/test_query.py", "src/qa/usual/e.ry"]


def test_a_path_is_found_by_its_name_before_its_folders() -> None:
    assert match_paths("query.py", Lines(PATHS))[0] == "kimi_code/repo/query.py"
    assert match_paths("query", Lines(PATHS))[:2] == ["docs/query.md", "kimi_code/repo/query.py"]
    assert match_paths("repoquery", Lines(PATHS)) == ["kimi_code/repo/query.py"]
    assert match_paths("src other", Lines(PATHS)) == ["src/query/other.py"]
    assert match_paths("repo\\query", Lines(PATHS))[0] == "kimi_code/repo/query.py"


def test_nothing_asked_gives_what_is_nearest_to_the_root() -> None:
    assert match_paths(" ", Lines(["a/b/c", "z", "a/b"]), 2) == ["z", "a/b"]
    assert match_paths("x", Lines([])) == []


def test_a_hundred_thousand_paths_are_searched_while_somebody_types() -> None:
    chance = random.Random(7)
    words = ["".join(chance.choices("etaoinshrdlucm", k=chance.randint(3, 9))) for _ in range(2000)]
    folders = ["/".join(chance.choices(words, k=3)) for _ in range(20_000)]
    names = chance.choices(words, k=100_000)
    paths = [f"{folders[n // 5]}/{name}_{n}.py" for n, name in enumerate(names)]
    lines = Lines(paths)
    wanted = paths[4711]
    assert match_paths(wanted.rpartition("/")[2], lines)[0] == wanted
    begun = time.process_time()
    for query in ("m", "ma", "mai", "main", "maint.py", "4711.py"):
        assert len(match_paths(query, lines, 20)) <= 20
    assert time.process_time() - begun < 3  # a few tens of milliseconds each on an idle machine

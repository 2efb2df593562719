"""A planted secret never survives, clean text does, and scrubbing twice is scrubbing once."""

import json
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kimi_code.secrets import PLACEHOLDER, Scrubber

WORD = string.ascii_letters + string.digits

# Text around a secret: anything that does not run on as part of a token.
around = st.text(st.characters(exclude_categories=["Cs"]), max_size=60).map(
    lambda text: f"{text} " if text else ""
) | st.sampled_from(["", '"', "(", "key=", "a: ", "\n", "\\n", "文"])
behind = st.sampled_from(["", '"', ")", " and more", "\n", ",", "\\n", "。"])


def letters(alphabet: str, low: int, high: int) -> st.SearchStrategy[str]:
    return st.text(alphabet, min_size=low, max_size=high)


def joined(*parts: str | st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(*(st.just(part) if isinstance(part, str) else part for part in parts)).map("".join)


shapes = st.one_of(
    joined("sk-", letters(WORD + "-_", 20, 60)),
    joined("sk-proj-", letters(WORD, 20, 60)),
    joined(st.sampled_from(["ghp_", "gho_", "ghs_"]), letters(WORD, 36, 36)),
    joined("github_pat_", letters(WORD + "_", 60, 80)),
    joined("AKIA", letters(string.ascii_uppercase + string.digits, 16, 16)),
    joined("AIza", letters(WORD + "-_", 35, 35)),
    joined(st.sampled_from(["xoxb-", "xoxp-"]), letters(WORD + "-", 20, 50)),
    joined("glpat-", letters(WORD + "-_", 20, 20)),
    joined("hf_", letters(WORD, 34, 34)),
    joined("eyJ", letters(WORD + "-_", 10, 40), ".eyJ", letters(WORD + "-_", 10, 40), ".", letters(WORD, 10, 43)),
)


@given(around, shapes, behind)
def test_keys_of_known_shape_never_survive(before: str, secret: str, after: str) -> None:
    scrubbed = Scrubber().scrub(before + secret + after)
    assert secret not in scrubbed
    assert PLACEHOLDER in scrubbed


@given(around, st.lists(st.text(min_size=8, max_size=40), min_size=1, max_size=4), behind)
def test_known_values_never_survive_and_scrubbing_twice_is_scrubbing_once(
    before: str, values: list[str], after: str
) -> None:
    scrubber = Scrubber(values)
    scrubbed = scrubber.scrub(after.join([before, *values, ""]))
    assert all(value not in scrubbed or value in PLACEHOLDER for value in values)
    assert scrubber.scrub(scrubbed) == scrubbed


@given(st.text(), st.lists(shapes, max_size=3), st.text())
def test_scrubbing_is_idempotent_on_anything(before: str, secrets: list[str], after: str) -> None:
    scrubber = Scrubber()
    once = scrubber.scrub(before + " ".join(secrets) + after)
    assert scrubber.scrub(once) == once


@given(st.dictionaries(st.text(max_size=9), st.text(max_size=9) | shapes), st.text(min_size=8, max_size=30))
def test_json_stays_json_and_its_escaped_values_go_too(content: dict[str, str], value: str) -> None:
    content["planted"] = f"before {value} after"
    scrubbed = json.loads(Scrubber([value]).scrub(json.dumps(content)))
    assert value not in scrubbed.get("planted", "") or value in PLACEHOLDER


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Authorization: Bearer abcdef.0123456789-xyz", "Authorization: Bearer [secret]"),
        ("postgres://me:pa$$w0rd@db:5432/x", "postgres://me:[secret]@db:5432/x"),
        ("https://:token1234@example.org", "https://:[secret]@example.org"),
        ("two a://b:c1@d and e://f:g1@h", "two a://b:[secret]@d and e://f:[secret]@h"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nrest", "[secret]\nrest"),
        (f"-----BEGIN PRIVATE KEY-----\\n{'A' * 64}\\n{'B' * 64}", "[secret]"),
    ],
)
def test_only_the_secret_part_goes(text: str, expected: str) -> None:
    assert Scrubber().scrub(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "the task-management-of-the-whole-disk-and-risk-assessment",
        "https://example.org:8080/path?mail=me@example.org",
        "the bearer of bad news",
        "-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----",
        "sk-short, AKIA, eyJ, ghp_x, xox",
        "user@example.org",
    ],
)
def test_innocent_text_stays_as_it_is(text: str) -> None:
    assert Scrubber(["short", "example"]).scrub(text) == text


def test_the_longest_of_overlapping_values_goes_as_a_whole() -> None:
    assert Scrubber(["password", "password-of-mine"]).scrub("x password-of-mine y") == "x [secret] y"


@pytest.mark.parametrize("piece", ["a", "sk-", "://a:", "Bearer ", "-----BEGIN PRIVATE KEY-----", "eyJ", "文"])
def test_a_megabyte_of_anything_is_no_trap(piece: str) -> None:
    Scrubber(["some-secret"]).scrub(piece * (1_000_000 // len(piece)))

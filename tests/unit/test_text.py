from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kimi_code.controls import OutputCleaner, clean, overwrite
from kimi_code.repo.text import Encoding, binary_kind, decode, detect, encode, line_ending, with_line_ending

SAMPLE = "naïve ünï\r\nzwei\n"


@given(st.binary(max_size=200))
def test_whatever_is_decoded_gives_the_same_bytes_again(content: bytes) -> None:
    decoded = decode(content)
    assert decoded is None or encode(decoded.text, decoded.encoding) == content


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=80))
def test_every_utf8_text_is_read_as_such(text: str) -> None:
    decoded = decode(text.encode())
    assert decoded is not None
    assert decoded.encoding.bom.decode() + decoded.text == text


@pytest.mark.parametrize(
    ("content", "label"),
    [
        (SAMPLE.encode(), ""),
        (b"\xef\xbb\xbf" + SAMPLE.encode(), "UTF-8 with BOM"),
        (SAMPLE.encode("utf-16"), "UTF-16"),
        (b"\xfe\xff" + SAMPLE.encode("utf-16-be"), "UTF-16"),
        (SAMPLE.encode("utf-16-le"), "UTF-16"),
        (SAMPLE.encode("utf-16-be"), "UTF-16"),
        (SAMPLE.encode("latin-1"), "Latin-1"),
        (b"", ""),
    ],
)
def test_encodings_are_told_apart(content: bytes, label: str) -> None:
    decoded = decode(content)
    assert decoded is not None
    assert decoded.text == (SAMPLE if content else "")
    assert decoded.encoding.label == label


@pytest.mark.parametrize(
    "content",
    [
        b"text\0text",
        b"\x89PNG\r\n\x1a\n\xff\xfe",
        b"\x1f\x8b\x08\xff\xff",
        bytes(range(256)),
        "a\0b".encode("utf-16"),
        b"\xff\xfe\0\0a\0\0\0",
        b"\xff\x01\x02\x03\x04\x05",
    ],
)
def test_binary_content_is_no_text(content: bytes) -> None:
    assert decode(content) is None


def test_a_head_cut_inside_a_character_still_tells_the_encoding() -> None:
    content = "日本語 ".encode() * 10
    for cut in range(1, len(content)):
        assert detect(content[:cut]) == Encoding()
    utf16 = "abc日本".encode("utf-16")
    for cut in range(4, len(utf16)):
        found = detect(utf16[:cut])
        assert found is not None
        assert found.name == "utf-16-le"
    assert detect(b"ab\0cd") is None


def test_a_binary_file_is_named_by_its_signature() -> None:
    assert binary_kind(b"\x89PNG\r\n") == "a PNG image"
    assert binary_kind(b"RIFF1234WEBPVP8") == "a WebP image"
    assert binary_kind(b"\0\1\2") == "a binary file"


def test_the_line_ending_is_that_of_most_lines() -> None:
    assert line_ending("a\r\nb\r\nc\n") == "\r\n"
    assert line_ending("a\r\nb\n") == "\n"
    assert line_ending("") == "\n"
    assert with_line_ending("a\nb\r\nc\n", "\r\n") == "a\r\nb\r\nc\r\n"


PRINTED = "\x1b[31mred\x1b[0m \x1b]0;title\x07plain \x1b]8;;http://x\x1b\\link\x1b(B\r\nünï日\x00\x08 \x9b end\n"


def test_control_sequences_are_removed() -> None:
    assert clean(PRINTED) == "red plain link\nünï日  end\n"


@given(st.lists(st.integers(0, len(PRINTED.encode())), max_size=8))
def test_control_sequences_are_removed_wherever_the_pieces_are_cut(cuts: list[int]) -> None:
    data = PRINTED.encode()
    places = [0, *sorted(cuts), len(data)]
    cleaner = OutputCleaner()
    pieces = [cleaner.feed(data[a:b]) for a, b in pairwise(places)]
    assert "".join(pieces) + cleaner.feed(b"", end=True) == "red plain link\nünï日  end\n"


def test_invalid_bytes_are_replaced_and_an_endless_sequence_is_not_held_back_for_ever() -> None:
    cleaner = OutputCleaner()
    assert cleaner.feed(b"a\xffb") == "a\ufffdb"
    cleaner.feed(b"\x1b]0;" + b"x" * 10_000)
    assert "visible" in cleaner.feed(b"visible\n") + cleaner.feed(b"\x07visible\n")


def test_a_rewritten_line_leaves_its_last_writing() -> None:
    assert overwrite("10%\r50%\r100%\ndone\n") == "100%\ndone\n"
    assert overwrite("50%\r\nend") == "50%\nend"

"""What a terminal sends, however it is cut: the events of Textual's parser, and pastes past it."""

import time
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from textual import events
from textual._xterm_parser import XTermParser
from textual.message import Message

from kimi_code.tui.input.keyboard import Keyboard

START, END = "\x1b[200~", "\x1b[201~"
KEYS = ("a", "é", "\r", "\x1b[A", "\x1b[2~", "\x1b[20~", "\x1b[I", "\x1b[<0;3;4M")
PASTES = (f"{START}two\nlines{END}", f"{START}nul\x00{END}", f"{START}{END}")
PIECES = st.sampled_from(KEYS + PASTES)


def told(messages: "list[Message]") -> list[tuple[str, ...]]:
    return [
        ("paste", each.text)
        if isinstance(each, events.Paste)
        else ("key", each.key)
        if isinstance(each, events.Key)
        else (type(each).__name__,)
        for each in messages
    ]


@given(st.lists(PIECES, max_size=8), st.lists(st.integers(0, 120), max_size=6))
def test_keys_and_pastes_cut_anywhere_are_what_textual_makes_of_the_whole(pieces: list[str], cuts: list[int]) -> None:
    text = "".join(pieces)
    places = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    keyboard = Keyboard()
    heard = [message for begin, end in pairwise(places) if begin < end for message in keyboard.feed(text[begin:end])]
    heard += keyboard.rest()
    assert told(heard) == told(list(XTermParser().feed(text)))


def test_keys_inside_a_paste_are_its_text_and_press_nothing() -> None:
    assert told(list(Keyboard().feed(f"{START}\x1b[A\x1b[201 \x1b[20{END}q"))) == [
        ("paste", "\x1b[A\x1b[201 \x1b[20"),
        ("key", "q"),
    ]


def test_a_beginning_of_a_paste_that_nothing_follows_is_keys() -> None:
    keyboard = Keyboard()
    assert not list(keyboard.feed("\x1b[20"))
    assert not list(keyboard.rest())
    assert told(list(keyboard.feed("~"))) == [("key", "f9")]


def test_ten_megabytes_are_no_work() -> None:
    keyboard, chunk = Keyboard(), "some line of a text\n" * 200
    began = time.thread_time()
    heard = [message for part in (START, *[chunk] * 2_500, END) for message in keyboard.feed(part)]
    assert told(heard) == [("paste", chunk * 2_500)]
    assert time.thread_time() - began < 2  # Textual's parser needs 18

import json
from typing import Any, cast, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kimi_code import events
from kimi_code.events import Event, Record
from kimi_code.secrets import Scrubber
from kimi_code.session.codec import Lines, UnknownRecord, decode, encode, schema, wire_name
from tests.costly import costly

# params is a mapping of whatever JSON holds.
_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
_classes: tuple[type, ...] = get_args(Event)


def build(cls: type) -> st.SearchStrategy[Any]:
    if cls is events.ToolStarted:
        return st.builds(events.ToolStarted, params=st.dictionaries(st.text(max_size=5), _json, max_size=3))
    if cls is events.TurnEnded:
        return st.builds(events.TurnEnded, output=_json, cost_usd=st.none() | st.floats(0, 1e6))
    return cast("st.SearchStrategy[Any]", st.from_type(cls))


def _few(kind: Any) -> st.SearchStrategy[tuple[Any, ...]]:
    first, *rest = get_args(kind)
    if rest == [...]:
        return st.lists(st.from_type(first), max_size=3).map(tuple)
    return st.tuples(*map(st.from_type, (first, *rest)))


# Events are broad: what is drawn for each field is short, or drawing takes all the time.
st.register_type_strategy(float, st.floats(0, 1e9))
st.register_type_strategy(str, st.text(max_size=8))
st.register_type_strategy(tuple, _few)


@pytest.mark.parametrize("cls", _classes, ids=lambda cls: cls.__name__)
def test_every_event_comes_back_as_it_went(cls: type) -> None:
    @costly
    @given(build(cls))
    def comes_back(event: Event) -> None:
        line = encode(Record(7, "main", 12.5, event))
        assert "\n" not in line
        assert decode(line) == Record(7, "main", 12.5, event)

    comes_back()


@given(st.one_of(*(build(cls) for cls in _classes)), st.text(max_size=8))
def test_an_event_that_goes_out_twice_is_the_same_line_but_for_its_envelope(event: Event, agent: str) -> None:
    lines = Lines(Scrubber(("hunter2hunter2",)).scrub)
    for record in (Record(7, "main", 12.5, event), Record(8, f"main/{agent}", 13.0, event)):
        assert lines(record) == encode(record)
    secret = Record(9, "main", 1.0, events.Notice("info", "it is hunter2hunter2"))
    assert lines(secret) == encode(secret).replace("hunter2hunter2", "[secret]")


def test_a_line_can_be_written_whatever_the_text_holds() -> None:
    line = encode(Record(1, "main", 0.0, events.TextDelta("\ud800 \x00 \u2028 你")))
    assert json.loads(line.encode("ascii"))["text"] == "\ud800 \x00 \u2028 你"


def test_unknown_fields_are_skipped_and_unknown_records_are_named() -> None:
    wire = json.loads(encode(Record(1, "main", 0.0, events.Notice("info", "hi"))))
    wire["colour"] = "red"
    assert decode(json.dumps(wire)).event == events.Notice("info", "hi")
    with pytest.raises(UnknownRecord, match="agent_teleported"):
        decode('{"type": "agent_teleported", "seq": 1, "agent": "main", "at": 0}')


@pytest.mark.parametrize(
    "line", ["", "{", "[]", "3", '{"type": "notice"}', '{"type":"notice","seq":1,"agent":"m","at":0}']
)
def test_what_is_no_record_is_a_value_error_or_unknown(line: str) -> None:
    with pytest.raises((ValueError, KeyError, UnknownRecord)):
        decode(line)


def test_the_schema_accepts_what_is_written() -> None:
    import jsonschema

    validator: Any = jsonschema.Draft202012Validator(schema())
    record = Record(3, "main", 1.5, events.ToolEnded("c1", "Edit", "a.py", "done", "+1 −1", (events.Text("x"),)))
    validator.validate(json.loads(encode(record)))
    assert not validator.is_valid({"type": "tool_ended"})
    assert {wire_name(cls) for cls in _classes} >= {"turn_started", "tool_ended", "context_compacted"}

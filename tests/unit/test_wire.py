"""Messages to bytes and stream bytes to chunks."""

import json
from dataclasses import astuple
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kimi_code.errors import ModelUnavailable
from kimi_code.llm.decoder import LONGEST_ID, Decoder, ProviderError, usage_from
from kimi_code.llm.model import Chunk, Completion, TextChunk, ThoughtChunk, ToolSchema
from kimi_code.llm.wire import Encoder, message_fields, typed
from kimi_code.messages import Message, ToolCall, Usage
from tests.server import answer, call, delta, event, say, usage_of

DONE = b"data: [DONE]\n\n"


def decode(*received: bytes, ids: tuple[str, ...] = ()) -> tuple[list[Chunk], Completion]:
    unused = iter(ids)
    decoder = Decoder(new_id=lambda: next(unused))
    chunks = [chunk for piece in received for chunk in decoder.feed(piece)]
    *rest, last = decoder.close()
    assert isinstance(last, Completion)
    return [*chunks, *rest], last


def fragment(index: int | None, name: str = "", arguments: Any = "", id: str = "") -> bytes:
    function = {"name": name, "arguments": arguments}
    call = {"id": id, "function": function} if index is None else {"index": index, "id": id, "function": function}
    return delta({"tool_calls": [call]})


# --- Streams ------------------------------------------------------------------------------------------------------


def test_what_arrives_in_one_read_is_one_chunk_of_each_kind_in_order() -> None:
    chunks, done = decode(b"".join(say("one two three", thought="let me see", chunk=2).pieces))
    assert chunks == [ThoughtChunk("let me see"), TextChunk("one two three")]
    assert done.text == "one two three"


@given(st.data())
def test_it_does_not_matter_where_the_network_cuts(data: st.DataObject) -> None:
    arguments = {"path": "源.py"}
    whole = b"".join(answer([("a", "Read", arguments)], text="héllo 世界", thought="思", usage=usage_of(9, 8)).pieces)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=12)))
    pieces = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    chunks, done = decode(*pieces)
    assert done == Completion(
        "héllo 世界", "思", (ToolCall("a", "Read", json.dumps(arguments)),), "tool_calls", Usage(9, 0, 8, 0)
    )
    assert "".join(chunk.text for chunk in chunks if isinstance(chunk, TextChunk)) == done.text


@pytest.mark.parametrize(
    "stream",
    [
        b'data: {"choices":[{"delta":{"content":"hi"},"finish_reason":"stop"}]}\r\n\r\ndata: [DONE]\r\n\r\n',
        b'data:{"choices":[{"delta":{"content":"hi"}}]}\n\ndata:[DONE]\n\n',
        b'data: {"choices":\ndata: [{"delta":{"content":"hi"}}]}\n\ndata: [DONE]',
        b': waiting\n\nevent: x\nid: 7\nretry: 1\ndata: {"choices":[{"delta":{"content":"hi"}}]}\n\ndata: [DONE]\n',
        b'data: {"choices":[]}\n\ndata: \n\ndata: {"choices":[{"delta":{"content":[{"type":"text","text":"hi"}]}}]}\n\n'
        + DONE,
        b'data: {"choices":[{"delta":{"content":"hi"}}]}\n\n' + DONE + b"data: not for us\n\n",
        b'data: {"choices":[null]}\n\ndata: {"choices":[{"delta":{"content":"hi"}}]}\n\n' + DONE,
    ],
)
def test_every_way_to_write_server_sent_events_is_read(stream: bytes) -> None:
    for received in ([stream], [stream[at : at + 1] for at in range(len(stream))]):
        assert decode(*received)[1].text == "hi"


def test_broken_utf8_does_not_end_the_turn() -> None:
    assert decode(delta({"content": "a?b"}).replace(b"?", b"\xff") + DONE)[1].text == "a\ufffdb"


def test_no_thought_and_an_empty_thought_are_told_apart() -> None:
    assert decode(delta({"content": "x"}), DONE)[1].thought is None
    assert decode(delta({"reasoning_content": None, "content": "x"}), DONE)[1].thought is None
    assert decode(delta({"reasoning_content": "", "content": "x"}), DONE)[1].thought == ""


def test_reasoning_has_two_names_and_counts_once() -> None:
    assert decode(delta({"reasoning": "hm", "content": "x"}), DONE)[1].thought == "hm"
    assert decode(delta({"reasoning_content": "hm", "reasoning": "hm", "content": "x"}), DONE)[1].thought == "hm"


@pytest.mark.parametrize(
    ("fragments", "expected"),
    [
        ([fragment(0, "Re", id="a"), fragment(0, "ad", "{}")], [("a", "Read", "{}")]),
        ([fragment(0, "Read", "{", id="a"), fragment(0, "Read", "}", id="a")], [("a", "Read", "{}")]),
        ([fragment(0, "Read", "{", id="a"), fragment(0, "", "}", id="b")], [("a", "Read", "{}")]),
        (
            [fragment(None, "Read", "{}", "a"), fragment(None, "Grep", "{}", "b")],
            [("a", "Read", "{}"), ("b", "Grep", "{}")],
        ),
        ([fragment(None, "Read", "{"), fragment(None, "", "}")], [("new-1", "Read", "{}")]),
        ([fragment(0, "Read", "{}", "a"), fragment(0, "Grep", "{}", "b")], [("a", "Read", "{}"), ("b", "Grep", "{}")]),
        (
            [fragment(0, "Read", "{}", "a"), fragment(1, "Grep", "{}", "a")],
            [("a", "Read", "{}"), ("new-1", "Grep", "{}")],
        ),
        ([fragment(0, "Read", "{}", "x" * 65)], [("new-1", "Read", "{}")]),
        ([fragment(0, "Read", {"a": 1}, "a")], [("a", "Read", '{"a": 1}')]),
        ([fragment(0, "Read", None, "a")], [("a", "Read", "")]),
        (
            [fragment(1, "B", "[", "b"), fragment(0, "A", "{", "a"), fragment(1, "", "]"), fragment(0, "", "}")],
            [("b", "B", "[]"), ("a", "A", "{}")],
        ),
    ],
)
def test_calls_are_put_together_whatever_the_server_does(
    fragments: list[bytes], expected: list[tuple[str, str, str]]
) -> None:
    done = decode(*fragments, DONE, ids=("new-1", "new-2"))[1]
    assert [(call.id, call.name, call.arguments) for call in done.tool_calls] == expected
    assert done.finish == "tool_calls"


def test_made_up_ids_are_unique_and_short_enough() -> None:
    decoder = Decoder()
    decoder.feed(fragment(0, "A") + fragment(1, "B") + DONE)
    first, second = decoder.completion().tool_calls
    assert first.id != second.id
    assert 0 < len(first.id) <= LONGEST_ID


@pytest.mark.parametrize(
    ("told", "has_calls", "expected"),
    [
        ("stop", True, "tool_calls"),
        ("tool_calls", False, "stop"),
        ("function_call", True, "tool_calls"),
        ("length", True, "length"),
        ("max_tokens", False, "length"),
        ("content_filter", False, "content_filter"),
        ("eos", False, "stop"),
    ],
)
def test_finish_reasons_are_made_honest(told: str, has_calls: bool, expected: str) -> None:
    pieces = call("Read", {}).pieces[:-3] if has_calls else say("x").pieces[:-3]
    assert decode(*pieces, delta({}, told))[1].finish == expected


@pytest.mark.parametrize("stream", [b"", DONE, delta({"content": "x"}), delta({"role": "assistant"}) + DONE])
def test_an_answer_without_an_end_or_a_content_is_cut_off(stream: bytes) -> None:
    with pytest.raises(ModelUnavailable, match="cut off"):
        decode(stream)


@pytest.mark.parametrize(
    "pieces",
    [
        [event([], usage=usage_of(10, 4, cached=6, reasoning=2))],
        [event([], usage=usage_of(10, 4, cached=6, reasoning=2, kimi=True))],
        [event([{"index": 0, "delta": {}, "usage": usage_of(10, 4, cached=6, reasoning=2)}]), event([], usage=None)],
    ],
)
def test_usage_is_found_wherever_it_stands(pieces: list[bytes]) -> None:
    assert decode(delta({"content": "x"}, "stop"), *pieces)[1].usage == Usage(10, 6, 4, 2)


def test_usage_that_is_missing_or_null_counts_as_unknown_or_zero() -> None:
    assert decode(delta({"content": "x"}, "stop"))[1].usage is None
    counts = {"prompt_tokens": None, "completion_tokens": 3, "prompt_tokens_details": None}
    assert usage_from(counts) == Usage(output=3)


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats() | st.sampled_from(["", "a", "0", "stop", "Read"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["text", "cached_tokens"]), inner),
    max_leaves=4,
)
COUNTS = ("prompt_tokens", "completion_tokens", "cached_tokens", "prompt_tokens_details", "completion_tokens_details")


@given(st.data())
def test_a_field_of_any_type_is_a_whole_answer_or_a_broken_event(data: st.DataObject) -> None:
    def draw(*names: str) -> dict[str, Any]:
        return data.draw(st.fixed_dictionaries({}, optional=dict.fromkeys(names, anything)))

    called = {**draw("index", "id"), "function": draw("name", "arguments")}
    told = {**draw("content", "reasoning_content"), "tool_calls": data.draw(st.sampled_from([None, [called]]))}
    finish, usage = data.draw(anything), data.draw(anything | st.just(draw(*COUNTS)))
    try:
        done = decode(event([{"delta": told, "finish_reason": finish}], usage=usage), DONE, ids=("new-1", "new-2"))[1]
    except (ModelUnavailable, ProviderError):
        return
    assert all(type(each) is str and each for each in (call.id for call in done.tool_calls))
    assert all(type(each) is str for call in done.tool_calls for each in (call.name, call.arguments))
    assert all(type(count) is int and count >= 0 for count in astuple(done.usage or Usage()))


# --- Requests -----------------------------------------------------------------------------------------------------


def encoded(encoder: Encoder, messages: list[Message], **more: Any) -> dict[str, Any]:
    return json.loads(encoder.encode({"model": "m"}, "sys", messages, (), **more))


def test_a_preface_goes_before_the_words_of_the_same_message() -> None:
    assert message_fields(Message("user", "fix it", preface="It is Monday."))["content"] == "It is Monday.\n\nfix it"
    assert message_fields(Message("user", preface="Only this."))["content"] == "Only this."


def test_no_message_has_an_empty_text() -> None:
    for message in (Message("user"), Message("assistant"), Message("tool", call_id="a")):
        assert message_fields(message)["content"]


def test_calls_without_text_omit_content() -> None:
    calls = (ToolCall("a", "Read", ""),)
    function = {"name": "Read", "arguments": "{}"}
    assert message_fields(Message("assistant", tool_calls=calls)) == {
        "role": "assistant",
        "tool_calls": [{"id": "a", "type": "function", "function": function}],
    }


@pytest.mark.parametrize(
    ("echo", "thought", "with_calls", "expected"),
    [
        ("none", "hm", True, None),
        ("calls", "hm", True, "hm"),
        ("calls", "", True, ""),
        ("calls", None, True, ""),
        ("calls", "hm", False, None),
        ("all", "hm", False, "hm"),
        ("all", None, False, ""),
    ],
)
def test_reasoning_goes_back_where_the_server_wants_it(
    echo: Any, thought: str | None, with_calls: bool, expected: str | None
) -> None:
    calls = (ToolCall("a", "Read", "{}"),) if with_calls else ()
    fields = message_fields(Message("assistant", "x", thought=thought, tool_calls=calls), echo)
    assert fields.get("reasoning_content") == expected


def test_a_message_is_encoded_again_when_the_echo_rule_changes() -> None:
    encoder = Encoder()
    messages = [Message("assistant", "x", thought="hm", tool_calls=(ToolCall("a", "Read", "{}"),))]
    assert "reasoning_content" not in encoded(encoder, messages)["messages"][1]
    assert encoded(encoder, messages, echo="calls")["messages"][1]["reasoning_content"] == "hm"


def test_cached_bytes_never_belong_to_another_message() -> None:
    encoder = Encoder()
    for number in range(200):  # freed messages leave their id to the next
        sent = encoded(encoder, [Message("user", f"number {number}")])
        assert sent["messages"][1]["content"] == f"number {number}"


def test_a_history_that_grows_shrinks_or_changes_in_the_middle_is_sent_as_it_is_now() -> None:
    encoder = Encoder()
    one, two, three, other = (Message("user", text) for text in ("one", "two", "three", "other"))
    for history in ([one], [one, two, three], [one], [], [one, two, three], [one, other, three], [three], [other, one]):
        sent = encoded(encoder, history)["messages"][1:]
        assert [message["content"] for message in sent] == [message.text for message in history]


def test_text_that_has_no_utf8_is_sent_with_replacements() -> None:
    assert encoded(Encoder(), [Message("user", "a\udcff\x00世")])["messages"][1]["content"] == "a?\x00世"


def test_properties_without_a_type_get_one_and_the_rest_stays() -> None:
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {
            "any": {"description": "x"},
            "mode": {"enum": [1, 2]},
            "list": {"items": {"properties": {"deep": {}}}},
            "maybe": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "other": {"$ref": "#/$defs/T"},
            "properties": {"type": "object", "properties": {"type": {"const": True}}},
        },
        "$defs": {"T": {"properties": {}}},
        "required": ["any"],
    }
    assert typed(schema) == {
        "type": "object",
        "properties": {
            "any": {"type": "string", "description": "x"},
            "mode": {"type": "integer", "enum": [1, 2]},
            "list": {"type": "array", "items": {"type": "object", "properties": {"deep": {"type": "string"}}}},
            "maybe": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "other": {"$ref": "#/$defs/T"},
            "properties": {"type": "object", "properties": {"type": {"type": "boolean", "const": True}}},
        },
        "$defs": {"T": {"type": "object", "properties": {}}},
        "required": ["any"],
    }


def test_tools_are_sent_without_strict() -> None:
    body = json.loads(Encoder().encode({"model": "m"}, "", (), [ToolSchema("Read", "Reads.", {"type": "object"})]))
    function = {"name": "Read", "description": "Reads.", "parameters": {"type": "object"}}
    assert body == {"model": "m", "messages": [], "tools": [{"type": "function", "function": function}]}

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from kimi_code.agent.context import LOST_RESULT, Context, estimate, is_whole, repair, strict
from kimi_code.llm.model import ToolSchema
from kimi_code.messages import Message, ToolCall, Usage


def call(id: str) -> ToolCall:
    return ToolCall(id, "Read", "{}")


def test_a_lost_result_is_made_up_and_an_orphaned_one_dropped() -> None:
    asked = Message("assistant", tool_calls=(call("a"), call("b")))
    history = [Message("user", "hi"), asked, Message("tool", "A", call_id="a"), Message("tool", "?", call_id="z")]
    assert repair([*history, Message("user", "go on")]) == [
        Message("user", "hi"),
        asked,
        Message("tool", "A", call_id="a"),
        Message("tool", LOST_RESULT, call_id="b"),
        Message("user", "go on"),
    ]


def test_an_empty_assistant_message_and_a_second_result_are_dropped() -> None:
    asked = Message("assistant", tool_calls=(call("a"),))
    first = Message("tool", "1", call_id="a")
    assert repair([Message("assistant"), asked, first, Message("tool", "2", call_id="a")]) == [asked, first]


def asking(text: str, ids: list[str]) -> Message:
    return Message("assistant", text, tool_calls=tuple(call(id) for id in ids))


def answering(id: str) -> Message:
    return Message("tool", "r", call_id=id)


messages = st.lists(
    st.one_of(
        st.builds(Message, st.just("user"), st.sampled_from(["", "hi"])),
        st.builds(asking, st.sampled_from(["", "ok"]), st.lists(st.sampled_from("abc"), unique=True, max_size=3)),
        st.builds(answering, st.sampled_from("abcz")),
    ),
    max_size=12,
)


@given(messages)
def test_any_history_is_whole_after_repair_and_repair_changes_nothing_more(history: list[Message]) -> None:
    repaired = repair(history)
    assert is_whole(repaired)
    assert repair(repaired) == repaired
    if is_whole(history):
        assert repaired == history


@given(messages)
def test_a_strict_history_is_whole_and_has_no_two_user_messages_in_a_row(history: list[Message]) -> None:
    merged = strict(history)
    assert is_whole(merged)
    assert all(not (a.role == b.role == "user") for a, b in pairwise(merged))


def test_token_counts_follow_what_the_server_reported() -> None:
    context = Context("system prompt", (ToolSchema("Read", "reads", {}),))
    context.add(Message("user", "word " * 400))
    before = context.tokens
    context.calibrate(Usage(input=before * 2))
    assert abs(context.tokens - before * 2) <= 2


def test_counting_is_the_same_whether_messages_came_one_by_one_or_at_once() -> None:
    history = [Message("user", "héllo 你好"), Message("assistant", "x" * 99, thought="hm")]
    one = Context("s")
    for message in history:
        one.add(message)
    assert one.tokens == Context("s", messages=history).tokens


def test_chinese_counts_one_token_a_character() -> None:
    assert estimate(Message("user", "你" * 100)) == 104

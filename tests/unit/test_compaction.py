import json

from hypothesis import given
from hypothesis import strategies as st

from kimi_code.agent import compaction
from kimi_code.agent.context import estimate, is_whole
from kimi_code.events import TodoItem
from kimi_code.messages import Message, ToolCall


def step(n: int, size: int = 400, tool: str = "Read") -> list[Message]:
    arguments = json.dumps({"path": f"f{n}.py"})
    return [
        Message("assistant", f"step {n}", tool_calls=(ToolCall(f"c{n}", tool, arguments),)),
        Message("tool", "x" * size, call_id=f"c{n}"),
    ]


def conversation(steps: int, size: int = 400) -> list[Message]:
    history = [Message("user", "Fix the parser. Never touch api.py.", preface="<environment>")]
    for n in range(steps):
        history += step(n, size, "Edit" if n % 5 == 0 else "Read")
    return history


def test_the_users_words_the_plan_and_the_last_steps_survive_word_for_word() -> None:
    history = conversation(40)
    history.insert(21, Message("user", "And keep Python 3.11 working."))
    new = compaction.compact(
        history,
        state="## Goal\nFix it",
        todo=[TodoItem("write a test", "in_progress")],
        limit=4000,
        preface="<now>",
        touched=["f0.py"],
    )
    assert new[0].source == "summary"
    assert new[0].preface == "<now>"
    assert "## Goal\nFix it" in new[0].text
    assert "[in_progress] write a test" in new[0].text
    assert [m.text for m in new if m.source == "prompt" and m.role == "user"] == [
        "Fix the parser. Never touch api.py.",
        "And keep Python 3.11 working.",
    ]
    assert new[-2:] == history[-2:]
    assert "- f0.py" in new[0].text


def test_files_touched_are_remembered_over_a_second_compaction() -> None:
    once = compaction.compact(conversation(30), state="", todo=[], limit=3000, touched=["f0.py", "a b.py"])
    twice = compaction.compact([*once, *step(99)], state="", todo=[], limit=500, touched=["a b.py", "f99.py"])
    assert "Files changed so far:\n- f0.py\n- a b.py\n- f99.py" in twice[0].text


def test_without_a_state_from_the_model_the_earlier_one_is_kept() -> None:
    once = compaction.compact(conversation(30), state="## Goal\nthe goal", todo=[], limit=3000)
    twice = compaction.compact([*once, *step(99)], state="", todo=[], limit=500)
    assert "the goal" in twice[0].text


@given(st.integers(1, 60), st.integers(0, 3000), st.integers(200, 20_000))
def test_what_is_kept_is_a_whole_history_within_its_share(steps: int, size: int, limit: int) -> None:
    new = compaction.compact(conversation(steps, size), state="s", todo=[], limit=limit)
    assert is_whole(new)
    kept = [m for m in new if m.source == "prompt" and m.role != "user"]
    assert sum(estimate(m) for m in kept) <= limit * 0.25


@given(st.integers(1, 60), st.integers(0, 9000), st.integers(600, 20_000))
def test_the_question_for_the_state_fits_the_limit_and_stands_at_the_end(steps: int, size: int, limit: int) -> None:
    asked = compaction.ask_for_state(conversation(steps, size), limit)
    assert is_whole(asked)
    assert asked[-1].text == compaction.REQUEST
    assert sum(estimate(m) for m in asked) <= limit + 200


def test_long_results_are_shortened_visibly() -> None:
    [shortened] = compaction.shorten_results([Message("tool", "a" * 5000, call_id="c")])
    assert len(shortened.text) < 1400
    assert "3800 characters cut" in shortened.text

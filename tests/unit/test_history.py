"""Taking turns back and bringing them back: what the model sees is exactly what it was."""

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from kimi_code.agent.history import History, fold
from kimi_code.events import (
    ContextCompacted,
    Diff,
    Event,
    FileChange,
    MessageCompleted,
    Outcome,
    PlanUpdated,
    TodoItem,
    ToolEnded,
    TurnEnded,
    TurnRedone,
    TurnReviewed,
    TurnStarted,
    TurnUndone,
)
from kimi_code.messages import Message


def user(text: str) -> MessageCompleted:
    return MessageCompleted(Message("user", text))


def said(text: str) -> MessageCompleted:
    return MessageCompleted(Message("assistant", text))


def texts(history: History) -> list[str]:
    return [message.text for message in history.messages]


FIRST = (TurnStarted(1, "one"), user("one"), said("1"))
SECOND = (TurnStarted(2, "two"), user("two"), PlanUpdated((TodoItem("x"),)), said("2"))


def test_the_history_is_the_fold_of_messages_and_compactions() -> None:
    summary = Message("user", "state", source="summary")
    history = fold([user("one"), ContextCompacted(100, 10, (summary,)), said("two")])
    assert history.messages == [summary, Message("assistant", "two")]


def test_the_files_touched_are_what_tools_reviews_and_turns_told_and_go_back_with_their_turn() -> None:
    def files(*paths: str) -> tuple[FileChange, ...]:
        return tuple(FileChange(path, "modified") for path in paths)

    renamed = ToolEnded(
        "c", "Rename", "a to b", "done", blocks=(Diff("x.py", "modified", 1, 1), Diff("y.py", "modified", 1, 1))
    )
    history = fold([*FIRST, renamed, TurnReviewed("declined", files("no.py"), "p"), *SECOND])
    assert history.touched == ("x.py", "y.py")
    history.follow(TurnReviewed("applied", files("swarm.py"), "p"))
    history.follow(TurnEnded(2, Outcome.DONE, files_changed=files("x.py", "by a command")))
    assert history.touched == ("x.py", "y.py", "swarm.py", "by a command")
    history.follow(TurnUndone(2))
    assert history.touched == ("x.py", "y.py")
    history.follow(TurnRedone(2))
    assert history.touched == ("x.py", "y.py", "swarm.py", "by a command")


def test_an_undone_turn_vanishes_with_its_plan_and_comes_back_with_it() -> None:
    history = fold([*FIRST, *SECOND, TurnUndone(2)])
    assert (texts(history), history.plan, history.redoable) == (["one", "1"], (), (2,))
    history.follow(TurnRedone(2))
    assert (texts(history), history.plan, history.redoable) == (["one", "1", "two", "2"], (TodoItem("x"),), ())
    assert history.undone == frozenset()


def test_a_turn_that_compacted_the_history_is_undone_to_the_history_before() -> None:
    summary = Message("user", "state", source="summary")
    compacting = (TurnStarted(2, "two"), user("two"), ContextCompacted(9, 1, (summary,)), said("2"))
    history = fold([*FIRST, *compacting, TurnUndone(2)])
    assert texts(history) == ["one", "1"]
    history.follow(TurnRedone(2))
    assert texts(history) == ["state", "2"]


def test_a_new_turn_after_an_undo_drops_the_redo_but_the_turn_stays_undone() -> None:
    history = fold([*FIRST, *SECOND, TurnUndone(2), TurnStarted(3, "three"), user("three"), TurnRedone(2)])
    assert texts(history) == ["one", "1", "three"]
    assert (history.redoable, history.undone) == ((), frozenset({2}))


def test_only_files_leave_the_conversation_alone_but_the_model_hears_of_them() -> None:
    history = fold([*FIRST, TurnUndone(1, (FileChange("a.py", "modified"),), conversation=False)])
    assert texts(history) == ["one", "1"]
    assert history.undone == frozenset()
    assert history.news().splitlines()[0] == "The user took back turn 1 of this session: changes to a.py."


def test_the_model_hears_nothing_of_an_undo_that_was_redone_and_nothing_twice() -> None:
    undone, redone = TurnUndone(1), TurnRedone(1)
    assert fold([*FIRST, undone, redone]).news() == ""
    assert "took back turn 1" in fold([*FIRST, undone]).news()
    assert fold([*FIRST, undone, TurnStarted(2, "two")]).news() == ""


def test_an_undo_of_a_turn_nobody_knows_changes_nothing() -> None:
    assert texts(fold([*FIRST, TurnUndone(7), TurnRedone(7)])) == ["one", "1"]


@dataclass
class Model:
    """The same by brute force: whole copies of the past."""

    now: list[str] = field(default_factory=list[str])
    before: list[tuple[int, list[str]]] = field(default_factory=list[tuple[int, list[str]]])
    after: list[tuple[int, list[str], list[str]]] = field(default_factory=list[tuple[int, list[str], list[str]]])
    turn: int = 0


@given(st.lists(st.sampled_from(["turn", "say", "compact", "undo", "redo"]), max_size=40))
def test_any_sequence_gives_what_whole_copies_would_give(steps: list[str]) -> None:
    history, model = History(), Model()
    for number, step in enumerate(steps):
        for event in apply(step, f"m{number}", model):
            history.follow(event)
        assert texts(history) == model.now
        assert list(history.redoable) == [turn for turn, *_ in reversed(model.after)]


def apply(step: str, text: str, model: Model) -> list[Event]:
    match step:
        case "turn":
            model.turn += 1
            model.before.append((model.turn, list(model.now)))
            model.after.clear()
            model.now.append(text)
            return [TurnStarted(model.turn, text), user(text)]
        case "say":
            model.now.append(text)
            return [said(text)]
        case "compact":
            model.now = [text]
            return [ContextCompacted(2, 1, (Message("user", text),))]
        case "undo" if model.before:
            turn, before = model.before.pop()
            model.after.append((turn, before, model.now))
            model.now = list(before)
            return [TurnUndone(turn)]
        case "redo" if model.after:
            turn, before, now = model.after.pop()
            model.before.append((turn, before))
            model.now = list(now)
            return [TurnRedone(turn)]
        case _:
            return []

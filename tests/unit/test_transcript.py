"""Records folded into what a conversation looks like."""

from kimi_code.events import (
    Allow,
    Approval,
    CheckpointCreated,
    ContextCompacted,
    Deny,
    Diff,
    Effect,
    Event,
    FileChange,
    MessageCompleted,
    Notice,
    Outcome,
    Output,
    PlannedTask,
    PlanUpdated,
    Record,
    RequestClosed,
    RequestOpened,
    SessionOpened,
    StepRetried,
    StepStarted,
    SwarmPlanned,
    Text,
    TextDelta,
    ThoughtDelta,
    TodoItem,
    ToolEnded,
    ToolProgressed,
    ToolStarted,
    TurnEnded,
    TurnRedone,
    TurnStarted,
    TurnUndone,
)
from kimi_code.messages import Message, ToolCall
from kimi_code.session.entries import Answer, Card, Compaction, Ending, Entry, Gone, Note, Retry, Thought, Words
from kimi_code.session.transcript import Transcript


def records(*events: Event, agent: str = "main") -> list[Record]:
    return [Record(seq, agent, float(seq), event) for seq, event in enumerate(events, 1)]


def entries(*events: Event) -> list[Entry]:
    return Transcript(records(*events)).entries


def card(*events: Event) -> Card:
    found = [entry for entry in entries(*events) if isinstance(entry, Card)]
    assert len(found) == 1
    return found[0]


def said(text: str, *calls: ToolCall, thought: str | None = None) -> MessageCompleted:
    return MessageCompleted(Message("assistant", text, thought=thought, tool_calls=calls))


START = TurnStarted(1, "fix it")
PROMPT = MessageCompleted(Message("user", "fix it"))
BASH = ToolStarted("c1", "Bash", "make", Effect.EXECUTE, {})


def test_the_prompt_is_shown_once_and_what_was_said_meanwhile_as_said_meanwhile() -> None:
    assert entries(START, PROMPT, MessageCompleted(Message("user", "faster"))) == [
        Words("fix it", 1),
        Words("faster", 1, steer=True),
    ]


def test_a_thought_lasts_until_the_answer_begins() -> None:
    thought, answer = entries(
        StepStarted(1),
        ThoughtDelta("hm"),
        ThoughtDelta(" so"),
        TextDelta("a"),
        TextDelta("b"),
        said("ab", thought="hm so"),
    )
    assert thought == Thought(["hm", " so"], 2.0, done=True, seconds=2.0)
    assert answer == Answer(["a", "b"], done=True)


def test_a_journal_without_deltas_gives_the_same_words_without_the_time() -> None:
    assert entries(StepStarted(1), said("ab", thought="hm so")) == [
        Thought(["hm so"], 2.0, done=True),
        Answer(["ab"], done=True),
    ]


def test_the_completed_message_has_the_last_word() -> None:
    assert entries(TextDelta("my key is sk-1"), said("my key is ***")) == [Answer(["my key is ***"], done=True)]


def test_a_retry_voids_what_came_and_is_over_when_something_comes() -> None:
    transcript = Transcript(records(StepStarted(1), ThoughtDelta("x"), TextDelta("half"), StepRetried(1, 2.5, "429")))
    assert [getattr(entry, "void", None) for entry in transcript.entries] == [True, True, None]
    assert transcript.entries[2] == Retry(1, 2.5, "429", 4.0)
    # A checkpoint of the turn's beginning may be that late; it is no answer.
    assert transcript.apply(Record(5, "main", 6.0, CheckpointCreated("c", "before turn 1"))) == ()
    changed = transcript.apply(Record(6, "main", 7.0, TextDelta("whole")))
    assert changed == (2, 3)
    assert transcript.entries[2:] == [Retry(1, 2.5, "429", 4.0, over=True), Answer(["whole"])]


def test_a_call_is_one_card_from_its_approval_to_what_the_model_was_told() -> None:
    approval = Approval("c1", "Bash", "make", "asked: unknown command", (Output("make", "", None),))
    done = ToolEnded("c1", "Bash", "make", "done", "done", (Output("make", "ok", 0),), 1.5)
    asked = card(RequestOpened("r1", approval))
    assert (asked.state, asked.reason, asked.blocks) == ("asked", "asked: unknown command", approval.blocks)
    whole = card(
        RequestOpened("r1", approval),
        RequestClosed("r1", Allow()),
        BASH,
        ToolProgressed("c1", "o"),
        ToolProgressed("c1", "k"),
        done,
        MessageCompleted(Message("tool", "ok", call_id="c1")),
    )
    assert (whole.state, whole.seconds, whole.blocks, whole.result, whole.output) == (
        "done",
        1.5,
        done.blocks,
        "ok",
        "",
    )


def test_what_was_refused_stays_in_sight() -> None:
    diff = Diff("a.py", "modified", 1, 0)
    denied = card(
        RequestOpened("r1", Approval("c1", "Edit", "a.py", "asked", (diff,))),
        RequestClosed("r1", Deny("no")),
        ToolEnded("c1", "Edit", "a.py", "denied", "asked; no"),
    )
    assert (denied.state, denied.blocks) == ("denied", (diff,))


def test_a_question_that_belongs_to_no_call_is_over_when_it_is_answered() -> None:
    plan = Approval("", "Swarm", "Make it better", "a swarm of 2 tasks")
    approved = RequestOpened("r1", plan), RequestClosed("r1", Allow())
    again = RequestOpened("r2", plan), RequestClosed("r2", Deny("too many"))
    (first, second) = entries(*approved, *again)
    assert isinstance(first, Card) and isinstance(second, Card)
    assert (first.state, first.summary, second.state) == ("done", "approved", "denied")


def test_the_plan_of_a_call_is_asked_for_in_its_card_and_what_runs_needs_no_note() -> None:
    start = ToolStarted("c1", "Swarm", "2 tasks: Make it better", Effect.DELEGATE, {})
    plan = Approval("", "Swarm", "Make it better", "a swarm of 2 tasks", (Text("tasks: []"),))
    asked = card(start, RequestOpened("r1", plan))
    assert (asked.state, asked.title, asked.blocks) == ("asked", "2 tasks: Make it better", plan.blocks)
    task = PlannedTask("a", "Better a", "coder", "write", (), ())
    planned = SwarmPlanned("s-1", "Make it better", (task,), 2, ())
    running = card(start, RequestOpened("r1", plan), RequestClosed("r1", Allow()), planned)
    assert (running.state, running.blocks) == ("running", ())
    denied = card(
        start,
        RequestOpened("r1", plan),
        RequestClosed("r1", Deny("too many")),
        ToolEnded("c1", "Swarm", "2 tasks: Make it better", "denied", "too many"),
    )
    assert (denied.state, denied.blocks) == ("denied", plan.blocks)
    (own,) = entries(planned)
    assert own == Note("info", "Swarm s-1: 1 task.")


def test_the_review_of_a_turn_goes_on_until_it_was_carried_out() -> None:
    review = Approval("", "", "2 files changed", "the turn is reviewed")
    assert card(RequestOpened("r", review), RequestClosed("r", Allow())).state == "running"


def test_running_output_is_kept_to_its_end() -> None:
    running = card(BASH, *(ToolProgressed("c1", f"{number:>9}\n") for number in range(10_000)))
    assert running.output.endswith("     9999\n")
    assert len(running.output) <= 32_000


def test_an_id_used_again_is_another_call() -> None:
    end = ToolEnded("c1", "Bash", "make", "done")
    found = entries(BASH, end, BASH, end, ToolEnded("c1", "Bash", "make", "invalid"))
    assert [entry.state for entry in found if isinstance(entry, Card)] == ["done", "done", "invalid"]


def test_the_plan_belongs_to_the_call_that_wrote_it() -> None:
    items = (TodoItem("a", "done"),)
    written = card(
        ToolStarted("c1", "Todo", "a", Effect.NONE, {}), PlanUpdated(items), ToolEnded("c1", "Todo", "a", "done")
    )
    assert written.items == items


def test_a_turn_that_ends_leaves_nothing_open() -> None:
    *_, answer, cut, ending = entries(
        START, TextDelta("half"), BASH, TurnEnded(1, Outcome.INTERRUPTED, error="interrupted")
    )
    assert isinstance(answer, Answer) and answer.done
    assert isinstance(cut, Card) and cut.state == "interrupted"
    assert isinstance(ending, Ending) and (ending.seconds, ending.outcome) == (3.0, Outcome.INTERRUPTED)


def test_what_ran_when_the_process_was_killed_does_not_run_any_more() -> None:
    opened = SessionOpened("s", "/", "m", "ask", "1", resumed=True)
    assert [entry.state for entry in entries(START, BASH, opened) if isinstance(entry, Card)] == ["interrupted"]


def test_notes_tell_who_was_told() -> None:
    told = MessageCompleted(Message("user", "Your last answer was empty.", source="notice"))
    assert entries(Notice("warning", "careful"), told, ContextCompacted(9, 3, ())) == [
        Note("warning", "careful"),
        Note("info", "Your last answer was empty.", told=True),
        Compaction(9, 3),
    ]


def test_records_of_other_agents_are_left_out() -> None:
    assert Transcript(records(START, TextDelta("x"), agent="main/tests")).entries == []
    assert Transcript(records(TextDelta("x"), agent="main/tests"), agent="main/tests").entries == [Answer(["x"])]


def test_a_turn_taken_back_leaves_its_first_words_and_comes_again_as_it_was() -> None:
    first = (TurnStarted(1, "one"), said("One."), TurnEnded(1, Outcome.DONE))
    second = (TurnStarted(2, "two"), said("Two."), TurnEnded(2, Outcome.DONE))
    before = entries(*first, *second)
    undone = entries(*first, *second, TurnUndone(2, (FileChange("a", "modified"),)))
    assert undone[:3] == before[:3]
    assert undone[3] == Words("two", 2, undone=True)
    assert [type(entry) for entry in undone[4:6]] == [Gone, Gone]
    assert undone[6] == Note("info", "Turn 2 was taken back, with 1 file.")
    redone = entries(*first, *second, TurnUndone(2), TurnRedone(2))
    assert redone[:6] == before
    assert entries(*first, *second, TurnUndone(2, conversation=False))[:6] == before


def test_a_turn_that_was_killed_is_taken_back_up_to_where_the_next_process_began() -> None:
    opened = SessionOpened("s", "/", "m", "ask", "0", resumed=True)
    found = entries(TurnStarted(1, "one"), said("One."), opened, Notice("info", "later"), TurnUndone(1))
    assert found[0] == Words("one", 1, undone=True)
    assert isinstance(found[1], Gone)
    assert found[2] == Note("info", "later")

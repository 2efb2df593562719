"""A whole turn, from the prompt to the result, with real tools and a real server."""

import json
from pathlib import Path
from typing import Any

import pytest

from kimi_code.errors import BudgetExceeded
from kimi_code.events import (
    ContextCompacted,
    MessageCompleted,
    Outcome,
    StepRetried,
    TextDelta,
    ToolEnded,
    ToolStarted,
    TurnStarted,
)
from kimi_code.llm.tokens import estimate_tokens
from kimi_code.session.session import Session
from tests.harness import Lab
from tests.server import Received, Reply, answer, call, calls, cut, error, hang, html, raw_sse, say, usage_of


async def test_a_turn_reads_edits_runs_and_answers(lab: Lab) -> None:
    (lab.project / "a.py").write_text("x = 1\n")
    lab.configure(allow=("Bash(cat a.py)",))
    lab.server.script(
        call("Read", {"path": "a.py"}),
        call("Edit", {"path": "a.py", "old_string": "x = 1", "new_string": "x = 2"}),
        call("Bash", {"command": "cat a.py"}),
        say("Changed x to 2."),
    )
    ran = await lab.run()
    assert ran.exit_code == 0
    assert (lab.project / "a.py").read_text() == "x = 2\n"
    result = ran.result
    assert result["type"] == "result"
    assert result["status"] == "done"
    assert result["text"] == "Changed x to 2."
    assert (result["turns"], result["steps"], result["tool_calls"]) == (1, 4, 3)
    assert result["files_changed"] == [{"path": "a.py", "change": "modified", "added": 1, "removed": 1}]
    assert result["error"] is None
    assert result["denied"] == []
    assert "x = 2" in lab.server.requests[3].last["content"]


async def test_every_event_of_a_small_turn_in_order(lab: Lab) -> None:
    (lab.project / "a.txt").write_text("hello\n")
    lab.server.script(call("Read", {"path": "a.txt"}), say("It says hello."))
    ran = await lab.run()
    kinds = [type(record.event).__name__ for record in ran.records]
    assert [kind for kind in kinds if kind not in ("TextDelta", "CheckpointCreated")] == [
        "SessionOpened",
        "TurnStarted",
        "MessageCompleted",
        "StepStarted",
        "MessageCompleted",
        "ToolStarted",
        "ToolEnded",
        "MessageCompleted",
        "StepEnded",
        "StepStarted",
        "MessageCompleted",
        "StepEnded",
        "TurnEnded",
    ]
    assert [record.seq for record in ran.records] == list(range(1, len(kinds) + 1))


async def test_reads_of_one_step_run_at_once_and_results_go_back_in_the_order_asked(lab: Lab) -> None:
    for name in "abc":
        (lab.project / name).write_text(f"content of {name}\n")
    lab.server.script(calls(*[("Grep", {"pattern": "content", "path": name}) for name in "cab"]), say("done"))
    ran = await lab.run()
    kinds = [type(r.event) for r in ran.records if isinstance(r.event, ToolStarted | ToolEnded)]
    assert kinds == [ToolStarted] * 3 + [ToolEnded] * 3
    contents = [m["content"] for m in lab.server.requests[1].messages if m["role"] == "tool"]
    assert ["content of c" in contents[0], "content of a" in contents[1], "content of b" in contents[2]] == [True] * 3


async def test_an_edit_between_two_reads_is_seen_by_the_second(lab: Lab) -> None:
    (lab.project / "a").write_text("one\n")
    lab.server.script(
        calls(
            ("Read", {"path": "a"}),
            ("Edit", {"path": "a", "old_string": "one", "new_string": "two"}),
            ("Read", {"path": "a"}),
        ),
        say("done"),
    )
    await lab.run()
    contents = [m["content"] for m in lab.server.requests[1].messages if m["role"] == "tool"]
    assert "one" in contents[0]
    assert "two" in contents[2]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ('{"path": "a', "broken JSON"),
        ("[1]", "JSON object"),
        ('{"pth": "a"}', "path"),
        ('{"path": "a", "ofset": 3}', "ofset"),
        ('{"path": {"x": 1}}', "path"),
        pytest.param("[" * 100_000, "nested too deeply", id="100,000 brackets"),
    ],
)
async def test_arguments_that_do_not_fit_come_back_as_words(lab: Lab, arguments: str, words: str) -> None:
    lab.server.script(call("Read", arguments), say("sorry"))
    ran = await lab.run()
    assert ran.exit_code == 0
    assert words in lab.server.requests[1].last["content"]
    assert ran.result["tool_calls"] == 1


async def test_an_unknown_tool_comes_back_with_the_names_there_are(lab: Lab) -> None:
    lab.server.script(call("read_file", {"path": "a"}), say("sorry"))
    ran = await lab.run()
    answer = lab.server.requests[1].last["content"]
    assert "no tool 'read_file'" in answer
    assert "Did you mean Read?" in answer
    assert ran.result["tool_calls"] == 1


async def test_the_same_failing_call_is_nudged_at_three_and_ends_the_turn_at_five(lab: Lab) -> None:
    lab.server.script(*[call("Read", {"path": "missing.txt"}) for _ in range(5)])
    ran = await lab.run()
    assert ran.exit_code == 1
    assert ran.result["status"] == "failed"
    assert "same failing call to Read 5 times" in ran.result["error"]
    assert "failed 3 times" not in lab.server.requests[2].last["content"]
    assert "failed 3 times" in lab.server.requests[3].last["content"]


async def test_a_failing_command_counts_too_and_a_change_of_files_lets_it_be_tried_again(lab: Lab) -> None:
    lab.configure(permission_mode="yolo")
    check = call("Bash", {"command": "test -f ok"})
    lab.server.script(*[check] * 4, call("Write", {"path": "other", "content": ""}), *[check] * 4, say("I give up."))
    assert (await lab.run()).exit_code == 0
    lab.server.script(*[check] * 5)
    ran = await lab.run()
    assert (ran.exit_code, ran.result["status"]) == (1, "failed")


async def test_the_count_of_failures_begins_anew_when_something_changed(lab: Lab) -> None:
    failing = call("Read", {"path": "missing.txt"})
    write = call("Write", {"path": "b.txt", "content": "x"})
    lab.server.script(failing, failing, failing, failing, write, failing, say("ok"))
    assert (await lab.run()).exit_code == 0


# --- Denials ------------------------------------------------------------------------------------------------------


async def test_a_denied_command_is_not_run_is_told_to_the_model_and_exits_5(lab: Lab) -> None:
    lab.server.script(call("Bash", {"command": "touch made"}), say("I could not."))
    ran = await lab.run()
    assert ran.exit_code == 5
    assert ran.result["status"] == "denied"
    assert not (lab.project / "made").exists()
    assert "Denied" in lab.server.requests[1].last["content"]
    [denied] = ran.result["denied"]
    assert (denied["tool"], denied["title"]) == ("Bash", "touch made")
    assert "--allow 'Bash(touch made)'" in ran.result["error"]
    assert ran.result["text"] == "I could not."
    assert ran.result["tool_calls"] == 1
    assert not ran.events(ToolStarted)


async def test_denied_work_whose_check_passes_exits_0(lab: Lab) -> None:
    lab.server.script(call("Bash", {"command": "touch made"}), say("done otherwise"))
    ran = await lab.run(verify="true")
    assert ran.exit_code == 0
    assert len(ran.result["denied"]) == 1


async def test_yolo_runs_commands(lab: Lab) -> None:
    lab.configure(permission_mode="yolo")
    lab.server.script(call("Bash", {"command": "touch made; mv made renamed"}), say("ok"))
    ran = await lab.run()
    assert ran.exit_code == 0
    assert ran.result["files_changed"] == [{"path": "renamed", "change": "created", "added": 0, "removed": 0}]


async def test_a_file_that_moved_is_told_as_renamed_and_one_that_went_as_deleted(lab: Lab) -> None:
    lab.configure(permission_mode="yolo")
    lines = [f"line {number}\n" for number in range(20)]
    (lab.project / "old.txt").write_text("".join(lines))
    (lab.project / "gone").write_text("a\nb\n")
    lab.server.script(call("Bash", {"command": "mv old.txt new.txt; echo more >> new.txt; rm gone"}), say("ok"))
    assert (await lab.run()).result["files_changed"] == [
        {"path": "gone", "change": "deleted", "added": 0, "removed": 2},
        {"path": "new.txt", "change": "renamed", "added": 1, "removed": 0},
    ]


async def test_plan_mode_denies_edits(lab: Lab) -> None:
    lab.configure(permission_mode="plan")
    lab.server.script(call("Write", {"path": "x", "content": "y"}), say("planned"))
    ran = await lab.run()
    assert ran.exit_code == 5
    assert not (lab.project / "x").exists()
    assert "plan mode" in ran.result["denied"][0]["reason"]


# --- Provider failures --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "failure", [error(429), error(429, retry_after=0), error(500), error(529), cut(5, say("hello there"))]
)
async def test_passing_failures_are_retried_and_the_partial_output_is_void(lab: Lab, failure: Reply) -> None:
    lab.server.script(failure, say("All good."))
    ran = await lab.run()
    assert ran.exit_code == 0
    assert ran.result["text"] == "All good."
    assert len(ran.events(StepRetried)) == 1
    after = [r.event for r in ran.records][[type(r.event) for r in ran.records].index(StepRetried) :]
    assert "".join(e.text for e in after if isinstance(e, TextDelta)) == "All good."


async def test_retries_used_up_exit_75(lab: Lab) -> None:
    lab.configure(max_retries=2)
    lab.server.script(error(503), error(503), error(503))
    ran = await lab.run()
    assert ran.exit_code == 75
    assert ran.result["status"] == "unavailable"


async def test_a_server_that_asks_for_too_much_patience_ends_the_run_at_once(lab: Lab) -> None:
    lab.server.script(error(429, retry_after=4000))
    assert (await lab.run()).exit_code == 75


async def test_an_unreachable_server_exits_75_and_is_named(lab: Lab) -> None:
    lab.configure(max_retries=1)
    lab.server.stop()
    ran = await lab.run()
    assert ran.exit_code == 75
    assert lab.server.url.split("/")[2] in ran.result["error"]


@pytest.mark.parametrize(
    ("reply", "exit_code", "status", "words"),
    [
        (error(401, message="Invalid Authentication"), 3, "auth_failed", "key"),
        (error(403, message="access_terminated_error"), 3, "auth_failed", ""),
        (error(429, message="Your account is suspended: insufficient balance"), 4, "budget_exceeded", "balance"),
        (html(), 1, "failed", "Sign in"),
        (error(400, message="content_filter: the request was rejected"), 1, "failed", "content"),
        (error(404, message="model not found"), 1, "failed", "model"),
    ],
)
async def test_final_failures_have_their_exit_code_and_no_retry(
    lab: Lab, reply: Reply, exit_code: int, status: str, words: str
) -> None:
    lab.server.script(reply)
    ran = await lab.run()
    assert (ran.exit_code, ran.result["status"]) == (exit_code, status)
    assert words in ran.result["error"]
    assert "sk-the-secret" not in ran.stdout + ran.stderr


async def test_a_stream_cut_in_the_middle_of_a_call_runs_nothing_and_is_asked_again(lab: Lab) -> None:
    write = call("Write", {"path": "x.txt", "content": "long " * 50})
    lab.server.script(cut(60, write), say("fine"))
    ran = await lab.run()
    assert ran.exit_code == 0
    assert not (lab.project / "x.txt").exists()


async def test_a_call_cut_by_the_output_limit_is_never_run(lab: Lab) -> None:
    lab.server.script(
        answer([("c1", "Write", '{"path": "x.txt", "content": "half')], finish="length"), say("smaller now")
    )
    ran = await lab.run()
    assert not (lab.project / "x.txt").exists()
    assert "cut off" in lab.server.requests[1].last["content"]
    assert ran.result["tool_calls"] == 1


async def test_an_answer_cut_by_the_output_limit_exits_4_and_keeps_the_words(lab: Lab) -> None:
    lab.server.script(say("The beginning of", finish="length"))
    ran = await lab.run()
    assert ran.exit_code == 4
    assert ran.result["text"] == "The beginning of"


async def test_a_filtered_turn_is_dropped_from_the_history(lab: Lab) -> None:
    lab.server.script(say("", finish="content_filter"))
    first = await lab.run("something")
    assert first.exit_code == 1
    lab.server.script(say("hello"))
    await lab.run("hello?", continue_last=True)
    users = [m["content"] for m in lab.server.requests[-1].messages if m["role"] == "user"]
    assert len(users) == 1


async def test_empty_answers_are_asked_for_again_and_then_given_up(lab: Lab) -> None:
    lab.server.script(say(""), say(""), say("now"))
    assert (await lab.run()).result["text"] == "now"
    lab.server.script(say(""), say(""), say(""))
    assert (await lab.run()).exit_code == 1


async def test_silence_counts_as_failure_and_is_retried(lab: Lab) -> None:
    lab.configure(silence_timeout=0.2)
    lab.server.script(hang(), say("back"))
    ran = await lab.run()
    assert ran.exit_code == 0
    assert len(ran.events(StepRetried)) == 1


# --- Budgets ------------------------------------------------------------------------------------------------------


async def test_budgets_of_zero_ask_nothing(lab: Lab) -> None:
    for budget in ({"max_steps": 0}, {"max_tokens": 0}):
        lab.configure(max_steps=None, max_tokens=None)
        lab.configure(**budget)
        ran = await lab.run()
        assert (ran.exit_code, ran.result["status"], ran.result["steps"]) == (4, "budget_exceeded", 0)
    assert lab.server.requests == []


async def test_steps_used_up_exit_4_after_the_last_calls_ran(lab: Lab) -> None:
    lab.configure(max_steps=1)
    lab.server.script(call("Write", {"path": "a", "content": "x"}))
    ran = await lab.run()
    assert ran.exit_code == 4
    assert (lab.project / "a").exists()
    assert ran.result["files_changed"][0]["path"] == "a"


async def test_tokens_used_up_exit_4(lab: Lab) -> None:
    lab.configure(max_tokens=100)
    (lab.project / "a").write_text("x")
    lab.server.script(call("Read", {"path": "a"}))
    assert (await lab.run()).exit_code == 4


async def test_a_cost_limit_without_a_known_price_is_refused(lab: Lab) -> None:
    lab.configure(max_cost=1.0)
    ran = await lab.run()
    assert ran.exit_code == 4
    assert "price" in ran.result["error"]


async def test_what_a_turn_costs_is_told_and_the_limit_ends_it(lab: Lab) -> None:
    (lab.project / "a").write_text("x")
    lab.configure(model="fake/kimi-k2.5", max_cost=1.2)
    # A million fresh tokens are 60 cents, a million cached ones 10, a million written ones 3 dollars.
    lab.server.script(
        call("Read", {"path": "a"}, usage=usage_of(2_000_000, 100_000, cached=1_000_000)),
        call("Read", {"path": "a"}, usage=usage_of(1_000_000, 0)),
    )
    ran = await lab.run()
    assert (ran.exit_code, ran.result["cost_usd"]) == (4, 1.6)
    assert "1.2" in ran.result["error"]


async def test_the_budget_of_a_session_holds_over_its_turns_and_processes_together(lab: Lab) -> None:
    lab.configure(max_session_tokens=5_000)
    much = usage_of(2_000, 1_000)
    lab.server.script(say("one", usage=much), say("two", usage=much))
    first = await lab.run()
    assert first.exit_code == 0
    assert (await lab.run(continue_last=True)).exit_code == 0  # something was left for it to begin with
    third = await lab.run(continue_last=True)
    assert (third.exit_code, third.result["status"], third.result["steps"]) == (4, "budget_exceeded", 0)
    assert "The session's budget is used up: 6,000 of 5,000 tokens." in third.result["error"]
    assert "--max-session-tokens" in third.result["error"]
    lab.configure(max_session_tokens=7_000)
    lab.server.script(say("three", usage=much))
    assert (await lab.run(continue_last=True)).exit_code == 0
    lab.server.script(say("another one", usage=much))
    assert (await lab.run()).exit_code == 0  # another session has one of its own


async def test_the_money_of_a_session_holds_over_its_turns_and_what_is_asked_between_them(lab: Lab) -> None:
    lab.configure(model="fake/kimi-k2.5", max_session_cost=1.0)
    lab.server.script(say("one", usage=usage_of(1_000_000, 0)), say("aside", usage=usage_of(1_000_000, 0)))
    opened = await lab.open()
    assert (await opened.session.prompt("one")).outcome is Outcome.DONE
    assert await opened.session.aside("and?") == "aside"
    with pytest.raises(BudgetExceeded, match=r"\$1\.2000 of \$1\.0000"):
        await opened.session.aside("once more?")
    ended = await opened.session.prompt("two")
    assert (ended.outcome, ended.steps) == (Outcome.BUDGET, 0)
    await opened.session.close()
    assert len(lab.server.requests) == 2


async def test_the_time_limit_ends_a_silent_turn_with_4_and_a_failing_one_with_75(lab: Lab) -> None:
    lab.configure(timeout=0.3)
    lab.server.script(hang())
    assert (await lab.run()).exit_code == 4
    lab.configure(timeout=0.3, retry_wait=30.0)
    lab.server.script(error(500))
    assert (await lab.run()).exit_code == 75


# --- Checks -------------------------------------------------------------------------------------------------------


async def test_a_failing_check_goes_to_the_model_which_mends_it(lab: Lab) -> None:
    lab.server.script(say("done"), call("Write", {"path": "ok", "content": ""}), say("done now"))
    ran = await lab.run(verify="echo looking; test -f ok")
    assert ran.exit_code == 0
    told = lab.server.requests[1].last["content"]
    assert "exit code 1" in told
    assert "looking" in told
    assert ran.result["turns"] == 1


async def test_a_check_that_fails_three_times_exits_1(lab: Lab) -> None:
    lab.server.script(say("a"), say("b"), say("c"))
    ran = await lab.run(verify="echo run >> runs; false")
    assert (ran.exit_code, ran.result["status"]) == (1, "verify_failed")
    assert (lab.project / "runs").read_text() == "run\n" * 3


SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


@pytest.mark.parametrize("answer", ['{"n": 3}', 'Here it is:\n```json\n{"n": 3}\n```'])
async def test_an_answer_that_fits_the_schema_stands_parsed_under_output(lab: Lab, answer: str) -> None:
    lab.server.script(say(answer))
    ran = await lab.run(schema=SCHEMA)
    assert ran.exit_code == 0
    assert ran.result["output"] == {"n": 3}
    assert '"required": ["n"]' in json.dumps(lab.server.requests[0].last["content"]).replace('\\"', '"')


async def test_an_answer_that_does_not_fit_gets_two_repairs_then_exits_1(lab: Lab) -> None:
    lab.server.script(say("no json"), say('{"n": "x"}'), say("{}"))
    ran = await lab.run(schema=SCHEMA)
    assert (ran.exit_code, ran.result["status"]) == (1, "invalid_output")
    assert ran.result["output"] is None
    assert "not JSON" in lab.server.requests[1].last["content"]
    assert "at n" in lab.server.requests[2].last["content"]


# --- Interruption, sessions ---------------------------------------------------------------------------------------


async def test_an_interrupted_turn_kills_its_command_and_leaves_a_whole_history(lab: Lab) -> None:
    lab.configure(permission_mode="yolo")
    lab.server.script(call("Bash", {"command": "echo $$ > pid; echo started; sleep 1000"}))

    def interrupt_when_started(session: Session) -> None:
        def listen(record: Any) -> None:
            if type(record.event).__name__ == "ToolProgressed":
                session.interrupt()

        session.subscribe(listen)

    ran = await lab.run(meanwhile=interrupt_when_started)
    assert ran.exit_code == 130
    assert ran.result["status"] == "interrupted"
    pid = int((lab.project / "pid").read_text())
    with pytest.raises(ProcessLookupError):
        import os

        os.kill(pid, 0)
    lab.server.script(say("going on"))
    again = await lab.run("and now?", continue_last=True)
    assert again.exit_code == 0
    roles = [m["role"] for m in lab.server.requests[-1].messages]
    assert roles == ["system", "user", "assistant", "tool", "user"]


async def test_a_session_is_continued_with_its_history_and_id(lab: Lab) -> None:
    lab.server.script(say("one"), say("two"), say("three"))
    first = await lab.run("first")
    second = await lab.run("second", continue_last=True)
    third = await lab.run("third", resume=first.result["session_id"][:5])
    assert first.result["session_id"] == second.result["session_id"] == third.result["session_id"]
    texts = [m["content"] for m in lab.server.requests[-1].messages if m["role"] != "system"]
    assert [text.splitlines()[-1] for text in texts] == ["first", "one", "second", "two", "third"]
    assert third.events(TurnStarted)[0].turn == 3
    assert third.result["turns"] == 1
    assert second.records[0].seq > first.records[-1].seq


async def test_a_session_that_is_not_kept_leaves_nothing_to_continue(lab: Lab) -> None:
    lab.server.script(say("one"))
    assert (await lab.run(keep=False)).exit_code == 0
    ran = await lab.run(continue_last=True)
    assert ran.exit_code == 2
    assert ran.result["session_id"] is None


async def test_an_unknown_session_exits_2(lab: Lab) -> None:
    ran = await lab.run(resume="nope")
    assert (ran.exit_code, ran.result["status"]) == (2, "usage_error")


# --- Context ------------------------------------------------------------------------------------------------------


async def test_a_long_conversation_is_compacted_and_goes_on(lab: Lab) -> None:
    (lab.project / "big").write_text(("word " * 10 + "\n") * 400)
    lab.configure(models=_small_model(30_000), model="small")

    def reply(request: Received) -> Reply:
        usage = usage_of(len(request.raw) // 4)
        if "Write the state of the work" in request.last["content"]:
            return say("## Goal\nread big", usage=usage)
        if "was compacted" in str(request.messages):
            return say("done", usage=usage)
        return call("Read", {"path": "big"}, usage=usage)

    lab.server.script(call("Write", {"path": "made", "content": "x"}), *[reply] * 6)
    ran = await lab.run("Never forget: BLUE.")
    assert ran.exit_code == 0
    [compacted] = ran.events(ContextCompacted)
    assert compacted.after_tokens < compacted.before_tokens / 2
    last = json.dumps(lab.server.requests[-1].messages)
    assert "Never forget: BLUE." in last
    assert "## Goal" in last
    assert "Files changed so far:\\n- made" in last
    assert lab.server.requests[-1].messages[-1]["role"] == "tool"


@pytest.mark.parametrize(("used", "compactions"), [(23_500, 0), (24_500, 1)])
async def test_four_fifths_of_the_context_are_the_limit(lab: Lab, used: int, compactions: int) -> None:
    (lab.project / "a").write_text("x")
    lab.configure(models=_small_model(30_000), model="small")
    compacting = [say("## Goal\nx")] * compactions
    lab.server.script(call("Read", {"path": "a"}, usage=usage_of(used)), *compacting, say("done"))
    ran = await lab.run("a word or two " * 5_500)
    assert (ran.exit_code, len(ran.events(ContextCompacted))) == (0, compactions)


async def test_a_context_error_from_the_server_compacts_and_retries(lab: Lab) -> None:
    full = error(400, message="Your request exceeded model token limit: 262144")
    lab.server.script(call("Glob", {"pattern": "*"}), full, say("## Goal\nx"), say("done"))
    ran = await lab.run()
    assert ran.exit_code == 0
    assert len(ran.events(ContextCompacted)) == 1


async def test_a_server_whose_context_is_smaller_than_believed_gets_a_history_that_fits(lab: Lab) -> None:
    (lab.project / "big").write_text(("word " * 10 + "\n") * 400)

    def reply(request: Received) -> Reply:
        if len(request.raw) > 60_000:
            return error(400, message="Your request exceeded model token limit: 15000")
        usage = usage_of(len(request.raw) // 4)
        if "Write the state of the work" in request.last["content"]:
            return say("## Goal\nread big", usage=usage)
        done = "was compacted" in str(request.messages)
        return say("done", usage=usage) if done else call("Read", {"path": "big"}, usage=usage)

    lab.server.script(*[reply] * 6)
    ran = await lab.run()
    assert ran.exit_code == 0
    assert len(ran.events(ContextCompacted)) == 1


async def test_a_context_that_stays_full_exits_4(lab: Lab) -> None:
    full = error(400, message="Your request exceeded model token limit: 262144")
    lab.server.script(full, say("## Goal\nx"), full)
    ran = await lab.run()
    assert (ran.exit_code, ran.result["status"]) == (4, "budget_exceeded")


async def test_a_prompt_of_six_megabytes_exits_4_without_a_request(lab: Lab) -> None:
    ran = await lab.run("a word or two " * 430_000)
    assert ran.exit_code == 4
    assert "tokens" in ran.result["error"]
    assert lab.server.requests == []
    lab.server.script(say("of course"))
    assert (await lab.run("A short one, then.", continue_last=True)).exit_code == 0


def _small_model(context: int) -> Any:
    from kimi_code.config import ModelSettings

    return {"small": ModelSettings("small", "kimi-k3", "fake", {"context": context})}


# --- Output -------------------------------------------------------------------------------------------------------


async def test_jsonl_is_one_record_a_line_and_the_result_last(lab: Lab) -> None:
    lab.server.script(say("hello"))
    ran = await lab.run(output_format="jsonl")
    lines = [json.loads(line) for line in ran.stdout.splitlines()]
    assert lines[0]["type"] == "session_opened"
    assert lines[-1]["type"] == "result"
    assert "".join(line["text"] for line in lines if line["type"] == "text_delta") == "hello"
    assert [line["type"] for line in lines].count("turn_ended") == 1


async def test_text_puts_the_answer_on_stdout_and_progress_on_stderr(lab: Lab) -> None:
    (lab.project / "a.txt").write_text("x")
    lab.server.script(call("Read", {"path": str(lab.project / "a.txt")}), say("The answer."))
    ran = await lab.run(output_format="text")
    assert ran.stdout == "The answer.\n"
    assert "Read    a.txt · 1 line" in ran.stderr
    assert "\x1b" not in ran.stderr


async def test_usage_counts_cached_tokens_inside_the_input(lab: Lab) -> None:
    counted = {"prompt_tokens": 100, "completion_tokens": 7, "total_tokens": 107, "cached_tokens": 60}
    lab.server.script(say("x", usage=counted))
    ran = await lab.run()
    assert ran.result["usage"] == {"input": 100, "cached": 60, "output": 7, "reasoning": 0}


async def test_the_first_request_is_small_and_what_changes_is_in_the_first_message(lab: Lab, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    lab.server.script(say("a"), say("b"))
    await lab.run("hi")
    await lab.run("hi again", cwd=elsewhere)
    first, second = lab.server.requests
    assert len(first.raw) < 12_000
    assert first.messages[0] == second.messages[0]
    assert first.body["tools"] == second.body["tools"]
    assert estimate_tokens(first.messages[0]["content"]) < 2_500
    assert (str(lab.project) in first.messages[1]["content"], str(elsewhere) in second.messages[1]["content"]) == (
        True,
        True,
    )


async def test_only_where_somebody_can_answer_is_there_a_tool_to_ask(lab: Lab) -> None:
    lab.server.script(say("a"), say("b"))
    await lab.run()
    await lab.run(attended=True)
    alone, attended = ([tool["function"]["name"] for tool in request.body["tools"]] for request in lab.server.requests)
    assert {"Read", "Write", "Edit", "Grep", "Glob", "Bash", "Todo"} <= set(alone)
    assert ("Ask" in alone, "Ask" in attended) == (False, True)


async def test_reasoning_is_echoed_with_tool_calls(lab: Lab) -> None:
    (lab.project / "a").write_text("x")
    lab.server.script(call("Read", {"path": "a"}, thought="let me look"), say("ok"))
    ran = await lab.run()
    [asked] = [m for m in lab.server.requests[1].messages if m["role"] == "assistant"]
    assert asked["reasoning_content"] == "let me look"
    thoughts = [e.message.thought for e in ran.events(MessageCompleted) if e.message.role == "assistant"]
    assert thoughts[0] == "let me look"


async def test_the_servers_secret_never_reaches_a_command_or_the_journal(lab: Lab, monkeypatch: Any) -> None:
    monkeypatch.setenv("KIMI_API_KEY", lab.settings.secrets[0])
    monkeypatch.setenv("MY_TOKEN", "tttttttttttt")
    lab.configure(permission_mode="yolo")
    (lab.project / "leak.txt").write_text(f"key={lab.settings.secrets[0]}\n")
    lab.server.script(call("Bash", {"command": "env; cat leak.txt"}), say("ok"))
    ran = await lab.run(output_format="jsonl")
    told = lab.server.requests[1].last["content"]
    assert "KIMI_API_KEY" not in told
    assert "MY_TOKEN" not in told
    assert "key=" in told
    journal = lab.data / "sessions" / ran.result["session_id"] / "records.jsonl"
    for text in (told, ran.stdout, journal.read_text()):
        assert lab.settings.secrets[0] not in text


async def test_garbage_in_the_stream_is_no_traceback(lab: Lab) -> None:
    lab.configure(max_retries=0)
    lab.server.script(raw_sse(b"data: {broken\n\n"))
    ran = await lab.run()
    assert ran.exit_code in (1, 75)
    assert "Traceback" not in ran.stderr


async def test_the_users_instructions_come_first_and_agents_stands_for_claude(lab: Lab) -> None:
    config = lab.data / "config"
    config.mkdir(parents=True)
    (config / "AGENTS.md").write_text("MY RULES")
    (lab.project / "AGENTS.md").write_text("ITS RULES")
    (lab.project / "CLAUDE.md").write_text("OTHER RULES")
    lab.server.script(say("ok"))
    await lab.run()
    told = lab.server.requests[0].messages[1]["content"]
    assert told.index(f'<instructions file="{config / "AGENTS.md"}">\nMY RULES') < told.index("ITS RULES")
    assert "OTHER RULES" not in told


async def test_instruction_files_are_told_from_the_root_down_and_links_out_are_not(lab: Lab) -> None:
    (lab.project / ".git").mkdir()
    (lab.project / "AGENTS.md").write_text("ROOT RULES")
    sub = lab.project / "sub"
    sub.mkdir()
    (sub / "CLAUDE.md").write_text("SUB RULES")
    evil = sub / "evil"
    evil.mkdir()
    secret = lab.project.parent / "secret.txt"
    secret.write_text("TOP SECRET")
    (evil / "AGENTS.md").symlink_to(secret)
    lab.server.script(say("ok"))
    await lab.run(cwd=evil)
    told = lab.server.requests[0].messages[1]["content"]
    assert told.index("ROOT RULES") < told.index("SUB RULES")
    assert "TOP SECRET" not in told

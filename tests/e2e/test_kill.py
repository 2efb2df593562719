"""`kill -9` at any moment, then `-c`: nothing completed is lost, and every provider accepts the history."""

import json
import os
import signal
import sys
from typing import Any

import pytest

from tests.program import PATIENCE, Program
from tests.server import call, calls, hang, say, usage_of

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL and FIFOs of POSIX")


def history(program: Program) -> list[dict[str, Any]]:
    """The last request's messages after the system prompt; each call must have exactly one result, right behind it."""
    messages = program.server.requests[-1].messages[1:]
    waiting: list[str] = []
    for message in messages:
        if message["role"] == "tool":
            waiting.remove(message["tool_call_id"])
        else:
            assert not waiting
            waiting = [called["id"] for called in message.get("tool_calls", [])]
    assert not waiting
    return messages


def roles(messages: list[dict[str, Any]]) -> list[str]:
    return [message["role"] for message in messages]


def test_killed_in_the_middle_of_an_answer(program: Program) -> None:
    (program.project / "a.txt").write_text("precious\n")
    program.server.script(call("Read", {"path": "a.txt"}), hang(300, say("half an answer " * 40)))
    process = program.start("-p", "first", "--output-format", "json")
    program.server.wait_for_requests(2, PATIENCE)

    second = program.run("-p", "meanwhile", "-c", "--output-format", "json")
    assert second.code == 2
    assert "open in another process" in second.result["error"]

    process.kill()
    process.communicate()
    program.server.script(say("Here I am again."))
    resumed = program.run("-p", "go on", "-c", "--output-format", "json")
    assert (resumed.code, resumed.result["text"]) == (0, "Here I am again.")
    messages = history(program)
    assert roles(messages) == ["user", "assistant", "tool", "user"]
    assert "precious" in messages[2]["content"]
    assert "first" in messages[0]["content"]
    assert "go on" in messages[3]["content"]


def test_killed_while_a_command_runs(program: Program) -> None:
    said = program.project / "said"
    os.mkfifo(said)
    program.server.script(
        call("Write", {"path": "done.txt", "content": "done\n"}),
        calls(("Read", {"path": "done.txt"}), ("Bash", {"command": "exec 3>said; echo $$ >&3; sleep 600"})),
    )
    process = program.start("-p", "first", "-y")
    with said.open() as lines:
        command = int(lines.readline())
        process.kill()
        process.communicate()
        # What was running goes on, as after a crash of any parent: nobody is left to end it. It is in a group of its
        # own, which is how it can be found and ended.
        os.killpg(command, signal.SIGKILL)
        assert lines.read() == ""

    program.server.script(say("ok"))
    assert program.run("-p", "go on", "-c").code == 0
    messages = history(program)
    assert roles(messages) == ["user", "assistant", "tool", "assistant", "tool", "tool", "user"]
    assert messages[2]["content"].startswith("Created done.txt")
    assert "done" in messages[4]["content"]
    assert "interrupted before it ended" in messages[5]["content"]


def test_killed_before_the_first_answer(program: Program) -> None:
    program.server.script(hang())
    process = program.start("-p", "remember me")
    program.server.wait_for_requests(1, PATIENCE)
    process.kill()
    process.communicate()
    program.server.script(say("ok"))
    assert program.run("-p", "go on", "-c").code == 0
    messages = history(program)
    assert roles(messages) == ["user", "user"]
    assert "remember me" in messages[0]["content"]


def test_killed_while_a_scripted_model_answers_and_resumed_with_another_script(program: Program) -> None:
    first, second = program.project / "first.json", program.project / "second.json"
    write = {"name": "Write", "arguments": {"path": "done.txt", "content": "done\n"}}
    read = {"name": "Read", "arguments": {"path": "done.txt"}}
    first.write_text(json.dumps({"steps": [{"tool_calls": [write]}, {"delay": 600, "text": "never said"}]}))
    process = program.start("-p", "first", "--output-format", "jsonl", "--model", f"scripted:{first}")
    assert process.stdout is not None
    started = (line for line in process.stdout if json.loads(line)["type"] == "step_started")
    assert [json.loads(next(started))["step"] for _ in range(2)] == [1, 2]
    process.kill()
    process.communicate()
    assert (program.project / "done.txt").read_text() == "done\n"

    # The words of the killed turn stand before these; a step says what it expects to be answered with.
    steps = [{"tool_calls": [read], "expect": "go on"}, {"text": "It is there.", "expect": "done"}]
    second.write_text(json.dumps({"steps": steps}))
    resumed = program.run("-p", "go on", "-c", "--output-format", "json", "--model", f"scripted:{second}")
    assert (resumed.code, resumed.result["text"]) == (0, "It is there.")
    shown = program.run("sessions", "show", resumed.result["session_id"]).stdout
    assert [word in shown for word in ("first", "done.txt", "go on", "It is there.")] == [True] * 4
    assert "never said" not in shown


def test_what_a_killed_turn_spent_counts_once(program: Program) -> None:
    much = usage_of(2_000, 1_000)
    (program.project / "a.txt").write_text("precious\n")
    program.server.script(call("Read", {"path": "a.txt"}, usage=much), hang(300, say("half an answer " * 40)))
    process = program.start("-p", "first")
    program.server.wait_for_requests(2, PATIENCE)
    process.kill()
    process.communicate()

    limit = ("--max-session-tokens", "5000", "--output-format", "json")
    program.server.script(say("on", usage=much))
    assert program.run("-p", "go on", "-c", *limit).code == 0  # 3,000 of 5,000 when it began
    over = program.run("-p", "more", "-c", *limit)
    assert (over.code, "6,000 of 5,000 tokens" in over.result["error"]) == (4, True)

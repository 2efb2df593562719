"""The program as others run it: signals, streams, pipes, terminals."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.program import PATIENCE, Program, finish
from tests.server import Received, Reply, call, hang, say

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals, FIFOs and terminals of POSIX")


def fifo(path: Path) -> Path:
    os.mkfifo(path)
    return path


# --- Signals ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("output_format", "number"),
    [("text", signal.SIGINT), ("json", signal.SIGTERM), ("jsonl", signal.SIGINT), ("jsonl", signal.SIGHUP)],
)
def test_a_signal_ends_the_turn_with_a_result_and_its_own_exit_code(
    program: Program, output_format: str, number: signal.Signals
) -> None:
    program.server.script(hang(200, say("some words" * 30)))
    process = program.start("-p", "hi", "--output-format", output_format)
    program.server.wait_for_requests(1, PATIENCE)
    process.send_signal(number)
    done = finish(process)
    assert done.code == 128 + number
    if output_format == "text":
        assert done.stdout == ""
        assert "interrupted" in done.stderr
        assert "-r" in done.stderr
    else:
        assert done.result["status"] == "interrupted"
        assert done.result["session_id"]
        assert done.stderr == ""
    (journal,) = program.data.rglob("records.jsonl")
    assert journal.read_text().splitlines()[-1].startswith('{"type":"turn_ended"')


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_before_the_turn_begins_gives_a_result_too(
    program: Program, tmp_path: Path, number: signal.Signals
) -> None:
    schema = fifo(tmp_path / "schema")
    process = program.start("-p", "hi", "--output-format", "json", "--output-schema", str(schema))
    with schema.open("wb"):  # returns when the program reads it
        process.send_signal(number)
        done = finish(process)
    assert done.code == 128 + number
    assert done.result["status"] == "interrupted"
    assert done.result["session_id"] is None


def test_a_second_signal_ends_at_once_and_kills_what_will_not_end(program: Program) -> None:
    said = fifo(program.project / "said")
    stubborn = "exec 3>said; trap 'echo no >&3' TERM; echo began >&3; while :; do sleep 60 & wait; done"
    program.server.script(call("Bash", {"command": stubborn}))
    process = program.start("-p", "hi", "-y", "--output-format", "json")
    with said.open() as lines:
        assert lines.readline() == "began\n"
        process.send_signal(signal.SIGINT)
        assert lines.readline() == "no\n"
        process.send_signal(signal.SIGINT)
        done = finish(process)
        assert lines.read().strip("no\n") == ""  # ends only when every process of the command is gone
    assert done.code == 130
    assert done.result["status"] == "interrupted"


# --- Streams ------------------------------------------------------------------------------------------------------


def test_a_reader_that_goes_away_ends_the_program_without_a_word(program: Program) -> None:
    reading, writing = os.pipe()

    def go_away(_: Received) -> Reply:
        os.close(reading)
        return say("word " * 10)

    program.server.script(go_away)
    process = program.start("-p", "hi", "--output-format", "jsonl", stdout=writing)
    os.close(writing)
    done = finish(process)
    assert done.code == 141
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("redirections", "output_format", "stdout"), [("2>&-", "text", "Done.\n"), ("<&- >&- 2>&-", "json", "")]
)
def test_streams_that_are_closed(program: Program, redirections: str, output_format: str, stdout: str) -> None:
    program.server.script(say("Done."))
    done = program.run_shell(redirections, "-p", "hi", "--output-format", output_format)
    assert (done.code, done.stdout, done.stderr) == (0, stdout, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_behind_standard_output_is_told(program: Program) -> None:
    with Path("/dev/full").open("wb") as full:
        done = finish(program.start("-p", "hi", "--output-format", "jsonl", stdout=full))
    told = "kimi-code: standard output cannot be written: No space left on device.\n"
    assert (done.code, done.stderr) == (1, told)


def test_what_a_model_says_does_not_steer_the_terminal(program: Program) -> None:
    program.server.script(
        call("Read", {"path": "\x1b[2Ja"}, text="\x1b]0;owned\x07Reading"), say("\x1b[31mred\x1b[0m [bold]x[/bold]\n")
    )
    screen, terminal = os.openpty()
    process = program.start("-p", "hi", stdout=terminal)
    os.close(terminal)
    done = finish(process)
    shown = os.read(screen, 65_536)
    os.close(screen)
    assert done.code == 0
    assert shown == b"red [bold]x[/bold]\r\n"
    assert "\x1b" not in done.stderr
    assert "\x07" not in done.stderr


# --- Standard input -----------------------------------------------------------------------------------------------


def test_a_pipe_is_attached_below_the_prompt_and_is_text_whatever_it_holds(program: Program) -> None:
    program.server.script(say("ok"))
    done = program.run("-p", "Look at this:", input=b"\xef\xbb\xbfa\0b \xff\n")
    assert done.code == 0
    words = program.server.requests[0].last["content"]
    assert words.endswith("Look at this:\n\na\N{SYMBOL FOR NULL}b \N{REPLACEMENT CHARACTER}\n")


def test_a_dash_reads_the_prompt_from_standard_input(program: Program) -> None:
    program.server.script(say("ok"))
    assert program.run("-p", "-", input="修理它".encode()).code == 0
    assert program.server.requests[0].last["content"].endswith("\n\n修理它")


def test_an_empty_prompt_is_a_usage_error(program: Program) -> None:
    done = program.run("-p", "-", "--output-format", "json", input=b" \n")
    assert done.code == 2
    assert "The prompt is empty" in done.result["error"]


def test_an_open_pipe_that_stays_silent_is_waited_for_aloud(program: Program) -> None:
    program.server.script(say("ok"))
    process = program.start("-p", "hi", stdin=subprocess.PIPE)
    assert process.stderr is not None
    assert b"waiting for standard input" in process.stderr.readline()
    done = finish(process)
    assert (done.code, done.stdout) == (0, "ok\n")


def test_a_folder_that_does_not_exist_is_told_in_jsonl_as_everywhere(program: Program) -> None:
    done = program.run("-p", "hi", "--output-format", "jsonl", "-C", "/nowhere/at/all")
    assert done.code == 2
    assert done.result["session_id"] is None
    assert "/nowhere/at/all" in done.result["error"]
    assert len(done.stdout.splitlines()) == 1

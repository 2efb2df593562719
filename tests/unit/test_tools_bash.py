import asyncio
import os
import signal
from pathlib import Path

import psutil
import pytest

from kimi_code.errors import ToolError
from kimi_code.events import Output
from kimi_code.tools.background import Background
from kimi_code.tools.bash import Bash, BashParams
from kimi_code.tools.tool import ToolContext
from tests.unit.toolbox import Desk, context, use


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def ctx(tmp_path: Path, desk: Desk) -> ToolContext:
    return context(tmp_path, desk)


@pytest.fixture
def bash() -> Bash:
    return Bash(Background())


def leftovers() -> list[psutil.Process]:
    """Processes that a command left; what tests of the program are forked from (tests/warm.py) is none of them."""
    live = [p for p in psutil.Process().children(recursive=True) if p.status() != psutil.STATUS_ZOMBIE]
    return [p for p in live if "tests.warm" not in p.cmdline()]


async def test_output_and_exit_code_are_told(ctx: ToolContext, bash: Bash) -> None:
    result = await use(bash, ctx, command="echo out; echo err >&2; exit 3")
    assert (result.text, result.summary) == ("out\nerr\n[exit code 3]", "exit code 3")
    assert result.blocks == (Output("echo out; echo err >&2; exit 3", "out\nerr", 3),)
    assert (await use(bash, ctx, command="true")).text == "(no output)"


async def test_output_is_shown_as_it_comes(ctx: ToolContext, desk: Desk, bash: Bash) -> None:
    os.mkfifo(ctx.workspace.root / "go")
    call = asyncio.create_task(use(bash, ctx, command="printf one; read line < go; echo $line"))
    await desk.news.wait()
    assert desk.printed == "one"
    await asyncio.to_thread((ctx.workspace.root / "go").write_text, "two\n")
    assert (await call).text == "onetwo"


async def test_control_sequences_and_broken_bytes_reach_nobody(ctx: ToolContext, desk: Desk, bash: Bash) -> None:
    result = await use(bash, ctx, command=r"printf '\033[31mred\033[0m \377 10%%\r50%%\r100%%\n\033]0;t\007日本\n'")
    assert result.text == "100%\n日本"
    assert "\x1b" not in desk.printed
    assert "red \ufffd" in desk.printed


async def test_long_output_keeps_head_and_tail_and_goes_to_a_file(tmp_path: Path, desk: Desk, bash: Bash) -> None:
    ctx = context(tmp_path, desk, call_id="../../evil id")
    result = await use(bash, ctx, command="seq 1 100000")
    assert result.text.startswith("1\n2\n3\n")
    assert result.text.endswith("\n99999\n100000")
    assert len(result.text) < 31_000
    (spilled,) = (tmp_path / "spill").iterdir()
    assert str(spilled) in result.text
    assert spilled.read_text() == "".join(f"{n}\n" for n in range(1, 100_001))


async def test_a_spill_file_that_cannot_be_written_is_told(ctx: ToolContext, tmp_path: Path, bash: Bash) -> None:
    (tmp_path / "spill").write_text("in the way")
    result = await use(bash, ctx, command="seq 1 100000")
    assert "characters left out; they could not be kept: " in result.text


async def test_a_command_that_takes_too_long_is_killed_and_what_it_printed_is_kept(
    ctx: ToolContext, bash: Bash
) -> None:
    result = await use(bash, ctx, command="echo before; sleep 1000 & wait", timeout=0.3)
    assert result.text.startswith("before\n")
    assert result.text.endswith("[timed out after 0.3 s and was killed; above is what it had printed]")
    assert result.summary == "timed out"
    assert not leftovers()


async def test_a_kill_from_outside_is_told_as_a_signal(ctx: ToolContext, bash: Bash) -> None:
    assert (await use(bash, ctx, command="kill -9 $$")).text == "[killed by SIGKILL]"
    assert "[exit code 137 (SIGKILL)]" in (await use(bash, ctx, command="sh -c 'kill -9 $$'; exit $?")).text


async def test_a_cancelled_call_kills_its_processes(ctx: ToolContext, desk: Desk, bash: Bash) -> None:
    call = asyncio.create_task(use(bash, ctx, command="echo started; sleep 1000 & wait"))
    await desk.news.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert not leftovers()


async def test_commands_run_in_the_folder_asked_for(ctx: ToolContext, bash: Bash) -> None:
    (ctx.workspace.root / "a b").mkdir()
    assert (await use(bash, ctx, command="pwd", cwd="a b")).text == str(ctx.workspace.root / "a b")
    with pytest.raises(ToolError, match="gone is not a folder"):
        await use(bash, ctx, command="pwd", cwd="gone")


async def test_provider_keys_do_not_reach_commands(
    ctx: ToolContext, bash: Bash, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KIMI_API_KEY", "sk-very-secret")
    assert "sk-very-secret" not in (await use(bash, ctx, command="env")).text


async def test_calls_that_make_no_sense_are_refused(ctx: ToolContext, bash: Bash) -> None:
    for arguments in ({}, {"command": "x", "id": "bg1"}):
        with pytest.raises(ToolError, match="either command, or the id"):
            await use(bash, ctx, **arguments)
    with pytest.raises(ToolError, match="empty"):
        await use(bash, ctx, command=" \n")
    with pytest.raises(ToolError, match=r"no background command 'bg7'\. None was started"):
        await use(bash, ctx, id="bg7")


async def test_a_background_command_is_polled_and_stopped(ctx: ToolContext, bash: Bash) -> None:
    root = ctx.workspace.root
    os.mkfifo(root / "go")
    os.mkfifo(root / "ready")
    command = "echo one; read x < go; echo two; echo > ready; sleep 1000"
    started = await use(bash, ctx, command=command, run_in_background=True)
    assert started.text == "Started in the background with id bg1."
    await asyncio.to_thread((root / "go").write_text, "\n")
    await asyncio.to_thread((root / "ready").read_text)
    assert (await use(bash, ctx, id="bg1")).summary == "running"
    stopped = await use(bash, ctx, id="bg1", stop=True)
    assert stopped.text.endswith("[killed by SIGTERM]")
    assert not leftovers()
    assert (await use(bash, ctx, id="bg1")).text == "[killed by SIGTERM]"


async def test_a_poll_can_wait_for_the_end_and_tells_only_what_is_new(ctx: ToolContext, bash: Bash) -> None:
    await use(bash, ctx, command="echo done; exit 2", run_in_background=True)
    assert (await use(bash, ctx, id="bg1", timeout=60)).text == "done\n[exit code 2]"
    assert (await use(bash, ctx, id="bg1")).text == "[exit code 2]"


async def test_closing_kills_all_background_commands(ctx: ToolContext) -> None:
    background = Background()
    bash = Bash(background)
    for _ in range(3):
        await use(bash, ctx, command="sleep 1000", run_in_background=True)
    await background.close()
    await background.close()
    assert not leftovers()


def test_only_a_command_has_something_to_permit(bash: Bash) -> None:
    command = BashParams(command="make\ntest")
    poll = BashParams(id="bg1", stop=True)
    assert (bash.title(command), list(bash.targets(command))) == ("make ...", ["make\ntest"])
    assert (bash.title(poll), list(bash.targets(poll))) == ("stop bg1", [])


async def test_a_daemon_left_behind_does_not_hold_the_call(ctx: ToolContext, bash: Bash) -> None:
    result = await use(bash, ctx, command="sleep 1000 & echo $!")
    os.kill(int(result.text), signal.SIGKILL)

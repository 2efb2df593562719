import asyncio
import os
import random
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from kimi_code.errors import ToolError
from kimi_code.repo.process import Exit, LocalProcess, command_environment, run
from kimi_code.repo.workspace import LocalWorkspace


@pytest.fixture
def workspace(tmp_path: Path) -> LocalWorkspace:
    return LocalWorkspace(tmp_path)


async def start(workspace: LocalWorkspace, command: str) -> LocalProcess:
    return await workspace.start(command, cwd=workspace.root)


async def all_of(process: LocalProcess) -> bytes:
    return b"".join([data async for data in process.output()])


async def first_of(output: AsyncIterator[bytes]) -> bytes:
    return await anext(output)


def is_alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


async def test_both_streams_come_as_one_and_the_exit_code_is_told(workspace: LocalWorkspace) -> None:
    process = await start(workspace, "echo out; echo err >&2; exit 3")
    assert await all_of(process) == b"out\nerr\n"
    assert await process.wait() == Exit(3)


async def test_standard_input_is_closed(workspace: LocalWorkspace) -> None:
    assert await all_of(await start(workspace, "cat; echo end")) == b"end\n"


async def test_output_comes_while_the_command_runs(workspace: LocalWorkspace) -> None:
    os.mkfifo(workspace.root / "go")
    process = await start(workspace, "echo one; read line < go; echo $line")
    output = process.output()
    assert await first_of(output) == b"one\n"
    await asyncio.to_thread((workspace.root / "go").write_text, "two\n")
    assert await first_of(output) == b"two\n"
    assert await process.wait() == Exit(0)


async def test_a_process_may_end_while_its_output_is_being_used(workspace: LocalWorkspace) -> None:
    problems: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context))
    os.mkfifo(workspace.root / "go")
    process = await start(workspace, "echo one; read line < go")
    output = process.output()
    assert await first_of(output) == b"one\n"
    await asyncio.to_thread((workspace.root / "go").write_text, "two\n")
    assert await process.wait() == Exit(0)
    assert [data async for data in output] == []
    assert problems == []


async def test_killing_ends_the_whole_group(workspace: LocalWorkspace) -> None:
    process = await start(workspace, "sleep 1000 & echo $!; wait")
    child = int(await first_of(process.output()))
    await process.kill()
    assert not is_alive(child)
    assert await process.wait() == Exit(None, signal=signal.SIGTERM)
    await process.kill()


async def test_a_group_that_ignores_terminate_is_killed(workspace: LocalWorkspace) -> None:
    process = await start(workspace, "trap '' TERM; echo ready; while :; do sleep 1000; done")
    assert await first_of(process.output()) == b"ready\n"
    await process.kill()
    assert await process.wait() == Exit(None, signal=signal.SIGKILL)


async def test_a_signal_from_outside_is_told(workspace: LocalWorkspace) -> None:
    process = await start(workspace, "kill -SEGV $$")
    assert await all_of(process) == b""
    assert await process.wait() == Exit(None, signal=signal.SIGSEGV)


DAEMON = """
import os, time
os.setsid()
print(os.getpid(), flush=True)
open("ready", "w").close()
time.sleep(1000)
"""


async def start_daemon(workspace: LocalWorkspace, then: str) -> LocalProcess:
    """A command whose child leaves the process group and keeps standard output open."""
    os.mkfifo(workspace.root / "ready")
    (workspace.root / "daemon.py").write_text(DAEMON)
    return await start(workspace, f'"{sys.executable}" daemon.py & cat ready; {then}')


async def test_a_daemon_that_keeps_the_stream_open_does_not_hold_us_up(workspace: LocalWorkspace) -> None:
    process = await start_daemon(workspace, "exit 4")
    pid = int(await all_of(process))
    assert await process.wait() == Exit(4)
    assert is_alive(pid)
    os.kill(pid, signal.SIGKILL)


async def test_a_kill_is_not_held_up_by_a_daemon_either(workspace: LocalWorkspace) -> None:
    process = await start_daemon(workspace, "exec sleep 1000")
    pid = int(await first_of(process.output()))
    await process.kill()
    await all_of(process)
    assert await process.wait() == Exit(None, signal=signal.SIGTERM)
    os.kill(pid, signal.SIGKILL)


async def test_what_was_printed_before_a_kill_can_still_be_read(workspace: LocalWorkspace) -> None:
    process = await start(workspace, "trap 'echo bye; exit' TERM; echo ready; while :; do sleep 0.01; done")
    assert await first_of(process.output()) == b"ready\n"
    await process.kill()
    assert (await all_of(process)).endswith(b"bye\n")  # bash may report its child before


async def test_much_output_waits_for_its_reader(workspace: LocalWorkspace) -> None:
    process = await start(workspace, "head -c 5000000 /dev/zero")
    assert len(await all_of(process)) == 5_000_000


async def test_a_command_that_cannot_start_says_why(workspace: LocalWorkspace) -> None:
    with pytest.raises(ToolError, match="NUL"):
        await start(workspace, "echo \0")
    with pytest.raises(ToolError, match="Write it to a file"):
        await start(workspace, "echo " + "x" * 3_000_000)


def test_cancelling_at_any_moment_neither_hangs_nor_leaves_a_process(tmp_path: Path) -> None:
    """CPython 3.11 hangs for ever when `create_subprocess_exec` is cancelled; each turn is an event loop of its own."""
    chance = random.Random(1)

    async def cancelled_after(turns: int) -> None:
        workspace = LocalWorkspace(tmp_path)

        async def work() -> None:
            process = await start(workspace, "echo started; exec sleep 1000")
            try:
                await all_of(process)
            finally:
                await process.kill()

        task = asyncio.create_task(work())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    for _ in range(50):
        asyncio.run(cancelled_after(chance.randrange(12)))
    assert not [child for child in psutil.Process().children() if words_of(child)[:1] == ["sleep"]]


def words_of(process: psutil.Process) -> list[str]:
    """Its command line; none of one that ends meanwhile."""
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


async def test_a_program_run_to_its_end_gives_both_streams(tmp_path: Path) -> None:
    done = await run(["sh", "-c", "echo out; echo err >&2; exit 2"], cwd=tmp_path, env=os.environ, timeout=60)
    assert (done.code, done.stdout, done.stderr) == (2, b"out\n", b"err\n")


async def test_a_program_that_prints_too_much_or_runs_too_long_is_killed(tmp_path: Path) -> None:
    done = await run(["sh", "-c", "yes"], cwd=tmp_path, env=os.environ, timeout=60, limit=1000)
    assert (done.cut, len(done.stdout)) == (True, 1000)
    done = await run(["sh", "-c", "echo a; exec sleep 1000"], cwd=tmp_path, env=os.environ, timeout=0.2)
    assert done.timed_out


def test_commands_see_only_what_they_need_and_no_secret() -> None:
    seen = command_environment(
        {
            "PATH": "/bin",
            "HOME": "/home/me",
            "LC_ALL": "C",
            "GOPATH": "/go",
            "KIMI_API_KEY": "sk-1",
            "OPENAI_API_KEY": "sk-2",
            "GOOGLE_APPLICATION_CREDENTIALS": "x",
            "NODE_AUTH_TOKEN": "x",
            "CARGO_REGISTRY_TOKEN": "x",
            "PYTHONSTARTUP": "evil.py",
            "PYTHONPATH": "lib",
            "HTTPS_PROXY": "http://me:secret@proxy:3128",
            "HTTP_PROXY": "http://proxy:3128",
            "LD_PRELOAD": "x.so",
            "BASH_ENV": "evil.sh",
        }
    )
    assert {"PATH", "HOME", "LC_ALL", "GOPATH", "PYTHONPATH", "HTTP_PROXY"} <= seen.keys()
    assert not {name for name in seen if name.startswith(("KIMI_A", "OPENAI", "GOOGLE", "LD_", "BASH"))}
    assert not {"NODE_AUTH_TOKEN", "CARGO_REGISTRY_TOKEN", "PYTHONSTARTUP", "HTTPS_PROXY"} & seen.keys()
    assert (seen["GIT_TERMINAL_PROMPT"], seen["PAGER"], seen["KIMI_CODE"]) == ("0", "cat", "1")


async def test_a_command_knows_its_folder_and_what_it_is_given(tmp_path: Path) -> None:
    workspace = LocalWorkspace(tmp_path, environment={"PATH": os.environ["PATH"], "KIMI_API_KEY": "sk-1"})
    process = await workspace.start("pwd; echo $PWD $GIVEN $KIMI_API_KEY", cwd=workspace.root, env={"GIVEN": "yes"})
    assert (await all_of(process)).decode().split() == [str(workspace.root), str(workspace.root), "yes"]

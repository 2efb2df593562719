"""Short programs run to their end: streams of any length both ways, exit codes, cancellation."""

import asyncio
import gc
import os
import sys
from pathlib import Path

import psutil
import pytest

from kimi_code.repo.command import run_command

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a shell and FIFOs of POSIX")


async def shell(line: str, folder: Path, input: bytes | None = None) -> tuple[int, bytes, bytes]:
    return await run_command(("sh", "-c", line), folder, os.environ, input)


async def test_both_outputs_and_the_exit_code_come_back(tmp_path: Path) -> None:
    assert await shell("pwd; echo bad >&2; exit 3", tmp_path) == (3, f"{tmp_path.resolve()}\n".encode(), b"bad\n")


async def test_a_signal_is_a_negative_code(tmp_path: Path) -> None:
    assert await shell("kill -9 $$", tmp_path) == (-9, b"", b"")


async def test_more_than_pipes_hold_goes_both_ways_at_once(tmp_path: Path) -> None:
    much = os.urandom(1 << 20)
    assert await shell("tee /dev/stderr", tmp_path, much) == (0, much, much)


async def test_a_program_that_does_not_listen_is_no_failure(tmp_path: Path) -> None:
    assert await shell("exec <&-; echo done", tmp_path, b"x" * (1 << 20)) == (0, b"done\n", b"")


@pytest.mark.parametrize("input", [None, b""])
async def test_without_input_it_reads_an_end_at_once(tmp_path: Path, input: bytes | None) -> None:
    assert await shell("cat; echo end", tmp_path, input) == (0, b"end\n", b"")


async def test_a_program_that_closes_its_streams_early_is_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gate")
    running = asyncio.create_task(shell("exec >&- 2>&-; read _ <gate; exit 4", tmp_path))
    gate = await asyncio.to_thread(os.open, tmp_path / "gate", os.O_WRONLY)
    assert not running.done()
    os.close(gate)
    assert await running == (4, b"", b"")


async def test_a_program_that_is_not_there_raises(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await run_command((str(tmp_path / "none"),), tmp_path, {})


async def test_cancelling_ends_what_it_started_too_and_its_streams_are_closed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "held")
    gc.collect()
    open_before = psutil.Process().num_fds()
    running = asyncio.create_task(shell("exec 3>held; sleep 1000 & echo on >&3; cat", tmp_path, b"x" * (1 << 20)))
    with await asyncio.to_thread((tmp_path / "held").open) as held:
        assert await asyncio.to_thread(held.readline) == "on\n"
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert await asyncio.to_thread(held.read) == ""  # nobody is left to write
    assert psutil.Process().num_fds() <= open_before

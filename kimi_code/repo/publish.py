"""Move a ref, and with HEAD the index, as one step: prepared, checked, and then done in a moment or not at all."""

import asyncio
import contextlib
import os
import subprocess
from pathlib import Path
from typing import IO

from kimi_code.errors import KimiError
from kimi_code.repo import git
from kimi_code.repo.git import GitFolders


class PublishError(KimiError):
    """The ref is where it was, and so is the index."""


class IndexChanged(PublishError):
    """Somebody wrote the index meanwhile; with a new one it can be tried again."""


async def publish(
    folders: GitFolders,
    ref: str,
    commit: str,
    old: str,
    reason: str,
    *,
    index: Path | None = None,
    before: bytes | None = None,
) -> None:
    """Point `ref` from `old` ("": it must not exist) to `commit`, and put `index` in place of one that is `before`.

    Raises PublishError. A kill between the two steps leaves what was to be committed staged, and no lock.
    """
    work = asyncio.ensure_future(
        asyncio.to_thread(_publish, folders, ref, commit, old or "0" * len(commit), reason, index, before)
    )
    while not work.done():
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            # A moment more, and it is done: cut off now, nobody would know whether it is.
            task = asyncio.current_task()
            if task is not None and not work.cancelled():
                task.uncancel()
    work.result()


def _publish(
    folders: GitFolders, ref: str, commit: str, old: str, reason: str, index: Path | None, before: bytes | None
) -> None:
    program = git.program()
    if program is None:
        raise PublishError("git is not installed, or not on the PATH.")
    command = (program, "-c", f"core.hooksPath={os.devnull}", "--git-dir", str(folders.own), "update-ref")
    with subprocess.Popen(
        (*command, "-m", reason.replace("\n", " "), "--stdin"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**git.environment(), **_committer()},
        bufsize=0,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(f"start\nupdate {ref} {commit} {old}\nprepare\n".encode())
            if not _confirmed(process.stdout, b"prepare: ok"):
                raise PublishError(_refusal(process, ref), hint="Nothing was committed; try again.")
            # Whoever dies here takes the process's input with it, and git lets go of the ref.
            if index is not None:
                _replace_index(folders.own / "index", index, before)
            process.stdin.write(b"commit\n")
            if not _confirmed(process.stdout, b"commit: ok"):
                raise PublishError(_refusal(process, ref), hint="What was to be committed is staged.")
        except BrokenPipeError:
            raise PublishError(_refusal(process, ref), hint="Nothing was committed; try again.") from None
        finally:
            with contextlib.suppress(OSError):
                process.stdin.close()


def _confirmed(stream: IO[bytes], word: bytes) -> bool:
    return any(line.strip() == word for line in iter(stream.readline, b"") if line.strip() != b"start: ok")


def _refusal(process: "subprocess.Popen[bytes]", ref: str) -> str:
    said = process.stderr.read().decode(errors="replace").strip() if process.stderr else ""
    return f"{ref} could not be moved: {said.removeprefix('fatal: ') or 'git ended'}."


def _committer() -> dict[str, str]:
    """Who the log of the ref names, where the caller's environment says so."""
    return {name: value for name, value in os.environ.items() if name.startswith("GIT_COMMITTER_")}


def _replace_index(index: Path, fresh: Path, before: bytes | None) -> None:
    lock = index.with_name("index.lock")
    try:
        _lock(lock, fresh)
    except FileExistsError:
        raise PublishError(
            f"Another git process holds {lock}; nothing was committed.",
            hint="Wait for it to end; if none runs, remove the file.",
        ) from None
    try:
        current = index.read_bytes() if index.exists() else None
        if current != before:
            raise IndexChanged("The index changed while the commit was made; nothing was committed.")
        lock.replace(index)
    except BaseException:
        lock.unlink(missing_ok=True)
        raise


def _lock(lock: Path, fresh: Path) -> None:
    """Make git's lock, with its content from the first moment where the file system has hard links."""
    try:
        os.link(fresh, lock)
        return
    except FileExistsError:
        raise
    except OSError:
        content = fresh.read_bytes()
    with lock.open("xb") as file:
        file.write(content)

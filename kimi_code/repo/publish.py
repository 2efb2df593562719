"""Move a ref, and with HEAD the index, as one step: prepared, checked, and then done in a moment or not at all."""

import asyncio
import contextlib
import os
import subprocess
from collections.abc import Generator, Sequence
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
    logs = {log: _size(log) for log in _logs(folders, ref)}
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
            with _replaced(folders.own / "index", index, before) if index else contextlib.nullcontext():
                process.stdin.write(b"commit\n")
                if not _confirmed(process.stdout, b"commit: ok") and not _is_moved(command[:-1], ref, commit):
                    raise PublishError(_refusal(process, ref), hint="Nothing was committed; try again.")
        except PublishError:
            for log, size in logs.items():
                _cut_off(log, size, f"{old} {commit} ".encode())
            raise
        except BrokenPipeError:
            raise PublishError(_refusal(process, ref), hint="Nothing was committed; try again.") from None
        finally:
            with contextlib.suppress(OSError):
                process.stdin.close()


def _confirmed(stream: IO[bytes], word: bytes) -> bool:
    return any(line.strip() == word for line in iter(stream.readline, b"") if line.strip() != b"start: ok")


def _is_moved(git_here: Sequence[str], ref: str, commit: str) -> bool:
    """Whether the ref was moved, though git could not do all that goes with it (a line in HEAD's log)."""
    query = (*git_here, "rev-parse", "-q", "--verify", ref)
    asked = subprocess.run(query, stdin=subprocess.DEVNULL, capture_output=True, env=git.environment(), check=False)
    return asked.stdout.decode(errors="replace").strip() == commit


def _refusal(process: "subprocess.Popen[bytes]", ref: str) -> str:
    said = process.stderr.read().decode(errors="replace").strip() if process.stderr else ""
    return f"{ref} could not be moved: {said.removeprefix('fatal: ') or 'git ended'}."


def _committer() -> dict[str, str]:
    """Who the log of the ref names, where the caller's environment says so."""
    return {name: value for name, value in os.environ.items() if name.startswith("GIT_COMMITTER_")}


def _logs(folders: GitFolders, ref: str) -> list[Path]:
    """Where git writes down what a ref was moved to."""
    if ref != "HEAD":
        return [folders.common / "logs" / ref]
    target = (folders.own / "HEAD").read_text(encoding="utf-8", errors="surrogateescape").strip()
    branch = [folders.common / "logs" / target.removeprefix("ref: ")] if target.startswith("ref: ") else []
    return [folders.own / "logs" / "HEAD", *branch]


def _size(log: Path) -> int | None:
    try:
        return log.stat().st_size
    except OSError:
        return None


def _cut_off(log: Path, size: int | None, line: bytes) -> None:
    """Where there is no room, git leaves a log with a part of its line: take that off, if it begins as `line`."""
    with contextlib.suppress(OSError), log.open("rb+") as file:
        file.seek(size or 0)
        said = file.read()
        if not said and size is not None:
            return  # it is as it was; another process may write to it now
        if b"\n" in said[:-1] or not (said.startswith(line) or line.startswith(said)):
            return  # of somebody else
        file.truncate(size or 0)
        if size is None:
            log.unlink()


@contextlib.contextmanager
def _replaced(index: Path, fresh: Path, before: bytes | None) -> Generator[None]:
    """The index is `fresh`; what was there comes back when the ref cannot be moved after all."""
    kept = fresh.with_name(f"{fresh.name}.kept")
    try:
        _replace_index(index, fresh, before, kept)
        try:
            yield
        except BaseException:
            with contextlib.suppress(OSError):
                _put_back(index, fresh, kept)
            raise
    finally:
        kept.unlink(missing_ok=True)


def _put_back(index: Path, fresh: Path, kept: Path) -> None:
    """Unless somebody has written it since, or is about to."""
    lock = index.with_name("index.lock")
    _lock(lock, kept if kept.exists() else fresh)
    if index.read_bytes() != fresh.read_bytes():
        lock.unlink()
    elif kept.exists():
        lock.replace(index)
    else:
        index.unlink()
        lock.unlink()


def _replace_index(index: Path, fresh: Path, before: bytes | None, kept: Path) -> None:
    """Raises PublishError, and OSError; then it is as it was."""
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
        if current is not None:
            _lock(kept, index)
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

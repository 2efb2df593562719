"""A session's timeline: what changed since, hunks taken back, files and conversation restored."""

import asyncio
import stat
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import pytest

from kimi_code.errors import CheckpointError, KimiError, UsageError
from kimi_code.events import Diff, MessageCompleted, Record, TurnUndone
from kimi_code.session.session import Session
from kimi_code.session.store import Store
from tests.harness import Lab
from tests.server import Reply, call, say

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX modes")

LINES = "".join(f"line {number}\n" for number in range(1, 41))


@pytest.fixture(autouse=True)
def free(lab: Lab) -> None:
    lab.configure(permission_mode="yolo")


def write(path: str, content: str) -> Reply:
    return call("Write", {"path": path, "content": content})


def bash(command: str) -> Reply:
    return call("Bash", {"command": command})


@asynccontextmanager
async def open_session(lab: Lab, records: list[Record] | None = None) -> AsyncGenerator[Session]:
    opened = await lab.open()
    opened.session.subscribe((records if records is not None else []).append)
    opened.session.open(opened.opened, opened.notices)
    try:
        yield opened.session
    finally:
        await opened.session.close()


async def turn(lab: Lab, session: Session, *replies: Reply, prompt: str = "Do it.") -> None:
    lab.server.script(*replies, say("Done."))
    await session.prompt(prompt)


def hunks(diffs: Sequence[Diff], path: str) -> list[str]:
    """The ids of a file's hunks."""
    return [hunk.id for diff in diffs if diff.path == path for hunk in diff.hunks]


async def test_one_hunk_of_two_is_taken_back_and_the_model_is_told(lab: Lab) -> None:
    (lab.project / "a").write_text(LINES)
    changed = LINES.replace("line 2\n", "second\n").replace("line 38\n", "last\n")
    async with open_session(lab) as session:
        await turn(lab, session, call("Read", {"path": "a"}), write("a", changed))
        since = await session.timeline.since()
        first, last = hunks(since.diffs(), "a")
        report = await session.timeline.revert(since, [first])
        assert report.applied
        assert [action.path for action in report.actions] == ["a"]
        assert (lab.project / "a").read_text() == LINES.replace("line 38\n", "last\n")
        assert hunks((await session.timeline.since()).diffs(), "a") == [last]
        await turn(lab, session)
        assert "took back some of the changes in a" in str(lab.server.requests[-1].messages)
        # What was taken back is saved as well.
        await session.timeline.restore(report.saved, "code")
        assert (lab.project / "a").read_text() == changed


@posix
async def test_created_deleted_executable_and_binary_files_are_taken_back_whole(lab: Lab) -> None:
    (lab.project / "gone").write_text("gone\n")
    (lab.project / "gone").chmod(0o600)
    (lab.project / "run").write_text("run\n")
    (lab.project / "run").chmod(0o644)
    (lab.project / "image").write_bytes(b"\0\1\2")
    async with open_session(lab) as session:
        await turn(
            lab,
            session,
            bash("rm gone; chmod 755 run; printf '\\0\\7' > image; mkdir -p sub/deep; echo x >sub/deep/n"),
        )
        since = await session.timeline.since()
        ids = [id for diff in since.diffs() for id in ([hunk.id for hunk in diff.hunks] or [diff.id])]
        assert len(ids) == 4
        assert (await session.timeline.revert(since, ids)).applied
        assert (lab.project / "gone").read_text() == "gone\n"
        assert stat.S_IMODE((lab.project / "gone").stat().st_mode) == 0o600
        assert stat.S_IMODE((lab.project / "run").stat().st_mode) == 0o644
        assert (lab.project / "image").read_bytes() == b"\0\1\2"
        assert not (lab.project / "sub").exists()
        assert not (await session.timeline.since()).items


async def test_a_file_that_was_changed_since_it_was_seen_is_left_alone_with_all_others(lab: Lab) -> None:
    (lab.project / "a").write_text("one\n")
    (lab.project / "b").write_text("one\n")
    async with open_session(lab) as session:
        await turn(lab, session, bash("echo two > a; echo two > b"))
        since = await session.timeline.since()
        (lab.project / "a").write_text("mine\n")
        report = await session.timeline.revert(since, [*hunks(since.diffs(), "a"), *hunks(since.diffs(), "b")])
        assert not report.applied
        assert [(conflict.path, conflict.reason) for conflict in report.conflicts] == [("a", "was changed since")]
        assert (lab.project / "a").read_text() == "mine\n"
        assert (lab.project / "b").read_text() == "two\n"


async def test_files_and_conversation_go_back_to_a_checkpoint_together_or_one_alone(lab: Lab) -> None:
    records: list[Record] = []
    async with open_session(lab, records) as session:
        await turn(lab, session, write("a", "one\n"), prompt="First.")
        await turn(lab, session, write("b", "two\n"), prompt="Second.")
        await turn(lab, session, prompt="Only words.")
        end_of_first = [kept for kept in await session.timeline.list() if kept.turn == 1][-1]
        planned = await session.timeline.restore(end_of_first.id, "both", dry_run=True)
        assert [action.path for action in planned.report.actions] == ["b"]
        assert [rewound.turn for rewound in planned.turns] == [3, 2]
        assert (lab.project / "b").exists()
        await session.timeline.restore(end_of_first.id, "both")
        assert not (lab.project / "b").exists()
        assert (lab.project / "a").exists()
        undone = [record.event.turn for record in records if isinstance(record.event, TurnUndone)]
        assert undone == [3, 2]
        with pytest.raises(CheckpointError, match="has not gone on"):
            await session.timeline.restore(end_of_first.id, "conversation")
        await turn(lab, session, prompt="And now?")
        said = str(lab.server.requests[-1].messages)
        assert "First." in said
        assert "Second." not in said
        assert "put files back as they were earlier: b" in said


async def test_before_anything_changed_there_is_nothing_to_compare_with(lab: Lab) -> None:
    async with open_session(lab) as session:
        with pytest.raises(CheckpointError, match="Nothing has changed"):
            await session.timeline.since()


async def test_while_a_turn_runs_nothing_is_put_back(lab: Lab) -> None:
    refused: list[str] = []
    async with open_session(lab) as session:
        await turn(lab, session, write("a", "one\n"))
        since = await session.timeline.since()

        async def attempt() -> None:
            for work in (session.timeline.revert(since, ["x"]), session.timeline.restore(since.id, "code")):
                with pytest.raises(KimiError) as caught:
                    await work
                refused.append(caught.value.message)

        tasks: list[object] = []

        def meanwhile(record: Record) -> None:
            if isinstance(record.event, MessageCompleted) and not tasks:
                tasks.append(asyncio.ensure_future(attempt()))

        session.subscribe(meanwhile)
        await turn(lab, session, write("b", "one\n"))
        assert refused == ["A turn is running."] * 2


async def test_a_fork_goes_on_from_the_same_words_and_leaves_the_first_session_as_it_was(lab: Lab) -> None:
    async with open_session(lab) as session:
        await turn(lab, session, bash("seq 1 30000"), prompt="Count, please.")
        before = session.meta.journal.read_bytes()
        made = Store(lab.data).fork(session.meta)
        assert session.meta.journal.read_bytes() == before
        first = session.meta
    assert made.title == "Count, please. (fork)"
    assert (made.turns, made.tokens, made.cost_usd) == (1, 0, None)
    assert {path.name for path in (made.path / "outputs").iterdir()} == {
        path.name for path in (first.path / "outputs").iterdir()
    }
    lab.server.script(say("Done."))
    ran = await lab.run("Go on.", resume=made.id)
    assert ran.exit_code == 0
    said = str(lab.server.requests[-1].messages)
    assert "Count, please." in said
    assert str(made.path / "outputs") in said
    assert str(first.path) not in said
    assert first.journal.read_bytes().startswith(before)
    assert {meta.id: meta.turns for meta in Store(lab.data).list()} == {first.id: 1, made.id: 2}


async def test_a_session_without_a_turn_cannot_be_forked(lab: Lab) -> None:
    async with open_session(lab) as session:
        with pytest.raises(UsageError, match="no turn yet"):
            Store(lab.data).fork(session.meta)
    assert Store(lab.data).list() == []

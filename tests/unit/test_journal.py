from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kimi_code.agent.context import LOST_RESULT, is_whole
from kimi_code.errors import UsageError
from kimi_code.events import (
    Event,
    MessageCompleted,
    Outcome,
    Record,
    SessionOpened,
    TextDelta,
    TurnEnded,
    TurnStarted,
)
from kimi_code.messages import Message, ToolCall
from kimi_code.session import journal
from kimi_code.session.journal import Journal
from kimi_code.session.resume import resume
from kimi_code.session.store import SessionMeta, Store, load_meta, save_meta


def session_events() -> list[Event]:
    calls = (ToolCall("a", "Read", '{"path": "x"}'), ToolCall("b", "Read", '{"path": "ü"}'))
    return [
        SessionOpened("s", "/project", "kimi-test", "auto", "1"),
        TurnStarted(1, "do it"),
        MessageCompleted(Message("user", "do it 你好", preface="<env>")),
        MessageCompleted(Message("assistant", "reading", thought="hm", tool_calls=calls)),
        MessageCompleted(Message("tool", "one", call_id="a")),
        MessageCompleted(Message("tool", "two", call_id="b")),
        MessageCompleted(Message("assistant", "done")),
        TurnEnded(1, Outcome.DONE, "done"),
    ]


def write(folder: Path, events: list[Event], first_seq: int = 1) -> None:
    log = Journal(folder)
    for seq, event in enumerate(events, first_seq):
        log.write(Record(seq, "main", 100.0 + seq, event))
    log.close()


def test_deltas_are_not_kept(tmp_path: Path) -> None:
    write(tmp_path, [TurnStarted(1, "x"), TextDelta("y")])
    assert [record.event for record in journal.read(tmp_path / journal.RECORDS).records] == [TurnStarted(1, "x")]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_a_journal_cut_at_any_byte_resumes_with_every_complete_record(tmp_path: Path, data: st.DataObject) -> None:
    folder = tmp_path / "s"
    whole = tmp_path / "whole"
    if not whole.exists():
        write(whole, session_events())
    content = (whole / journal.RECORDS).read_bytes()
    cut = data.draw(st.integers(0, len(content)))
    folder.mkdir(exist_ok=True)
    (folder / journal.RECORDS).write_bytes(content[:cut])
    # What a cut leaves whole: lines that ended, and a last one that lacks only its newline.
    complete = content[:cut].count(b"\n") + (cut < len(content) and content[cut : cut + 1] == b"\n" and cut > 0)
    meta = SessionMeta("s", folder)
    resumed = resume(meta)
    assert resumed.last_seq == complete
    assert is_whole(resumed.history.messages)
    assert len(resumed.notices) == (1 if _torn(content[:cut], content) else 0)
    # Going on: what is appended stands on a line of its own and all is read again.
    write(folder, [TurnStarted(2, "next")], first_seq=resumed.last_seq + 1)
    again = journal.read(folder / journal.RECORDS)
    assert again.records[-1].event == TurnStarted(2, "next")
    assert len(again.records) == complete + 1


def _torn(cut: bytes, whole: bytes) -> bool:
    tail = cut.rpartition(b"\n")[2]
    return bool(tail) and whole[len(cut) : len(cut) + 1] != b"\n"


def test_calls_without_results_get_one_on_resume(tmp_path: Path) -> None:
    write(tmp_path, session_events()[:5])
    resumed = resume(SessionMeta("s", tmp_path))
    assert resumed.history.messages[-1] == Message("tool", LOST_RESULT, call_id="b")
    assert resumed.meta.turns == 1
    assert resumed.meta.title == "do it"


def test_a_session_open_elsewhere_is_refused(tmp_path: Path) -> None:
    first = Journal(tmp_path)
    with pytest.raises(UsageError, match="another process"):
        Journal(tmp_path)
    first.close()
    Journal(tmp_path).close()


def test_lists_are_newest_first_and_found_by_the_beginning_of_the_id(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for id, start in (("aa11", 1), ("aa22", 50), ("bb33", 20)):
        write(store.folder / id, session_events(), first_seq=start)
    assert [meta.id for meta in store.list()] == ["aa22", "bb33", "aa11"]
    assert store.find("bb").id == "bb33"
    assert store.newest(Path("/project")).id == "aa22"
    with pytest.raises(UsageError, match="2 sessions"):
        store.find("aa")
    for missing in ("zz", "", "../aa11"):
        with pytest.raises(UsageError):
            store.find(missing)


def test_the_summary_is_rebuilt_when_it_is_missing_broken_or_older_than_the_journal(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    write(folder, session_events())
    rebuilt = load_meta(folder)
    assert (rebuilt.turns, rebuilt.title, rebuilt.model) == (1, "do it", "kimi-test")
    save_meta(rebuilt)
    assert load_meta(folder) == rebuilt
    (folder / "meta.json").write_text("{broken")
    assert load_meta(folder) == rebuilt


def test_the_journal_is_for_its_owner_alone(tmp_path: Path) -> None:
    write(tmp_path / "s", session_events())
    assert (tmp_path / "s").stat().st_mode & 0o077 == 0

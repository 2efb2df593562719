"""Bring a session back from its journal."""

from kimi_code.agent.history import History, fold
from kimi_code.events import Notice, Record
from kimi_code.session import journal
from kimi_code.session.store import SessionMeta, follow
from kimi_code.values import frozen


@frozen
class Resumed:
    """What a journal adds up to."""

    meta: SessionMeta
    history: History
    last_seq: int = 0
    notices: tuple[Notice, ...] = ()
    records: tuple[Record, ...] = ()


def resume(meta: SessionMeta) -> Resumed:
    """Replay the session's journal: history, plan, and what could not be read as notices."""
    replay = journal.read(meta.journal)
    records = replay.records
    state = SessionMeta(meta.id, meta.path)
    for record in records:
        state = follow(state, record)
    return Resumed(
        state,
        fold(record.event for record in records),
        max((record.seq for record in records), default=0),
        _notices(replay),
        records,
    )


def _notices(replay: journal.Replay) -> tuple[Notice, ...]:
    notices: list[Notice] = []
    if replay.dropped:
        notices.append(Notice("warning", f"{replay.dropped} torn line(s) of the session's journal were left out."))
    if replay.unknown:
        notices.append(
            Notice("warning", f"{replay.unknown} record(s) of a newer version were left out of the session's history.")
        )
    return tuple(notices)

"""Bring a session back from its journal."""

from collections.abc import Iterable
from dataclasses import field
from pathlib import Path

from kimi_code.agent.history import History, fold
from kimi_code.events import Notice, Record, SessionForked, StepEnded, TurnEnded, TurnStarted, UsageAdded
from kimi_code.messages import Usage
from kimi_code.session import journal
from kimi_code.session.store import SessionMeta, follow
from kimi_code.session.swarms import AGENTS
from kimi_code.values import frozen


@frozen
class Resumed:
    """What a journal adds up to. `unended` is what the steps of a last turn took that nobody ended, its
    sub-agents' included."""

    meta: SessionMeta
    history: History
    last_seq: int = 0
    notices: tuple[Notice, ...] = ()
    records: tuple[Record, ...] = ()
    unended: Usage = field(default_factory=Usage)


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
        _unended(meta.path, records),
    )


def _unended(session: Path, records: Iterable[Record]) -> Usage:
    """Of the steps that have ended: what the one under way took was told to nobody who is still there."""
    usage, began = Usage(), None
    for record in records:
        match record.event:
            case StepEnded(usage=taken):
                usage += taken
            case TurnStarted():
                usage, began = Usage(), record.at
            case TurnEnded() | UsageAdded(why="unended") | SessionForked():
                usage, began = Usage(), None
            case _:
                pass
    return usage if began is None else usage + _of_sub_agents(session, began)


def _of_sub_agents(session: Path, since: float) -> Usage:
    """What the steps took that sub-agents, those of sub-agents included, have ended since then."""
    usage = Usage()
    for path in (session / AGENTS).rglob(journal.RECORDS):
        if path.stat().st_mtime < since:
            continue
        for record in journal.read(path).records:
            if isinstance(record.event, StepEnded) and record.agent == "main" and record.at >= since:
                usage += record.event.usage
    return usage


def _notices(replay: journal.Replay) -> tuple[Notice, ...]:
    notices: list[Notice] = []
    if replay.dropped:
        notices.append(Notice("warning", f"{replay.dropped} torn line(s) of the session's journal were left out."))
    if replay.unknown:
        notices.append(
            Notice("warning", f"{replay.unknown} record(s) of a newer version were left out of the session's history.")
        )
    return tuple(notices)

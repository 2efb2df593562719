"""Taking turns back and bringing them back: files by the checkpoints, conversations by their journals.

One way for all front ends: a running session gives its own conversation, closed ones are opened for the moment.
The checkpoints' log leads; a journal that was left behind by a kill is brought in line when it is opened next.
"""

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Literal, TypedDict

from kimi_code.agent.history import History
from kimi_code.errors import KimiError, UsageError
from kimi_code.events import Change, Event, FileChange, Record, TurnRedone, TurnUndone
from kimi_code.repo.checkpoint import Action, Checkpoints, Report, Resolve, TurnState
from kimi_code.repo.checkpoint import Scope as Scope
from kimi_code.session.bus import Bus
from kimi_code.session.journal import RECORDS, Journal
from kimi_code.session.resume import resume
from kimi_code.session.store import SessionMeta, Store, follow, save_meta
from kimi_code.values import frozen

Direction = Literal["undo", "redo"]
_CHANGES: Mapping[str, Change] = {"create": "created", "delete": "deleted"}


@frozen
class Wish:
    """What is to be taken back or brought back: `count` turns, of `session` (a whole id) only when it is named.

    `paths` are relative to the folder and limit the files; the conversation stays then. A redo brings back what an undo
    took, neither more nor less: it knows no `paths` and no `scope`.
    """

    count: int = 1
    session: str = ""
    paths: tuple[str, ...] = ()
    scope: Scope = "both"
    resolve: Resolve = "refuse"
    dry_run: bool = False


class _How(TypedDict):
    session: str
    resolve: Resolve
    dry_run: bool


@frozen
class RewoundTurn:
    """A turn that was, or would be, taken back or brought back.

    `conversation` says what became of its part in what the model sees: "gone" when its session is no longer kept.
    """

    session: str
    turn: int
    prompt: str
    files: bool
    conversation: Literal["rewound", "kept", "gone"]


@frozen
class Rewound:
    """What was done, or would be: nothing at all when the report has conflicts."""

    report: Report
    turns: tuple[RewoundTurn, ...]


@frozen
class Conversation:
    """A session's part: `publish` takes events into its journal."""

    history: History
    publish: Callable[[Event], object]


@frozen
class Rewinder:
    """`own` are the conversations this process has open itself; `to_line` is how a journal's records are written."""

    checkpoints: Checkpoints
    store: Store
    to_line: Callable[[Record], str]
    own: Mapping[str, Conversation]

    async def run(self, direction: Direction, wish: Wish) -> Rewound:
        """Undo or redo. Raises CheckpointError when there is nothing to, KimiError when a session is open elsewhere.

        Cancelled or failing on the way, it leaves everything as it was.
        """
        if wish.paths and wish.scope == "conversation":
            raise UsageError("Paths limit files, and --conversation leaves them alone.", hint="Leave one of them out.")
        planned = await self._call(direction, wish, dry_run=True)
        with ExitStack() as opened:
            held = {
                id: self._open(id, opened, needed=_rewinds(planned, id))
                for id in dict.fromkeys(state.session for state in planned.turns)
            }
            idle = wish.dry_run or planned.conflicts
            for id, conversation in held.items():
                if conversation is not None and not idle:
                    catch_up(await self.checkpoints.turns(id), conversation)
            if direction == "redo":
                _check_redoable(planned, held)
            if idle:
                return Rewound(_with_commits(direction, planned, held), _turns(planned, held))
            done = await self._call(direction, wish, dry_run=False)
            _tell(direction, done, held)
            return Rewound(_with_commits(direction, done, held), _turns(done, held))

    async def _call(self, direction: Direction, wish: Wish, *, dry_run: bool) -> Report:
        how: _How = {"session": wish.session, "resolve": wish.resolve, "dry_run": dry_run}
        if direction == "redo":
            return await self.checkpoints.redo(wish.count, **how)
        scope: Scope = "code" if wish.paths else wish.scope
        return await self.checkpoints.undo(wish.count, paths=wish.paths, scope=scope, **how)

    def _open(self, id: str, opened: ExitStack, *, needed: bool) -> Conversation | None:
        """The session's conversation, locked against others; None when it is not kept, or not needed and in use."""
        if id in self.own:
            return self.own[id]
        path = self.store.folder / id
        if not (path / RECORDS).is_file():
            return None
        try:
            return opened.enter_context(_opened(SessionMeta(id, path), self.to_line))
        except UsageError:
            if not needed:
                return None
        raise KimiError(
            f"Session {id} is open in another process, so its conversation cannot be changed.",
            hint="Close it there, or undo the files only with --code.",
        )


@contextmanager
def _opened(meta: SessionMeta, to_line: Callable[[Record], str]) -> Generator[Conversation]:
    """A closed session's conversation. Raises UsageError when another process has it open."""
    journal = Journal(meta.path, to_line)
    try:
        resumed = resume(meta)
        bus, latest, history = Bus(last_seq=resumed.last_seq), resumed.meta, resumed.history

        def keep(record: Record) -> None:
            nonlocal latest
            latest = follow(latest, record)
            history.follow(record.event)
            journal.write(record)

        bus.subscribe(keep)
        yield Conversation(history, bus.publish)
    finally:
        journal.close()
    if latest is not resumed.meta:
        save_meta(latest)


def catch_up(turns: Sequence[TurnState], conversation: Conversation) -> None:
    """Bring a conversation in line with what the checkpoints' log says of its `turns`: a kill may have come between."""
    history = conversation.history
    for state in sorted(turns, key=lambda state: -state.turn):
        if state.undone in ("both", "conversation") and state.turn in history.turns - history.undone:
            conversation.publish(TurnUndone(state.turn))
    in_force = {state.turn for state in turns if state.undone in ("", "code")}
    for turn in history.redoable:
        if turn not in in_force:
            break
        conversation.publish(TurnRedone(turn))


def _scopes(report: Report) -> Iterable[tuple[TurnState, Scope]]:
    return zip(report.turns, report.scopes, strict=True)


def _rewinds(report: Report, session: str) -> bool:
    return any(state.session == session and scope != "code" for state, scope in _scopes(report))


def _check_redoable(report: Report, held: Mapping[str, Conversation | None]) -> None:
    waiting = {id: list(conversation.history.redoable) for id, conversation in held.items() if conversation}
    for state, scope in _scopes(report):
        turns = waiting.get(state.session)
        if scope == "code" or turns is None:
            continue
        if not turns or turns.pop(0) != state.turn:
            raise KimiError(
                f"The conversation of turn {state.turn} cannot be brought back: session {state.session} went on since.",
                hint="`kimi-code checkpoints list` shows the states of the files, which can be restored.",
            )


def _tell(direction: Direction, report: Report, held: Mapping[str, Conversation | None]) -> None:
    """Write into the journals what was done; the files that changed are named once, with a session's last turn."""
    files = tuple(_change(action) for action in report.actions if not action.path.endswith("/"))
    last = {state.session: state.turn for state in report.turns}
    event = TurnUndone if direction == "undo" else TurnRedone
    for state, scope in _scopes(report):
        conversation = held.get(state.session)
        if conversation is not None:
            named = files if last[state.session] == state.turn else ()
            conversation.publish(event(state.turn, named, scope != "code"))


def _change(action: Action) -> FileChange:
    return FileChange(action.path, _CHANGES.get(action.verb, "modified"))


def _with_commits(direction: Direction, report: Report, held: Mapping[str, Conversation | None]) -> Report:
    """The report with a note on every commit of turns whose files were taken back: it stays."""
    if direction == "redo":
        return report
    notes: list[str] = []
    for state, scope in _scopes(report):
        conversation = held.get(state.session)
        for made in (
            conversation.history.commits.get(state.turn, ()) if conversation and scope != "conversation" else ()
        ):
            short, where = made.commit[:10], f" on {made.branch}" if made.branch else ""
            notes.append(
                f"commit {short}{where} stays, for undo leaves the history of your repository alone: to take it back,"
                f" `git reset {short}~1` drops it while it is the last and nobody else has it, `git revert {short}`"
                " makes its reverse"
            )
    return replace(report, notes=(*report.notes, *notes)) if notes else report


def _turns(report: Report, held: Mapping[str, Conversation | None]) -> tuple[RewoundTurn, ...]:
    return tuple(
        RewoundTurn(
            state.session,
            state.turn,
            state.prompt,
            scope != "conversation",
            "kept" if scope == "code" else "rewound" if held.get(state.session) else "gone",
        )
        for state, scope in _scopes(report)
    )

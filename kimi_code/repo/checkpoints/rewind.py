"""Undo, redo and restore: what is to become of which files, decided as a whole, then done as a whole or not at all."""

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace

from kimi_code.errors import CheckpointError
from kimi_code.repo.checkpoints import swap
from kimi_code.repo.checkpoints.checkpoint_log import (
    Entry,
    Kept,
    Redone,
    Restored,
    Scope,
    Started,
    TurnState,
    Undone,
    parts,
    together,
    without,
)
from kimi_code.repo.checkpoints.ledger import Ledger, new_id
from kimi_code.repo.checkpoints.pauses import while_paused
from kimi_code.repo.checkpoints.plan import Move, Plan, extend, ignored_changes
from kimi_code.repo.checkpoints.report import Conflict, Report, Resolve
from kimi_code.repo.checkpoints.reversal import Since, take_back
from kimi_code.repo.checkpoints.states import State, absent, differences, keep_difference, letters, with_changes
from kimi_code.repo.checkpoints.steps import Swap, obstacles, prepare
from kimi_code.repo.checkpoints.surveyor import IGNORED_AT_MOST
from kimi_code.repo.shadow import ShadowError
from kimi_code.values import frozen

_NAMED = 10  # paths in one note


@frozen
class _Leg:
    """One operation of several: the move, what the log is to say of it given the checkpoints around it."""

    move: Move | None
    label: str
    session: str
    entry: Callable[[str, str], Entry]


class Rewind:
    """One command, while the store is locked."""

    def __init__(self, ledger: Ledger, *, resolve: Resolve = "refuse", dry_run: bool = False) -> None:
        self._ledger = ledger
        self._shadow = ledger.shadow
        self._resolve: Resolve = resolve
        self._dry_run = dry_run
        self._operation = new_id()

    async def undo(self, count: int, *, session: str, paths: Sequence[str], scope: Scope) -> Report:
        """Take back the newest turns. Raises CheckpointError, ShadowError and OSError."""
        self._refuse_while_running()
        wanted = self._ledger.within(paths)
        history = self._ledger.history
        newest_first = [t for t in reversed(history.turns.values()) if session in ("", t.session)]
        turns: list[tuple[TurnState, Scope]] = [(t, rest) for t in newest_first if (rest := without(scope, t.undone))]
        if count < 1 or len(turns) < count:
            raise CheckpointError(_too_few("undo", "undone", count, len(turns), session))
        turns = turns[:count]
        if all(rest == "conversation" for _, rest in turns):
            return self._note_only([turn for turn, _ in turns])
        now, saved = await self._look("before undo", turns[0][0].session)
        legs: list[_Leg] = []
        notes: list[str] = []
        for turn, rest in turns:
            move = await self._backwards(turn, now) if rest != "conversation" else None
            if not turn.ended and move:
                notes.append(f"turn {turn.turn} was cut off; what changed until now counts as its own")
            legs.append(_Leg(move, f"undo of turn {turn.turn}", turn.session, self._undone(turn, rest, bool(wanted))))
        nothing = ""
        if wanted:
            await self._refuse_elsewhere(legs, _chooser(wanted), paths)
            nothing = f"Nothing is left to be taken back in {' or '.join(paths)}: all is as before {_named(turns)}."
        report = await self._go(now, saved, legs, _chooser(wanted), nothing=nothing)
        marked = report.applied and not wanted
        after = tuple(replace(t, undone=together(t.undone, rest)) if marked else t for t, rest in turns)
        return replace(report, turns=after, scopes=tuple(rest for _, rest in turns), notes=(*notes, *report.notes))

    async def _refuse_elsewhere(
        self, legs: Sequence[_Leg], chosen: Callable[[str], bool], paths: Sequence[str]
    ) -> None:
        """An undo of paths in which nothing was done would be one more to redo."""
        for move in (leg.move for leg in legs if leg.move):
            differing = await differences(self._shadow, move.source, move.target)
            if any(chosen(path) and path not in move.apart for path in differing):
                return
        what = f"{legs[0].label.removeprefix('undo of ')} changed" if len(legs) == 1 else "these turns changed"
        raise CheckpointError(
            f"Nothing that {what} is in {' or '.join(paths)}.", hint="`kimi-code checkpoints list` shows what it is."
        )

    def _undone(self, turn: TurnState, scope: Scope, partial: bool) -> Callable[[str, str], Undone]:
        operation = new_id()
        return lambda before, after: Undone(turn.id, operation, time.time(), scope, partial, before, after)

    async def _backwards(self, turn: TurnState, now: State) -> Move | None:
        if not turn.before:
            return None
        end = self._ledger.history.end_of(turn)
        source = self._state(end) if end else now
        apart = await while_paused(self._ledger, turn, source.tree)
        return Move(source, self._state(turn.before), by_hand=apart.both, apart=apart.others)

    def _note_only(self, turns: Sequence[TurnState]) -> Report:
        done = tuple(replace(turn, undone=together(turn.undone, "conversation")) for turn in turns)
        if not self._dry_run:
            self._ledger.log.append(
                *(Undone(turn.id, new_id(), time.time(), "conversation", False) for turn in turns), durable=True
            )
        return Report(done, ("conversation",) * len(done), applied=not self._dry_run)

    async def redo(self, count: int, *, session: str) -> Report:
        """Take back the last undos. Raises CheckpointError, ShadowError and OSError."""
        self._refuse_while_running()
        history = self._ledger.history
        found = [(u, history.turns[u.id]) for u in reversed(history.undone) if u.id in history.turns]
        found = [(undone, turn) for undone, turn in found if session in ("", turn.session)]
        if count < 1 or len(found) < count:
            raise CheckpointError(_too_few("redo", "brought back", count, len(found), session))
        found = found[:count]
        for undone, turn in found:
            self._refuse_after_more(undone, turn)
        turns = tuple(replace(turn, undone=without(turn.undone, undone.scope)) for undone, turn in found)
        scopes: tuple[Scope, ...] = tuple(undone.scope for undone, _ in found)
        if not any(undone.before for undone, _ in found):
            if not self._dry_run:
                entries = [Redone(new_id(), time.time(), undone.operation) for undone, _ in found]
                self._ledger.log.append(*entries, durable=True)
            return Report(turns, scopes, applied=not self._dry_run)
        now, saved = await self._look("before redo", found[0][1].session)
        legs: list[_Leg] = []
        for undone, turn in found:
            move = Move(self._state(undone.after), self._state(undone.before)) if undone.before else None
            legs.append(_Leg(move, f"redo of turn {turn.turn}", turn.session, self._redone(undone)))
        report = await self._go(now, saved, legs, _chooser(()))
        return replace(report, turns=turns, scopes=scopes)

    def _redone(self, undone: Undone) -> Callable[[str, str], Redone]:
        operation = new_id()
        return lambda before, after: Redone(operation, time.time(), undone.operation, before, after)

    def _refuse_after_more(self, undone: Undone, turn: TurnState) -> None:
        """What came after an undo was built on it: files of any turn, and the conversation of the same session."""
        history = self._ledger.history
        place = history.entries.index(undone)
        later = {entry.id for entry in history.entries[place:] if isinstance(entry, Started)}
        for other in history.turns.values():
            in_force = parts(without("both", other.undone)) if other.id in later or other.at > undone.at else ()
            talked = other.session == turn.session and undone.scope != "code" and "conversation" in in_force
            if talked or ("code" in in_force and other.id in later and self._changed_files(other)):
                raise CheckpointError(
                    f"Turn {turn.turn} cannot be brought back: turn {other.turn} of session {other.session} has come"
                    " after it was undone.",
                    hint="Undo that turn first, or `kimi-code checkpoints restore` what you want to have back.",
                )

    def _changed_files(self, turn: TurnState) -> bool:
        history = self._ledger.history
        end = history.end_of(turn)
        if not end:
            return True
        before, after = history.checkpoints.get(turn.before), history.checkpoints.get(end)
        return before is None or after is None or (before.tree, before.kept) != (after.tree, after.kept)

    async def restore(self, id: str, paths: Sequence[str]) -> Report:
        """Back to a checkpoint. Raises CheckpointError, ShadowError and OSError."""
        self._refuse_while_running()
        kept = self._ledger.find(id)
        wanted = self._ledger.within(paths)
        known = self._ledger.history.newest or kept
        now, saved = await self._look("before restore", "")
        pairs = [(a.tree, b.tree) for a, b in self._ledger.history.by_hand(kept.id)]
        by_hand: dict[str, str] = {}
        for changed in await letters(self._shadow, pairs):
            # Once it was created by hand it is the user's own.
            by_hand |= {path: "A" if by_hand.get(path) == "A" else letter for path, letter in changed.items()}
        move = Move(self._state(known.id), self._ledger.state(kept), whole=True, by_hand=by_hand)

        def entry(before: str, after: str) -> Entry:
            return Restored(self._operation, time.time(), before, after)

        return await self._go(now, saved, [_Leg(move, f"restore of {kept.id}", "", entry)], _chooser(wanted))

    async def revert(self, since: Since, ids: Collection[str]) -> Report:
        """Take back some of the changes since a checkpoint. Raises CheckpointError, ShadowError and OSError."""
        self._refuse_while_running()
        reversal = await take_back(self._ledger, since, ids)
        if reversal.refused:
            display = self._ledger.display
            return Report(conflicts=tuple(Conflict(display(path), why) for path, why in reversal.refused.items()))
        now, saved = await self._look("before revert", "")

        def entry(before: str, after: str) -> Entry:
            return Restored(self._operation, time.time(), before, after)

        leg = _Leg(Move(since.seen, reversal.target), f"changes since {since.id} taken back", "", entry)
        return await self._go(now, saved, [leg], _chooser(()))

    # --- Common to all

    def _refuse_while_running(self) -> None:
        turn = self._ledger.running()
        if turn is not None:
            raise CheckpointError(
                f"Session {turn.session} is in the midst of turn {turn.turn} in {self._shadow.worktree}.",
                hint="Wait for it to end, or interrupt it, and try again. Nothing was changed.",
            )

    def _state(self, id: str) -> State:
        return self._ledger.state(self._ledger.find(id))

    async def _look(self, label: str, session: str) -> tuple[State, Kept]:
        """The files as they are, and their checkpoint, which is logged only when something is done."""
        now, notes = await self._ledger.look()
        saved, _ = await self._ledger.record(now, session=session, turn=0, label=label, notes=notes)
        return now, saved

    async def _go(
        self, now: State, saved: Kept, legs: Sequence[_Leg], chosen: Callable[[str], bool], *, nothing: str = ""
    ) -> Report:
        """Plan all legs, then do them in one. Raises CheckpointError with the words `nothing` where there is none."""
        plan = Plan(now)
        entries: list[Entry] = []
        last, target = saved, now
        for leg in legs:
            if leg.move is None:
                entries.append(leg.entry("", ""))
                continue
            try:
                await extend(plan, self._shadow, now, leg.move, chosen, self._resolve)
            except ShadowError as error:
                raise CheckpointError(
                    f"The {leg.label} is impossible: {error}.",
                    hint="What it needs was in your repository only and is gone from there. Nothing was changed.",
                ) from error
            target = leg.move.target
            if not plan.conflicts and not self._dry_run:
                after = await self._after(plan, leg, leg.move, last)
                entries += [*([after] if after is not last else ()), leg.entry(last.id, after.id)]
                last = after
        blobs = {path: node.blob for path, node in plan.changes.items() if node and node.blob}
        gone = await absent(self._shadow, blobs.values())
        plan.conflicts |= {
            path: "its content was in your repository only, and is gone from there"
            for path, blob in blobs.items()
            if blob in gone
        }
        return await self._finish(plan, entries, saved, target, nothing)

    async def _after(self, plan: Plan, leg: _Leg, move: Move, last: Kept) -> Kept:
        """The checkpoint of how everything is after `leg`."""
        likely = move.target.tree if last.tree == move.source.tree else ""
        state = await with_changes(
            self._shadow, plan.state, plan.changes, plan.empty, made=plan.made, removed=plan.remove, likely=likely
        )
        if await self._ledger.is_same(last, state):
            return last
        await keep_difference(self._shadow, last.tree, state.tree)
        return self._ledger.write(state, session=leg.session, turn=0, label=leg.label)

    async def _finish(self, plan: Plan, entries: Sequence[Entry], saved: Kept, target: State, nothing: str) -> Report:
        name = getattr(entries[-1], "operation", "") if entries else ""
        steps = prepare(
            self._shadow.worktree,
            name,
            plan.changes,
            plan.was,
            make=plan.make.items(),
            around=plan.around,
            remove=plan.remove,
        )
        conflicts = plan.conflicts | obstacles(self._shadow.worktree, steps)
        display = self._ledger.display
        there = plan.make.keys() - set(steps.made)
        actions = [action for action in plan.actions() if action.verb != "create" or action.path not in there]
        report = Report(
            actions=tuple(replace(action, path=display(action.path)) for action in actions),
            conflicts=tuple(Conflict(display(path), reason) for path, reason in sorted(conflicts.items())),
            notes=(*self._ledger.notes, *self._notes(plan, target)),
        )
        if nothing and not actions and not conflicts:
            raise CheckpointError(nothing, hint=" ".join(f"{note}." for note in report.notes))
        if conflicts or self._dry_run:
            return report
        new = saved.id not in self._ledger.history.checkpoints
        await self._apply(steps, [*([saved] if new else ()), *entries])
        return replace(report, saved=saved.id, applied=True)

    async def _apply(self, steps: Swap, entries: Sequence[Entry]) -> None:
        """All of it, in the log too, or nothing."""
        try:
            await swap.carry_out(self._shadow, steps, lambda: self._ledger.log.append(*entries, durable=True))
        except swap.SwapError as error:
            left = f" {', '.join(error.left)} changed meanwhile and was left alone." if error.left else ""
            raise CheckpointError(
                f"The files could not be brought back: {error}.", hint=f"Everything is as it was before.{left}"
            ) from error

    def _notes(self, plan: Plan, target: State) -> list[str]:
        ignored = ignored_changes(plan, target)
        apart = {path for path in plan.state.skipped if path.endswith("/")}
        told = [
            (apart, "is a repository of its own; what changed in it stays"),
            (plan.skipped, "is left as it is: too large or unreadable for a checkpoint"),
            (plan.unknown, "stays: no turn created it"),
            (ignored, "is ignored, so that it is in no checkpoint and stays as it is"),
        ]
        said = [
            f"{_listed(self._ledger.display(path) for path in sorted(paths))} {why}" for paths, why in told if paths
        ]
        many = max(len(state.survey.ignored) for state in (plan.state, target)) >= IGNORED_AT_MOST
        more = f"of the ignored files only {IGNORED_AT_MOST:,} were looked at; others may have changed, and stay so"
        return [*said, *([more] if many else [])]


def _named(turns: Sequence[tuple[TurnState, Scope]]) -> str:
    return f"turn {turns[0][0].turn}" if len(turns) == 1 else "these turns"


def _listed(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - _NAMED} more" if len(listed) > _NAMED else ""
    return ", ".join(listed[:_NAMED]) + more


def _chooser(wanted: Sequence[str]) -> Callable[[str], bool]:
    """Whether a path is one of those, or lies in one."""
    if not wanted or "" in wanted:
        return lambda path: True
    return lambda path: any(path.rstrip("/") == name or path.startswith(f"{name}/") for name in wanted)


def _too_few(verb: str, done: str, count: int, found: int, session: str) -> str:
    where = f" in session {session}" if session else ""
    if count < 1:
        return f"{count} turns cannot be {done}."
    if not found:
        return f"There is nothing to {verb}{where}."
    return f"Only {found} turn{'s' * (found > 1)} can be {done}{where}, not {count}. Nothing was changed."

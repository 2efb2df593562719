"""The commands about what changed, and the ways back: /undo /redo /checkpoints /review /diff /fork."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kimi_code.errors import UsageError
from kimi_code.tui.conversation import Job
from kimi_code.tui.host import Which

if TYPE_CHECKING:
    from kimi_code.session.timeline import Report, Resolve, Rewound, Scope, Since
    from kimi_code.tui.commands import Desk
    from kimi_code.tui.strips.line import Line

_SCOPES: "dict[str, Scope]" = {"files": "code", "code": "code", "conversation": "conversation", "both": "both"}
_RESOLVES: "dict[str, Resolve]" = {"merge": "merge", "force": "force"}


async def undo(desk: "Desk", argument: str) -> None:
    """Take turns back, after a look at what that would do."""
    from kimi_code.session.timeline import Wish
    from kimi_code.tui.screens.rewind import RewindScreen, Way

    count, scope, resolve = _read(argument)
    session = desk.session

    async def run(way: Way, *, dry_run: bool = True) -> "Rewound":
        return await session.undo(Wish(count, scope=way.scope, resolve=way.resolve, dry_run=dry_run))

    title = f"Take back {_turns(count)}"
    way = await desk.show(RewindScreen(title, run, session=session.id, way=Way(scope, resolve)))
    if way is not None:
        _tell(desk, "Taken back", await run(way, dry_run=False), "/redo brings it back.")


async def redo(desk: "Desk", argument: str) -> None:
    """Bring back what undo took, after a look at what that would do."""
    from kimi_code.session.timeline import Wish
    from kimi_code.tui.screens.rewind import RewindScreen, Way

    count, _, resolve = _read(argument)
    session = desk.session

    async def run(way: Way, *, dry_run: bool = True) -> "Rewound":
        return await session.redo(Wish(count, resolve=way.resolve, dry_run=dry_run))

    title = f"Bring back {_turns(count)}"
    screen = RewindScreen(title, run, session=session.id, scopes=("both",), way=Way("both", resolve))
    way = await desk.show(screen)
    if way is not None:
        _tell(desk, "Brought back", await run(way, dry_run=False), "")


def _turns(count: int) -> str:
    return "the last turn" if count == 1 else f"the last {count} turns"


def _read(argument: str) -> "tuple[int, Scope, Resolve]":
    """`[N] [files|conversation] [merge|force]` in any order. Raises UsageError."""
    count: int = 1
    scope: Scope = "both"
    resolve: Resolve = "refuse"
    for word in argument.split():
        if word.isdecimal() and int(word) > 0:
            count = int(word)
        elif word in _SCOPES:
            scope = _SCOPES[word]
        elif word in _RESOLVES:
            resolve = _RESOLVES[word]
        else:
            raise UsageError(f"{word!r} is no number of turns, and none of files, conversation, merge, force.")
    return count, scope, resolve


def _tell(desk: "Desk", done: str, rewound: "Rewound", more: str) -> None:
    """Say what the transcript does not show by itself; what did not happen after all, too."""
    report = rewound.report
    if report.conflicts:
        found = ", ".join(f"{conflict.path} {conflict.reason}" for conflict in report.conflicts)
        raise UsageError(f"Nothing was done: {found}.")
    own = [turn for turn in rewound.turns if turn.session == desk.session.id]
    others = dict.fromkeys(turn.session for turn in rewound.turns if turn not in own)
    said = [f"{done}: what session {other} did." for other in others]
    if not own:  # of its own turns the transcript tells
        count = sum(not action.path.endswith("/") for action in report.actions)
        said.append(f"{done}: {count} file{'s' * (count != 1)}.")
    said += [*(f"{note}." for note in report.notes), more]
    if words := " ".join(part for part in said if part):
        desk.say(words)
    desk.files_changed()


# --- By checkpoints -------------------------------------------------------------------------------------------------


async def checkpoints(desk: "Desk", start: str) -> None:
    """The timeline, until it is left."""
    from kimi_code.tui.screens.timeline import TimelineScreen

    timeline = desk.session.timeline
    while True:
        kept = (await timeline.list())[::-1]
        if not kept:
            raise UsageError("There is no checkpoint of this folder yet.", hint="One is taken when a turn begins.")
        chosen = await desk.show(TimelineScreen(timeline, kept, start=start))
        if chosen is None:
            return
        start = chosen.checkpoint.id
        match chosen.deed:
            case "restore":
                if await _restore(desk, start):
                    return
            case "diff":
                await diff(desk, start)
            case "review":
                await review(desk, start)
                return


async def _restore(desk: "Desk", id: str) -> bool:
    """Whether something was done."""
    from kimi_code.tui.screens.rewind import RewindScreen, Way

    timeline = desk.session.timeline

    async def run(way: Way, *, dry_run: bool = True) -> "Rewound":
        return await timeline.restore(id, way.scope, resolve=way.resolve, dry_run=dry_run)

    screen = RewindScreen(f"Back to checkpoint {id}", run, session=desk.session.id, way=Way("code"))
    way = await desk.show(screen)
    if way is None:
        return False
    restored = await run(way, dry_run=False)
    saved = restored.report.saved
    _tell(desk, f"Restored {id}", restored, f"Before this: /checkpoints {saved}" if saved else "")
    return True


async def diff(desk: "Desk", id: str) -> None:
    """What changed since a checkpoint, or since the session began, to read."""
    from kimi_code.tui.screens.lines import LinesScreen
    from kimi_code.tui.screens.timeline import changed_lines

    since = await desk.session.timeline.since(id)

    diffs = await asyncio.to_thread(since.diffs)

    def make(width: int) -> "Sequence[Line]":
        return changed_lines(diffs, width)

    await desk.show(LinesScreen(f"Changes · {_since(since, id)}", make))


async def review(desk: "Desk", id: str) -> None:
    """The same, to decide on: hunks are taken back on the screen, comments sent when it closes."""
    from kimi_code.session.timeline import Rewound
    from kimi_code.tui.screens.review import ReviewScreen

    timeline = desk.session.timeline
    since = await timeline.since(id)
    diffs = await asyncio.to_thread(since.diffs)
    if not diffs:
        raise UsageError(f"Nothing differs from {_since(since, id)}.")
    reports: list[Report] = []

    async def take_back(ids: Sequence[str]) -> "Report":
        report = await timeline.revert(since, ids)
        reports.append(report)
        return report

    message = await desk.show(ReviewScreen(_since(since, id), diffs, take_back, desk.host.preferences.keys))
    if reports and reports[-1].applied:
        _tell(desk, "Taken back", Rewound(reports[-1], ()), f"Before this: /checkpoints {reports[-1].saved}")
    if message:
        desk.submit(Job("prompt", message))


def _since(since: "Since", id: str) -> str:
    return f"since {since.label} ({since.id})" if id else "since the session began"


async def fork(desk: "Desk", _: str) -> None:
    """Go on in a new session that begins with this one's history."""
    session = desk.session
    if session.running:
        raise UsageError("A turn is running.", hint="Fork the session when it has ended.")
    if not session.kept:
        raise UsageError("This session is not kept, so it cannot be forked.", hint="Start without --no-session.")
    first = session.id
    made = await asyncio.to_thread(desk.host.store().fork, session.meta)
    await desk.open(Which(id=made.id))
    desk.say(f"The first session stays as it was: /resume {first}")

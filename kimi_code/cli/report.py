"""What undo, redo and restore print: what was or would be done, by path; what stands in the way; what is lost."""

import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Literal, assert_never

from kimi_code.cli.output import clean, say, say_json
from kimi_code.errors import ExitCode

if TYPE_CHECKING:
    from kimi_code.repo.checkpoint import Action, Report, Resolve
    from kimi_code.session.rewind import RewoundTurn

What = Literal["undo", "redo", "restore"]
_DONE: dict[What, str] = {"undo": "Undone", "redo": "Redone", "restore": "Restored"}
_PLANNED: dict[What, str] = {"undo": "Would undo", "redo": "Would redo", "restore": "Would restore"}


def tell(
    what: What,
    report: "Report",
    turns: "tuple[RewoundTurn, ...]" = (),
    *,
    planned: bool,
    as_json: bool,
    resolve: "Resolve" = "refuse",
) -> int:
    """Print it; returns the exit code: 1 when it was refused, though files were to be changed as `resolve` says."""
    code = ExitCode.FAILED if report.conflicts else ExitCode.DONE
    if as_json:
        status = "refused" if report.conflicts else "planned" if planned else "done"
        say_json(
            {
                "type": what,
                "status": status,
                "exit_code": int(code),
                "turns": [asdict(turn) for turn in turns],
                "files": [{"path": action.path, "action": action.verb} for action in report.actions],
                "conflicts": [asdict(conflict) for conflict in report.conflicts],
                "notes": list(report.notes),
                "saved": report.saved,
            }
        )
    elif report.conflicts:
        _tell_refused(what, report, resolve)
    else:
        _tell_done(what, report, turns, planned=planned)
    return int(code)


def _tell_refused(what: What, report: "Report", resolve: "Resolve") -> None:
    why = "would lose what is in these files now" if resolve == "refuse" else "cannot be done"
    say(f"kimi-code: Nothing was changed: {what} {why}.", to=sys.stderr)
    for conflict in report.conflicts:
        say(f"  {clean(conflict.path)}: {clean(conflict.reason)}", to=sys.stderr)
    others = ", --paths to take others only" if what == "undo" else ""
    match resolve:
        case "refuse":
            say(f"--merge to keep both where lines allow it, --force to overwrite them{others}.", to=sys.stderr)
        case "merge":
            say(f"--force to overwrite them{others}.", to=sys.stderr)
        case "force":
            say(f"Clear them away by hand first{others}.", to=sys.stderr)
        case _:
            assert_never(resolve)


def _tell_done(what: What, report: "Report", turns: "tuple[RewoundTurn, ...]", *, planned: bool) -> None:
    verb = (_PLANNED if planned else _DONE)[what]
    for turn in turns:
        say(f"{verb}: turn {turn.turn} of session {turn.session}{_prompt(turn.prompt)}{_parts(turn)}")
    if not turns:
        say(f"{verb}:")
    for line in _lines(report):
        say(line)
    if not planned and report.saved and what != "undo":
        say(f"Before this: kimi-code checkpoints restore {report.saved}", to=sys.stderr)
    elif not planned and what == "undo":
        say("To bring it back: kimi-code redo", to=sys.stderr)


def _prompt(prompt: str) -> str:
    return f": {clean(prompt)}" if prompt else ""


def _parts(turn: "RewoundTurn") -> str:
    match turn.conversation:
        case "rewound":
            return "" if turn.files else " (the conversation only)"
        case "kept":
            return " (files only)"
        case "gone":
            return " (files only; its conversation is not kept any more)"
        case _:
            assert_never(turn.conversation)


def _lines(report: "Report") -> Iterator[str]:
    if not report.actions:
        yield "  no file differs"
    for action in report.actions:
        yield f"  {_mark(action)} {clean(action.path)}"
    for note in report.notes:
        yield f"  ! {clean(note)}"


def _mark(action: "Action") -> str:
    match action.verb:
        case "create":
            return "+"
        case "delete":
            return "-"
        case "overwrite":
            return "~"
        case "merge":
            return "~ (merged)"
        case "chmod":
            return "~ (mode)"
        case _:
            assert_never(action.verb)

"""What the orchestrator is told of a swarm: one JSON object of bounded size, whatever the sub-agents wrote. Pure."""

import json
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate, repeat
from typing import Any

from kimi_code.counting import counted
from kimi_code.events import FileChange, SwarmMetrics, TaskState
from kimi_code.swarm.plan import Task
from kimi_code.swarm.states import GOOD, Check, Progress, Result, Swarm

LIMIT = 24_000  # characters of the whole
_SAID_MOST = 1_500  # characters of one report
_SHORT = 60
_LINE = 160
_FILES = 6
_FEW = 3
_WARNINGS = 8
_CHANGE_MOST = 2_000


def digest(
    swarm: Swarm,
    warnings: Sequence[str] = (),
    change: str = "",
    metrics: SwarmMetrics | None = None,
    *,
    limit: int = LIMIT,
) -> str:
    """The state of every task with its evidence, in at most `limit` characters (at least 200 for each task).

    `change` says what became of the merged change. What sub-agents wrote stands only in strings under `said`,
    `questions` and `refused`; `<` and `>` are escaped, so that it ends no element of a text it is put in either.
    """
    for files in (_FILES, 1, 0):
        tasks = [_task(task, swarm.tasks[task.id], files) for task in swarm.plan.tasks]
        whole = _whole(swarm, tasks, warnings, change, metrics)
        room = limit - len(_json(whole))
        if room >= 0:
            break
    else:
        # A hundred tasks in nothing but their states: what is left out is to be had by SwarmRead.
        tasks = [{"id": task.id, "status": swarm.tasks[task.id].state.value} for task in swarm.plan.tasks]
        whole = _whole(swarm, tasks, (), clip(change, _LINE), None)
        room = limit - len(_json(whole))
    _share(swarm, tasks, room)
    return _json(whole)


def in_short(text: str) -> str:
    """How many tasks ended how, of a digest; of other words that the swarm runs on."""
    try:
        counts: dict[str, int] = json.loads(text)["counts"]
    except (ValueError, TypeError, KeyError):
        return "in the background"
    return ", ".join(f"{count} {state}" for state, count in counts.items())


def _whole(
    swarm: Swarm,
    tasks: list[dict[str, Any]],
    warnings: Sequence[str],
    change: str,
    metrics: SwarmMetrics | None,
) -> dict[str, Any]:
    states = [progress.state for progress in swarm.tasks.values()]
    counts = {state.value: states.count(state) for state in TaskState if state in states}
    whole: dict[str, Any] = {"swarm": swarm.swarm_id, "counts": counts}
    if warnings:
        whole["warnings"] = [clip(warning, _LINE) for warning in warnings[:_WARNINGS]]
    if swarm.verified is not None:
        whole["verify"] = {**_check(swarm.verified.check), **_broken(swarm.verified.culprit, swarm.verified.broken)}
    if change:
        whole["change"] = clip(change, _CHANGE_MOST)
    if metrics is not None:
        whole["usage"] = _usage(metrics.usage.total, metrics.tool_calls, metrics.cost_usd)
        whole["verdicts"] = [clip(verdict, 2 * _LINE) for verdict in metrics.verdicts]
    whole["tasks"] = tasks
    return whole


def _task(task: Task, progress: Progress, files: int) -> dict[str, Any]:
    """One task without its report: what we know of it, by our own evidence."""
    told: dict[str, Any] = {"id": task.id, "status": progress.state.value}
    if progress.attempt > 1:
        told["attempt"] = progress.attempt
    if progress.reason and progress.state not in GOOD:
        told["reason"] = clip(progress.reason, _LINE if files else _SHORT)
    if progress.result is not None:
        told.update(_evidence(progress.result, files))
    if files and progress.started:
        effort = progress.effort
        told["usage"] = _usage(effort.usage.total, effort.tool_calls, effort.cost)
    return told


def _evidence(result: Result, files: int) -> dict[str, Any]:
    told: dict[str, Any] = {}
    if result.changes:
        told["changed"] = _changes(result.changes, files)
    if result.outside:
        told["outside_scope"] = _changes(result.outside, files)
    if result.check is not None:
        told["check"] = _check(result.check) if files else {"exit_code": result.check.exit_code}
    if files and result.refused:
        told["refused"] = _few(result.refused)
    if files and result.questions:
        told["questions"] = _few(result.questions)
    return told


def _changes(changes: Sequence[FileChange], files: int) -> str | dict[str, Any]:
    added, removed = sum(change.added for change in changes), sum(change.removed for change in changes)
    stat = f"{counted(len(changes), 'file')} +{added} -{removed}"
    return {"stat": stat, "files": [clip(change.path, _SHORT) for change in changes[:files]]} if files else stat


def _check(check: Check) -> dict[str, Any]:
    told: dict[str, Any] = {"command": clip(check.command, _SHORT), "exit_code": check.exit_code}
    if check.exit_code != 0 and check.output.strip():
        told["output"] = clip(check.output[-2 * _LINE :], _LINE, end=True)
    return told


def _broken(culprit: str, broken: Sequence[str]) -> dict[str, Any]:
    return {
        **({"broken_by": culprit} if culprit else {}),
        **({"broken": [clip(test, _SHORT) for test in broken[:_FILES]]} if broken else {}),
    }


def _usage(tokens: int, calls: int, cost: float | None) -> str:
    return f"{tokens} tokens, {counted(calls, 'call')}" + ("" if cost is None else f", ${cost:.4f}")


def _few(texts: Sequence[str]) -> list[str]:
    shown = [clip(text, _SHORT) for text in texts[:_FEW]]
    return [*shown, f"and {len(texts) - _FEW} more"] if len(texts) > _FEW else shown


# --- The reports ----------------------------------------------------------------------------------------------------


def _share(swarm: Swarm, tasks: list[dict[str, Any]], room: int) -> None:
    """Give every report its share of `room`: short ones leave what they do not need to the longer ones."""
    reports = [(told, _words(swarm.tasks[told["id"]].result)) for told in tasks]
    wanting = [(told, text) for told, text in reports if text]
    frame = len(_json({"said": ""}))
    wanting.sort(key=lambda pair: _length(pair[1][:_SAID_MOST]))
    for place, (told, text) in enumerate(wanting):
        share = room // (len(wanting) - place) - frame
        if share < 20:
            return
        told["said"] = clip(text, min(share, _SAID_MOST))
        room -= frame + _length(told["said"])


def _words(result: Result | None) -> str:
    if result is None:
        return ""
    return result.said if result.output is None else json.dumps(result.output, ensure_ascii=False)


def clip(text: str, room: int, *, end: bool = False) -> str:
    """`text` without what steers a terminal or hides, cut so that it takes at most `room` characters as JSON.

    Of a text that is cut the beginning is kept, or its `end`.
    """
    plain = " ".join(_visible(text[-8 * room :] if end else text[: 8 * room]).split())
    if len(plain) <= room and len(text) <= 8 * room and _length(plain) <= room:
        return plain
    kept = reversed(plain[-room:]) if end else plain[:room]
    sizes = list(accumulate(map(_WIDTHS.get, kept, repeat(1)), initial=1))  # with the dots
    cut = max(bisect_right(sizes, room) - 1, 0)
    return "…" + plain[len(plain) - cut :] if end else plain[:cut] + "…"


# What a visible letter takes in JSON, where that is not 1.
_WIDTHS = {'"': 2, "\\": 2, "<": 6, ">": 6}


def _visible(text: str) -> str:
    """Spaces in place of control characters, lone surrogates, and what turns or hides text."""
    if text.isprintable():
        return text
    for letter in set(text):  # few, however long the text is
        if not letter.isprintable():
            text = text.replace(letter, " ")
    return text


def _length(text: str) -> int:
    return len(_json(text)) - 2


def _json(value: str | Mapping[str, Any]) -> str:
    plain = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return plain.replace("<", "\\u003c").replace(">", "\\u003e")

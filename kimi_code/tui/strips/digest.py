"""What came of a swarm, as the model is told it in JSON, as a list to read: tasks, changes, checks, what was said."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from kimi_code.tui.strips.line import BLANK, Line, Span, fit, indent, plain, width_of, wrap

_NAME_MOST = 24
_GOOD = ("merged", "done")
_LOST = ("failed", "blocked", "cancelled", "stopped")
_MARGIN = (Span("  "),)


def digest_lines(text: str, width: int) -> list[Line] | None:
    """The lines of a digest at `width` cells; None where the text is none."""
    told = _read(text)
    if told is None:
        return None
    tasks = [task for task in map(_strings, told["tasks"]) if task]
    name = min(max((width_of(plain(str(task.get("id", "")))) for task in tasks), default=0), _NAME_MOST)
    lines = list(_whole(told, width))
    for task in tasks:
        lines += [BLANK, *_task(task, name, width)] if task.get("said") else _task(task, name, width)
    return lines


def _read(text: str) -> dict[str, Any] | None:
    line = next((line for line in text.splitlines() if line.startswith('{"swarm":')), "")
    try:
        found: object = json.loads(line)
    except ValueError:
        return None
    told = _strings(found)
    return told if isinstance(told.get("tasks"), list) else None


def _strings(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _whole(told: Mapping[str, Any], width: int) -> Iterator[Line]:
    yield from _words(told.get("change"), "", width)
    yield from _check("verify", _strings(told.get("verify")), width)
    for kind, style in (("verdicts", "muted"), ("warnings", "warning")):
        for sentence in _list(told.get(kind)):
            yield from _words(sentence, style, width)
    yield from _words(told.get("usage"), "muted", width)


def _task(task: Mapping[str, Any], name: int, width: int) -> list[Line]:
    """`auth  merged  2 files +9 -3: a.py, b.py`, why not, its check, what it said."""
    id, status = (plain(str(task.get(key, ""))) for key in ("id", "status"))
    style = "done" if status in _GOOD else "error" if status in _LOST else "muted"
    id = fit(id, name)
    head = [Span(id, "strong"), Span(" " * max(name - width_of(id), 0)), Span(f"  {status}", style)]
    head += [Span(f" at attempt {task['attempt']}", "muted")] if isinstance(task.get("attempt"), int) else []
    if changed := _changed(task.get("changed")):
        head.append(Span(f"  {changed}", "muted"))
    room = max(width - 2, 1)
    body = [*_words(task.get("reason"), "error", room), *_check("check", _strings(task.get("check")), room)]
    if outside := _changed(task.get("outside_scope")):
        body += _words(f"outside its scope: {outside}", "warning", room)
    for label, key in (("refused", "refused"), ("asks", "questions")):
        for each in _list(task.get(key)):
            body += _words(f"{label}: {each}", "warning", room)
    body += _words(task.get("said"), "", room)
    return [*wrap(head, width), *indent(body, _MARGIN, _MARGIN)]


def _changed(value: object) -> str:
    if isinstance(value, str):
        return plain(value)
    told = _strings(value)
    files = ", ".join(_list(told.get("files")))
    return plain(f"{told['stat']}{f': {files}' if files else ''}") if isinstance(told.get("stat"), str) else ""


def _check(label: str, check: Mapping[str, Any], width: int) -> list[Line]:
    code = check.get("exit_code")
    if not isinstance(code, int) or not isinstance(check.get("command"), str):
        return []
    ended = Span(" passed", "done") if code == 0 else Span(f" failed with exit code {code}", "error")
    lines = wrap([Span(f"{label}: ", "muted"), Span(plain(check["command"]), "accent"), ended], width)
    broken = ", ".join(_list(check.get("broken")))
    lines += _words(f"broken by {check['broken_by']}" if "broken_by" in check else "", "error", width)
    return [*lines, *_words(broken, "error", width), *_words(check.get("output"), "output", width)]


def _list(value: object) -> Sequence[str]:
    return [str(each) for each in cast("list[object]", value)] if isinstance(value, list) else []


def _words(text: object, style: str, width: int) -> list[Line]:
    return wrap([Span(plain(text), style)], width) if isinstance(text, str) and text else []

"""The plan of a swarm, as it is asked for in YAML, as a list to read: tasks, needs, modes, scopes, checks, budgets."""

from collections.abc import Iterator, Mapping
from typing import Any, cast

from kimi_code.tui.strips.line import BLANK, Line, Span, indent, plain, width_of, wrap

_WARNING = "# Warning: "
# As docs/swarm.md has them; what is not named here is shown below by its own name.
_IN_HEAD = ("id", "task", "agent", "mode", "needs")
_NAME_MOST = 24


def outline(text: str, width: int) -> list[Line]:
    """The lines of a plan at `width` cells; the text as it is where it is none."""
    plan = _read(text)
    if plan is None:
        return wrap([Span(plain(text))], width)
    warnings = [line.removeprefix(_WARNING) for line in text.splitlines() if line.startswith(_WARNING)]
    tasks = [cast("dict[str, Any]", task) for task in plan["tasks"] if isinstance(task, dict)]
    name = min(max((width_of(str(task.get("id", ""))) for task in tasks), default=0), _NAME_MOST)
    lines = [*_facts({key: value for key, value in plan.items() if key not in ("goal", "tasks")}, width), BLANK]
    for task in tasks:
        lines += _task(task, name, width)
    if warnings:
        lines.append(BLANK)
    for warning in warnings:
        told = wrap([Span(plain(warning), "warning")], max(width - 2, 1))
        lines += indent(told, (Span("! ", "warning"),), (Span("  "),))
    return lines


def _read(text: str) -> dict[str, Any] | None:
    import yaml

    try:
        plan: object = yaml.safe_load(text)
    except yaml.YAMLError:
        return None
    found = cast("dict[str, Any]", plan) if isinstance(plan, dict) else {}
    return found if isinstance(found.get("tasks"), list) else None


def _task(task: Mapping[str, Any], name: int, width: int) -> list[Line]:
    """`auth  write  after fixtures`, what it is to do, and what holds for it."""
    id = plain(str(task.get("id", "")))
    mode = plain(str(task.get("mode", "write")))
    agent = plain(str(task.get("agent", "")))
    kind = mode if agent in ("", "coder", "explorer") else f"{mode} · {agent}"
    head = [Span(id, "strong"), Span(" " * max(name - width_of(id), 0)), Span(f"  {kind}", "muted")]
    if needs := _words(task.get("needs")):
        head.append(Span(f"  ← {needs}", "accent"))
    margin = (Span("  "),)
    body = wrap([Span(plain(str(task.get("task", "")).strip()))], max(width - 2, 1))
    facts = _facts({key: value for key, value in task.items() if key not in _IN_HEAD}, width - 2)
    return [*wrap(head, width), *indent([*body, *facts], margin, margin)]


def _facts(facts: Mapping[str, Any], width: int) -> list[Line]:
    lines: list[Line] = []
    for key, value in facts.items():
        spans = [Span(f"{plain(str(key)).replace('_', ' ')}: ", "muted"), Span(_words(value), "code")]
        lines += wrap(spans, max(width, 1))
    return lines


def _words(value: object) -> str:
    return plain(", ".join(_pieces(value)))


def _pieces(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (f"{key} {each}".replace("_", " ", 1) for key, each in cast("dict[str, object]", value).items())
    elif isinstance(value, list):
        yield from (str(each) for each in cast("list[object]", value))
    elif value not in (None, ""):
        yield str(value)

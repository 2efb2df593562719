"""May this call run? A pure decision on what the call would do, the rules and the mode."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Literal

from kimi_code.events import Effect
from kimi_code.permissions.paths import Boundary, Place, locate
from kimi_code.permissions.rules import Decision, Rule, covers_command, covers_path, covers_tool

Mode = Literal["ask", "edits", "auto", "plan", "yolo"]

_SHOWN = 120  # characters of a path in a reason
_RANK: dict[Decision, int] = {"allow": 0, "ask": 1, "deny": 2}


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision, why (for the model and the person), and the rule that made it, if one did.

    `unusable` says that there is nothing to decide on: the target is no path (a loop, a NUL, too long).
    """

    decision: Decision
    reason: str
    rule: Rule | None = None
    unusable: bool = False


@dataclass(frozen=True, slots=True)
class Policy:
    """What is needed to decide: the mode, the rules, and what is inside."""

    mode: Mode
    rules: tuple[Rule, ...]
    boundary: Boundary

    def decide(self, tool: str, effect: Effect, targets: Sequence[str]) -> Verdict:
        """The strictest verdict over all targets; a call without targets touches nothing and is allowed."""
        if effect is Effect.NONE:
            return self._ruled(tool, effect) or Verdict("allow", "changes nothing")
        verdicts = [self._decide_one(tool, effect, target) for target in targets]
        denied = self._ruled(tool, effect) if not targets else None
        return denied or max(
            verdicts, key=lambda verdict: _RANK[verdict.decision], default=Verdict("allow", "no target")
        )

    def describe(self, *, attended: bool) -> str:
        """What runs without asking, in words for the model: calls that would be denied anyway need not be tried."""
        if self.mode == "yolo":
            return "everything runs without asking."
        allowed = [
            r.pattern or "any" for r in self.rules if r.decision == "allow" and covers_tool(r, "Bash", Effect.EXECUTE)
        ]
        commands = "; ".join(allowed) if allowed else "none"
        files = {
            "plan": "reading files is free; no edits and no commands in this mode",
            "ask": f"reading files is free; commands without asking: {commands}",
        }.get(
            self.mode,
            f"reading and editing files inside is free; commands without asking, exactly as written: {commands}",
        )
        return f"{files}. {'The rest is asked for' if attended else 'Nobody can approve more during this run'}."

    def may_read(self, path: Path) -> bool:
        """Whether the file may be shown without asking."""
        return self.decide("Read", Effect.READ, (str(path),)).decision == "allow"

    def _ruled(self, tool: str, effect: Effect) -> Verdict | None:
        for rule in self.rules:
            if rule.decision == "deny" and rule.pattern is None and covers_tool(rule, tool, effect):
                return Verdict("deny", f"denied by the rule {rule}", rule)
        return None

    def _decide_one(self, tool: str, effect: Effect, target: str) -> Verdict:
        if effect is Effect.EXECUTE:
            matching = [r for r in self.rules if covers_tool(r, tool, effect) and covers_command(r, target)]
            return self._by_rule(matching) or self._command()
        try:
            place = locate(target, self.boundary)
        except (OSError, ValueError) as error:
            reason = (isinstance(error, OSError) and error.strerror) or str(error)
            shown = target if len(target) <= _SHOWN else f"{target[:_SHOWN]}…"
            return Verdict("deny", f"{shown!r} cannot be resolved: {reason}", unusable=True)
        root = self.boundary.roots[0]
        matching = [
            r
            for r in self.rules
            if covers_tool(r, tool, effect) and covers_path(r, place.real, root) and _reaches(r, place)
        ]
        return self._by_rule(matching) or (self._read(place) if effect is Effect.READ else self._edit(place))

    def _by_rule(self, matching: list[Rule]) -> Verdict | None:
        for rule in sorted(matching, key=lambda rule: _RANK[rule.decision], reverse=True):
            if rule.decision == "ask" and self.mode == "yolo":
                continue
            if rule.decision == "allow" and self.mode == "plan" and not rule.tool.startswith("Read"):
                continue
            words = {"deny": "denied by", "ask": "asked for by", "allow": "allowed by"}[rule.decision]
            return Verdict(rule.decision, f"{words} the rule {rule}", rule)
        return None

    def _read(self, place: Place) -> Verdict:
        if self.mode == "yolo":
            return Verdict("allow", "everything is allowed (yolo)")
        if place.sensitive:
            return Verdict("ask", f"reading a sensitive path: {place.sensitive}")
        if place.inside or place.readable:
            return Verdict("allow", "reads inside the workspace")
        return Verdict("ask", "reading outside the workspace")

    def _edit(self, place: Place) -> Verdict:
        if self.mode == "yolo":
            return Verdict("allow", "everything is allowed (yolo)")
        if self.mode == "plan":
            return Verdict("deny", "plan mode only reads")
        if place.sensitive:
            return Verdict("ask", f"writing to a sensitive path: {place.sensitive}")
        if not place.inside:
            return Verdict("ask", "writing outside the workspace")
        if self.mode == "ask":
            return Verdict("ask", "edits are asked for in this mode")
        return Verdict("allow", "edits inside the workspace")

    def _command(self) -> Verdict:
        match self.mode:
            case "yolo":
                return Verdict("allow", "everything is allowed (yolo)")
            case "plan":
                return Verdict("deny", "plan mode only reads")
            case _:
                return Verdict("ask", "no rule allows exactly this command")


def _reaches(rule: Rule, place: Place) -> bool:
    # A broad allow rule is not meant for secrets, nor a relative one for files outside: those must be named.
    if rule.decision != "allow":
        return True
    pattern = rule.pattern or ""
    if place.sensitive and pattern.rsplit("/", 1)[-1] in ("", "*", "**"):
        return False
    return place.inside or place.readable or pattern.startswith(("/", "~")) or PurePath(pattern).is_absolute()

"""May this path be read or written? Decided on the rules, the mode and where the path leads."""

from pathlib import PurePath

from kimi_code.events import Effect
from kimi_code.permissions.paths import Boundary, Place, locate
from kimi_code.permissions.rules import Rule, covers_path, covers_tool
from kimi_code.permissions.verdict import RANK, Mode, Verdict
from kimi_code.values import frozen

_SHOWN = 120  # characters of a path in a reason


@frozen
class FilePolicy:
    """What is needed to decide on paths."""

    mode: Mode
    rules: tuple[Rule, ...]
    boundary: Boundary

    def decide(self, tool: str, effect: Effect, path: str) -> Verdict:
        """The verdict on one path for a tool that reads or edits."""
        try:
            place = locate(path, self.boundary)
        except (OSError, ValueError, RuntimeError) as error:
            reason = (isinstance(error, OSError) and error.strerror) or str(error)
            shown = path if len(path) <= _SHOWN else f"{path[:_SHOWN]}…"
            return Verdict("deny", f"{shown!r} cannot be resolved: {reason}", unusable=True)
        root = self.boundary.roots[0]
        matching = [
            r
            for r in self.rules
            if covers_tool(r, tool, effect) and covers_path(r, place.real, root) and _reaches(r, place)
        ]
        return self._by_rule(matching) or (self._read(place) if effect is Effect.READ else self._edit(place))

    def _by_rule(self, matching: list[Rule]) -> Verdict | None:
        for rule in sorted(matching, key=lambda rule: RANK[rule.decision], reverse=True):
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
            return Verdict("ask", "edits are asked for in this mode", confinable=True)
        return Verdict("allow", "edits inside the workspace")


def _reaches(rule: Rule, place: Place) -> bool:
    # A broad allow rule is not meant for secrets, nor a relative one for files outside: those must be named.
    if rule.decision != "allow":
        return True
    pattern = rule.pattern or ""
    if place.sensitive and pattern.rsplit("/", 1)[-1] in ("", "*", "**"):
        return False
    return place.inside or place.readable or pattern.startswith(("/", "~")) or PurePath(pattern).is_absolute()

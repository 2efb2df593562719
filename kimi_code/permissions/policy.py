"""May this call run? A decision on what the call would do, the rules and the mode."""

from collections.abc import Sequence
from pathlib import Path

from kimi_code.events import Effect
from kimi_code.permissions.files import FilePolicy
from kimi_code.permissions.paths import Boundary
from kimi_code.permissions.rules import Rule, covers_tool
from kimi_code.permissions.verdict import Mode, Part, Verdict, strictest
from kimi_code.values import frozen

__all__ = ["Mode", "Part", "Policy", "Verdict"]


@frozen
class Policy:
    """What is needed to decide: the mode, the rules, and what is inside.

    `confined` says that commands can be confined here, `network` that they still reach the network then, and
    `enclosed` that none can be let out, as in an isolated copy.
    """

    mode: Mode
    rules: tuple[Rule, ...]
    boundary: Boundary
    confined: bool = False
    network: bool = False
    enclosed: bool = False

    def decide(self, tool: str, effect: Effect, targets: Sequence[str]) -> Verdict:
        """The strictest verdict over all targets; a call without targets touches nothing and is allowed."""
        ruled = self._ruled(tool, effect)
        if effect is Effect.NONE:
            return ruled or Verdict("allow", "changes nothing")
        if not targets:
            return ruled or Verdict("allow", "no target")
        return strictest([self._decide_one(tool, effect, target) for target in targets], Verdict("allow", "no target"))

    def suggest(self, effect: Effect, targets: Sequence[str]) -> tuple[str, ...]:
        """The rules that would allow exactly this call, as they would be shown; () when none can be that narrow."""
        if effect is not Effect.EXECUTE:
            family = "Read" if effect is Effect.READ else "Edit"
            return tuple(f"{family}({target})" for target in targets if not set(target) & set("*?()\n"))
        from kimi_code.permissions.lines import LinePolicy

        line_policy = LinePolicy(self._files, False, self.network)
        return tuple(dict.fromkeys(rule for target in targets for rule in line_policy.suggest(target)))

    def describe(self, *, attended: bool) -> str:
        """What runs without asking, in words for the model: calls that would be denied anyway need not be tried."""
        if self.mode == "yolo":
            return "everything runs without asking."
        allowed = [
            r.pattern or "any" for r in self.rules if r.decision == "allow" and covers_tool(r, "Bash", Effect.EXECUTE)
        ]
        free = "reading files and editing them inside" if self.mode in ("edits", "auto") else "reading files"
        words = f"{free} is free, and commands that only read (ls, cat, rg, git status, git diff, ...)"
        if self.mode == "plan":
            return f"{words}; no edits and no other commands in this mode."
        if allowed:
            words += f", and these, with * for any further words: {'; '.join(allowed)}"
        if self.mode == "auto" and self.confined:
            network = "" if self.network else " and without network"
            words += f"; other commands run confined to the workspace{network}"
        return f"{words}. {'The rest is asked for' if attended else 'Nobody can approve more during this run'}."

    def may_read(self, path: Path) -> bool:
        """Whether the file may be shown without asking."""
        return self.decide("Read", Effect.READ, (str(path),)).decision == "allow"

    @property
    def _files(self) -> FilePolicy:
        return FilePolicy(self.mode, self.rules, self.boundary)

    def _ruled(self, tool: str, effect: Effect) -> Verdict | None:
        for rule in self.rules:
            if rule.decision == "deny" and rule.pattern is None and covers_tool(rule, tool, effect):
                return Verdict("deny", f"denied by the rule {rule}", rule)
        return None

    def _decide_one(self, tool: str, effect: Effect, target: str) -> Verdict:
        if effect is not Effect.EXECUTE:
            return self._files.decide(tool, effect, target)
        # The parser is loaded with the first command, not with the program.
        from kimi_code.permissions.lines import LinePolicy

        return self._ruled(tool, effect) or LinePolicy(self._files, self.confined, self.network).decide(target)

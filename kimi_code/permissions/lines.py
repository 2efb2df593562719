"""May this command line run? Each simple command and redirection in it is decided alone; the strictest decides."""

import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import replace

from kimi_code.events import Effect
from kimi_code.permissions import commands, gitreads, shell
from kimi_code.permissions.commands import Harmless
from kimi_code.permissions.coverage import allows, forbids, named_words
from kimi_code.permissions.files import FilePolicy
from kimi_code.permissions.reach import Reach
from kimi_code.permissions.rules import Rule, covers_tool
from kimi_code.permissions.statements import Line, Redirect, Simple
from kimi_code.permissions.verdict import RANK, Part, Verdict
from kimi_code.permissions.whereabouts import Whereabouts
from kimi_code.permissions.wrappers import EVALUATORS, base_name, is_fed, unwrap
from kimi_code.values import frozen

_FREE_TARGETS = re.compile(r"/dev/(?:null|stdout|stderr|stdin|fd/[0-9]+)")
_DEEPEST = 8  # wrappers within wrappers


@frozen
class LinePolicy:
    """What is needed to decide on command lines. `confined`: commands can be; `network`: those have one."""

    files: FilePolicy
    confined: bool = False
    network: bool = False

    def decide(self, command: str) -> Verdict:
        """The verdict on a command line, with its parts."""
        line = shell.parse(command)
        parts = tuple(_Judge(self).judge(line, command))
        if not parts:
            return Verdict("allow", "runs nothing")
        worst = max(parts, key=lambda part: RANK[part.decision])
        confinable = worst.decision == "ask" and all(part.confinable for part in parts if part.decision == "ask")
        verdict = Verdict(worst.decision, worst.reason, worst.rule, confinable=confinable, parts=parts)
        if len(parts) > 1 and worst.decision != "allow":
            verdict = replace(verdict, reason=f"{_short(worst.text)}: {worst.reason}")
        if not self.confined or self.files.mode == "yolo":
            return verdict
        if confinable and self.files.mode == "auto":
            return replace(verdict, decision="allow", reason="runs confined", confined=True)
        if worst.decision == "allow" and all(part.rule is None for part in parts):
            # Readers lose nothing inside, and a repository's own tricks lose their effect.
            return replace(verdict, confined=True)
        return verdict

    def suggest(self, command: str) -> tuple[str, ...]:
        """The rules that would allow exactly what is asked for in this command; () if no rule can be that narrow."""
        rules: list[str] = []
        verdict = replace(self, confined=False).decide(command)
        for part in verdict.parts:
            if part.decision == "allow":
                continue
            rule = _exact_rule(part) if part.decision == "ask" and part.rule is None else None
            if rule is None:
                return ()
            rules.append(rule)
        return tuple(dict.fromkeys(rules))


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 60 else line[:59] + "…"


def _exact_rule(part: Part) -> str | None:
    line = shell.parse(part.text)
    if line.unknown or len(line.items) != 1 or not line.commands:
        return None
    command = line.commands[0]
    values = [word.exact for word in (*command.assignments, *command.words)]
    if not command.words or None in values or not command.words[0].plain or values[0] in EVALUATORS:
        return None
    prefix = [
        f"{name}={shlex.quote(value)}"
        for word in command.assignments
        for name, _, value in [(word.exact or "").partition("=")]
    ]
    return f"Bash({' '.join([*prefix, *(shlex.quote(word.exact or '') for word in command.words)])})"


class _Judge:
    """One decision. `where` is where the shell is by now."""

    def __init__(self, policy: LinePolicy) -> None:
        self.policy = policy
        self.files = policy.files
        self.mode = policy.files.mode
        rules = [rule for rule in self.files.rules if covers_tool(rule, "Bash", Effect.EXECUTE)]
        self.deny = [rule for rule in rules if rule.decision == "deny"]
        self.ask = [rule for rule in rules if rule.decision == "ask"]
        self.allow = [rule for rule in rules if rule.decision == "allow"]
        self.where = Whereabouts((self.files.boundary.roots[0],))

    @property
    def _reach(self) -> Reach:
        return Reach(self.files, self.where.folders)

    def judge(self, line: Line, command: str) -> Iterator[Part]:
        for item in line.items:
            yield from self._redirect(item) if isinstance(item, Redirect) else self._command(item, 0)
        if line.unknown:
            yield self._unknown(command, line.unknown, confinable=not line.broken)

    # --- Commands ----------------------------------------------------------------------------------------------

    def _command(self, command: Simple, depth: int, by: Rule | None = None) -> Iterator[Part]:
        """The part of a simple command, then those of what it runs. `by` is a rule that allowed its wrapper."""
        forbidden = self._forbidden(command, depth)
        wrapped = unwrap(command.words) if depth < _DEEPEST else None
        inner: list[Part] = []
        allowed = self._allowed(command) if by is None else by
        if wrapped is not None and wrapped.script is not None:
            line = shell.parse(wrapped.script)
            before = self.where
            for item in line.items:
                inner += self._redirect(item) if isinstance(item, Redirect) else self._command(item, depth + 1, allowed)
            self.where = before
            if line.unknown:
                inner.append(self._unknown(wrapped.script, line.unknown, confinable=not line.broken, by=allowed))
        elif wrapped is not None and wrapped.words:
            run = Simple(" ".join(word.text for word in wrapped.words), wrapped.words, nested=True)
            inner += self._command(run, depth + 1, allowed)
        if forbidden is not None:
            yield forbidden
        elif wrapped is not None and wrapped.transparent and wrapped.known and not command.assignments and not allowed:
            yield Part(command.text, "allow", "does what it runs, which is decided below")
        else:
            yield self._own(command, allowed)
        yield from inner
        self.where = self.where.after(command)

    def _forbidden(self, command: Simple, depth: int) -> Part | None:
        for rule in self.deny:
            if forbids(rule, command):
                return Part(command.text, "deny", f"denied by the rule {rule}", rule)
        unknowable = self._unknowable(command, depth)
        if unknowable and self.deny:
            return self._unknown(command.text, unknowable)
        if self.mode != "yolo":
            for rule in self.ask:
                if forbids(rule, command):
                    return Part(command.text, "ask", f"asked for by the rule {rule}", rule)
        return self._denied_files(command)

    def _unknowable(self, command: Simple, depth: int) -> str:
        if not command.words:
            return ""
        value = command.words[0].value
        if value is None or command.words[0].glob:
            return "which program runs cannot be known by reading it"
        if base_name(value) in EVALUATORS:
            return f"what {value} makes of its words cannot be known by reading them"
        if is_fed(command.words):
            return f"what {value} is fed cannot be known by reading it"
        wrapped = unwrap(command.words)
        if depth >= _DEEPEST or (wrapped is not None and not wrapped.known):
            return f"what {value} runs cannot be known by reading it"
        return ""

    def _denied_files(self, command: Simple) -> Part | None:
        """What deny rules for files say about files that the command names."""
        rules = [r for r in self.files.rules if r.decision == "deny" and r.pattern is not None and r.tool != "Bash"]
        if not rules or not command.words:
            return None
        writes = base_name(command.words[0].value or "") in commands.WRITERS
        for word in command.words[1:]:
            for path in self._reach.places(word):
                for tool, effect in (("Read", Effect.READ), *((("Write", Effect.EDIT),) if writes else ())):
                    verdict = self.files.decide(tool, effect, path)
                    if verdict.decision == "deny" and verdict.rule is not None and verdict.rule.pattern is not None:
                        return Part(command.text, "deny", verdict.reason, verdict.rule)
        return None

    def _allowed(self, command: Simple) -> Rule | None:
        if self.mode == "plan":
            return None
        for rule in self.allow:
            rest = command.words[named_words(rule) :]
            if allows(rule, command) and not any(self._reach.names_secret(word) for word in rest):
                return rule
        return None

    def _own(self, command: Simple, allowed: Rule | None) -> Part:
        """The decision on the command itself, when no rule forbids it."""
        text = command.text
        if self.mode == "yolo":
            return Part(text, "allow", "everything is allowed (yolo)")
        if allowed is not None:
            return Part(text, "allow", f"allowed by the rule {allowed}", allowed)
        refusal = self._harm(command)
        if refusal is None:
            return Part(text, "allow", "only reads")
        if self.mode == "plan" and refusal.confinable:
            return Part(text, "deny", f"plan mode only reads: {refusal.reason}")
        return replace(refusal, confinable=refusal.confinable and not self._breaks_confined(command))

    def _harm(self, command: Simple) -> Part | None:
        """Why the command is not harmless; None if it is."""
        if not command.words:
            names = [word.text.partition("=")[0].rstrip("+") for word in command.assignments]
            strange = next((name for name in names if not commands.is_shell_variable(name)), None)
            return None if strange is None else _asked(command, f"setting {strange} may change what commands do")
        if command.assignments:
            return _asked(command, "it runs with variables set")
        if command.words[0].value == "cd" and command.words[0].plain:
            return self._cd(command)
        found = commands.read_only(command.words)
        if isinstance(found, str):
            unknown = self._unknowable(command, 0)
            return _asked(command, unknown or found)
        return self._reads(command, found)

    def _cd(self, command: Simple) -> Part | None:
        if self.where.after_cd(command) is None:
            return _asked(command, "where it goes cannot be known by reading it")
        return None

    def _breaks_confined(self, command: Simple) -> str:
        values = [word.value for word in command.words]
        if values and (reason := commands.cannot_be_confined(values, network=self.policy.network)):
            return reason
        if any(self._reach.names_secret(word) for word in (*command.words, *command.assignments)):
            return "it names a sensitive path"
        name = base_name(values[0] or "") if values else ""
        writes = name in commands.WRITERS and name not in ("sed", "perl")
        if writes and any(self._reach.names_outside(word) for word in command.words[1:]):
            return "it writes outside the workspace"
        return ""

    # --- Files -------------------------------------------------------------------------------------------------

    def _reads(self, command: Simple, found: Harmless) -> Part | None:
        folders = self.where.folders
        if folders is None:
            return _asked(command, "the folder it runs in cannot be known by reading it")
        name = command.words[0].text
        if name == "git" and not all(gitreads.runs_nothing(folder.resolve()) for folder in folders):
            return _asked(command, "this repository's own configuration could make git run something")
        if any(commands.needs_plain_toolchain(name, folder) for folder in folders):
            return _asked(command, "the folder chooses the toolchain that would run")
        root = self.files.boundary.roots[0]
        paths = [] if commands.is_free(name) else [str(folder) for folder in folders if folder != root]
        for word in found.reads:
            named = self._reach.named(word)
            if named is None:
                return _asked(command, f"{word.text} may stand for options, hidden files or very many files")
            paths += named
        for path in paths:
            verdict = self.files.decide("Read", Effect.READ, path)
            if verdict.decision != "allow":
                # Confined, a file outside could still be read.
                return Part(
                    command.text,
                    verdict.decision,
                    f"{_short(path.removeprefix(f'{root}{os.sep}'))}: {verdict.reason}",
                    verdict.rule,
                )
        if found.sweeps and (secret := self._reach.sweep(paths or [str(folder) for folder in folders], found.hidden)):
            return _asked(command, secret)
        return None

    def _redirect(self, redirect: Redirect) -> Iterator[Part]:
        value = redirect.target.exact
        if value is not None and _FREE_TARGETS.fullmatch(value):
            return
        tool, effect = ("Write", Effect.EDIT) if redirect.writes else ("Read", Effect.READ)
        if value is None or self.where.folders is None:
            families = {rule.tool for rule in self.files.rules if rule.decision == "deny"}
            if self.mode == "yolo" and not families:
                yield Part(redirect.text, "allow", "everything is allowed (yolo)")
            else:
                refused = bool(self.deny or families & {"Edit", "Write", "Read", "*"}) or self.mode == "plan"
                reason = "which file this is cannot be known by reading it"
                yield Part(redirect.text, "deny" if refused else "ask", reason, confinable=redirect.writes)
            return
        verdicts = [self.files.decide(tool, effect, path) for path in self._reach.absolute(value)]
        worst = max(verdicts, key=lambda verdict: RANK[verdict.decision])
        yield Part(redirect.text, worst.decision, worst.reason, worst.rule, worst.confinable)

    def _unknown(self, text: str, reason: str, *, confinable: bool = True, by: Rule | None = None) -> Part:
        if self.deny:
            return Part(text, "deny", f"{reason}, and a rule denies commands")
        if self.mode == "yolo":
            return Part(text, "allow", "everything is allowed (yolo)")
        everything = by or next((rule for rule in self.allow if rule.pattern is None), None)
        if self.mode == "plan":
            return Part(text, "deny", f"plan mode only reads: {reason}")
        if everything is not None and not self.ask:
            return Part(text, "allow", f"allowed by the rule {everything}", everything)
        return Part(text, "ask", reason, confinable=confinable and not self.ask)


def _asked(command: Simple, reason: str) -> Part:
    return Part(command.text, "ask", reason, confinable=True)

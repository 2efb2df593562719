"""One tool call: prepare (may end at once: unknown, invalid, denied), execute, finalise. All end in a CallOutcome."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from kimi_code.agent.arguments import NAME_LENGTH, parse_arguments, tell_misfit, tell_unknown
from kimi_code.errors import KimiError, ToolError
from kimi_code.events import (
    Allow,
    AllowEdited,
    AllowHunks,
    Answer,
    Approval,
    Block,
    CallStatus,
    CommandPart,
    Deny,
    Effect,
    Event,
    Notice,
    PlanUpdated,
    Reply,
    Request,
    TodoItem,
    ToolEnded,
    ToolProgressed,
    ToolStarted,
)
from kimi_code.messages import Image, Message, ToolCall
from kimi_code.permissions.policy import Policy
from kimi_code.permissions.rules import parse
from kimi_code.repo.workspace import Workspace
from kimi_code.tools.settle import fit
from kimi_code.tools.tool import FindsTargets, KnowsWhenDone, Params, Tool, ToolContext, ToolResult, blind
from kimi_code.tools.toolset import Toolset
from kimi_code.values import frozen

T = TypeVar("T")

_TITLE_LENGTH = 200


@dataclass(slots=True)
class CallScope:
    """What calls are run with; one per session. `policy` grows by what is remembered, `keep` remembers it for good.

    `each_edit` asks for every edit that no rule allows, also where the mode would let it pass.
    `sees` says whether the model can be shown images. `before_asking` is the running turn's.
    """

    tools: Toolset
    policy: Policy
    workspace: Workspace
    spill: Path
    publish: Callable[[Event], object]
    ask: Callable[[Request], Awaitable[Reply]]
    scrub: Callable[[str], str]
    keep: Callable[[Sequence[str]], object] = lambda _: None
    each_edit: bool = False
    sees: Callable[[], Awaitable[bool]] = blind
    before_asking: Callable[[str], Awaitable[None]] | None = None

    async def put(self, request: Request) -> Reply:
        """Ask the person, with a look at the files before: what they change until they answer is their own."""
        if self.before_asking is not None:
            what = request.tool if isinstance(request, Approval) else "a question"
            await self.before_asking(f"before you were asked about {what}")
        return await self.ask(request)


@frozen
class CallOutcome:
    """How a call ended: `text` is for the model, the rest for the person."""

    call: ToolCall
    title: str
    status: CallStatus
    text: str
    summary: str = ""
    blocks: tuple[Block, ...] = ()
    duration_s: float = 0.0
    images: tuple[Image, ...] = ()

    @property
    def message(self) -> Message:
        return Message("tool", self.text, call_id=self.call.id)


@frozen
class Prepared:
    """A call that is known, valid, and may be decided on."""

    call: ToolCall
    tool: Tool
    params: Params
    title: str

    @property
    def effect(self) -> Effect:
        return self.tool.effect


class _Front:
    """A call's way out to the session."""

    def __init__(self, scope: CallScope, call_id: str) -> None:
        self._scope = scope
        self._call_id = call_id

    def progress(self, text: str) -> None:
        self._scope.publish(ToolProgressed(self._call_id, self._scope.scrub(text)))

    async def ask(self, request: Request) -> Reply:
        return await self._scope.put(request)

    def plan(self, items: tuple[TodoItem, ...]) -> None:
        self._scope.publish(PlanUpdated(items))


def prepare(call: ToolCall, scope: CallScope) -> Prepared | CallOutcome:
    """Find the tool and read the arguments; an outcome means that the call ended here."""
    tool = scope.tools.get(call.name)
    if tool is None:
        return _refused(call, tell_unknown(call.name, list(scope.tools)))
    try:
        arguments = parse_arguments(call.arguments)
    except ValueError as error:
        return _refused(call, f"The arguments of {tool.name} are not usable: {error}. Send the whole call again.")
    try:
        params = tool.params.model_validate(arguments)
    except ValueError as error:
        return _refused(call, tell_misfit(call.name, tool.params, error))
    # Models name files by their whole path; people know where they are.
    title = tool.title(params).replace(f"{scope.workspace.root}{os.sep}", "")
    return Prepared(call, tool, params, _one_line(scope.scrub(title)))


def _refused(call: ToolCall, text: str) -> CallOutcome:
    return CallOutcome(call, _one_line(call.name), "invalid", text, text.splitlines()[0][:_TITLE_LENGTH])


async def _nothing() -> None:
    pass


async def run_call(
    prepared: Prepared, scope: CallScope, before: Callable[[], Awaitable[object]] = _nothing
) -> CallOutcome:
    """Decide, run and close a prepared call; publishes ToolStarted and ToolEnded. Never raises but on cancellation.

    `before` is called when it is decided that the call runs: what the user does while they are asked is their own.
    """
    targets = await _targets(prepared, scope)
    if isinstance(targets, CallOutcome):
        return finish(targets, scope)
    decided = await _decide(prepared, targets, scope)
    if isinstance(decided, CallOutcome):
        return finish(decided, scope)
    if decided.instead is not None:
        prepared = decided.instead
        targets = prepared.tool.targets(prepared.params)
    ctx = replace(
        _context(prepared, scope), confined=decided.confined, approved=decided.approved, targets=tuple(targets)
    )
    call = prepared.call
    await before()
    scope.publish(
        ToolStarted(
            call.id, prepared.tool.name, prepared.title, prepared.effect, prepared.params.model_dump(exclude_unset=True)
        )
    )
    started = time.monotonic()
    try:
        outcome = _finalise(prepared, await prepared.tool.run(prepared.params, ctx))
    except ToolError as error:
        outcome = _failed(prepared, error)
    except asyncio.CancelledError:
        interrupted = CallOutcome(call, prepared.title, "interrupted", INTERRUPTED, "interrupted")
        finish(replace(interrupted, duration_s=time.monotonic() - started), scope)
        raise
    except Exception as error:
        outcome = _broken(prepared, error)
    text = outcome.text if decided.instead is None else f"{_told(prepared)}\n{outcome.text}"
    return finish(replace(outcome, text=text, duration_s=time.monotonic() - started), scope)


INTERRUPTED = "Interrupted by the user before it ended; it may have taken effect in part."


def _failed(prepared: Prepared, error: ToolError) -> CallOutcome:
    """The end of a call by something that the model can mend."""
    summary = _first_line(error.message, prepared.title)
    return CallOutcome(prepared.call, prepared.title, "failed", str(error), summary)


def _broken(prepared: Prepared, error: Exception) -> CallOutcome:
    """The end of a call by something that is no ToolError."""
    name = prepared.tool.name
    if isinstance(error, OSError):
        text = f"{name} failed: {error.strerror or error}{f': {error.filename}' if error.filename else ''}."
        return CallOutcome(prepared.call, prepared.title, "failed", text, text)
    # A bug of ours: the turn goes on, the model is told not to insist.
    text = f"{name} failed by an internal error ({type(error).__name__}: {error}). Do it another way."
    return CallOutcome(prepared.call, prepared.title, "failed", text, f"internal error: {type(error).__name__}")


def _finalise(prepared: Prepared, result: ToolResult) -> CallOutcome:
    status = "done" if result.ok else "failed"
    outcome = CallOutcome(prepared.call, prepared.title, status, result.text, result.summary, result.blocks)
    return replace(outcome, images=result.images)


def finish(outcome: CallOutcome, scope: CallScope) -> CallOutcome:
    """Scrub and publish the end of a call, whether or not it ever began."""
    outcome = replace(outcome, text=scope.scrub(outcome.text) or "(no output)")
    scope.publish(
        ToolEnded(
            outcome.call.id,
            outcome.call.name[:NAME_LENGTH],
            outcome.title,
            outcome.status,
            scope.scrub(outcome.summary),
            outcome.blocks,
            round(outcome.duration_s, 3),
        )
    )
    return outcome


def _context(prepared: Prepared, scope: CallScope) -> ToolContext:
    call_id = prepared.call.id
    front = _Front(scope, call_id)
    return ToolContext(scope.workspace, scope.spill, front, call_id, scope.policy.may_read, sees=scope.sees)


@frozen
class _Go:
    """The call may run: confined, and with as much of its changes as was approved (None: all).

    `instead` is the call with the user's own command in the place of the model's.
    """

    confined: bool = False
    approved: AllowHunks | AllowEdited | None = None
    instead: Prepared | None = None


_ENCLOSED = (
    "In this isolated copy every command runs confined, and no permission changes that: it was not run. Send it "
    "without unconfined, or go on without it and tell the user what to run themselves."
)


async def _targets(prepared: Prepared, scope: CallScope) -> Sequence[str] | CallOutcome:
    """What the call is decided on, or how it ended because it cannot be done."""
    tool = prepared.tool
    if not isinstance(tool, FindsTargets):
        return tool.targets(prepared.params)
    return await _ahead(prepared, tool.find_targets(prepared.params, _context(prepared, scope)))


async def _ahead(prepared: Prepared, look: Awaitable[Sequence[T]]) -> Sequence[T] | CallOutcome:
    """What a look at the files gave before anything is decided, or how the call ended: it would fail when run."""
    try:
        return await look
    except ToolError as error:
        return _failed(prepared, error)
    except Exception as error:
        return _broken(prepared, error)


async def _already(prepared: Prepared, look: Awaitable[ToolResult | None]) -> CallOutcome | None:
    """How the call ended because there is nothing to do, or cannot be done."""
    try:
        result = await look
    except ToolError as error:
        return _failed(prepared, error)
    except Exception as error:
        return _broken(prepared, error)
    return None if result is None else _finalise(prepared, result)


async def _decide(prepared: Prepared, targets: Sequence[str], scope: CallScope) -> _Go | CallOutcome:
    """That the call may run, or how it ended."""
    tool, call = prepared.tool, prepared.call
    if prepared.params.wants_freedom() and scope.policy.enclosed:
        return CallOutcome(call, prepared.title, "failed", _ENCLOSED, "nothing runs unconfined in the isolated copy")
    policy = replace(scope.policy, confined=False) if prepared.params.wants_freedom() else scope.policy
    verdict = policy.decide(tool.name, tool.effect, targets)
    if verdict.decision != "deny" and not verdict.unusable and isinstance(tool, KnowsWhenDone):
        done = await _already(prepared, tool.done_already(prepared.params, _context(prepared, scope)))
        if done is not None:
            return done
    if verdict.decision == "allow" and scope.each_edit and tool.effect is Effect.EDIT and verdict.rule is None:
        verdict = replace(verdict, decision="ask", reason="every edit is reviewed")
    if verdict.decision == "allow":
        return _Go(verdict.confined)
    if verdict.unusable:
        # Nobody forbade anything: a slip of the model's, as a file that does not exist.
        return CallOutcome(call, prepared.title, "failed", f"{verdict.reason}. Use another path.", verdict.reason)
    if verdict.decision == "deny":
        return _denied(prepared, verdict.reason)
    # Nobody is asked for what cannot be done.
    blocks = await _ahead(prepared, tool.preview(prepared.params, _context(prepared, scope)))
    if isinstance(blocks, CallOutcome):
        return blocks
    rules = policy.suggest(tool.effect, targets)
    parts = tuple(CommandPart(scope.scrub(part.text), part.decision, part.reason) for part in verdict.parts)
    approval = Approval(call.id, tool.name, prepared.title, verdict.reason, tuple(blocks), rules, parts)
    match await scope.put(approval):
        case Allow(remember=remember):
            if remember:
                _remember(scope, rules, for_good=remember == "always")
            return _Go()
        case AllowEdited(text=text) if (params := prepared.params.edited(text.strip())) is not None:
            return _instead(prepared, params, policy)
        case Deny(words=words, by="program"):
            return _denied(prepared, f"{verdict.reason}; {words}")
        case Deny(words=words) | Answer(text=words) | AllowHunks(ids=(), words=words):
            return _declined(prepared, words)
        case AllowHunks() | AllowEdited() as reply:
            approved = fit(approval, reply)
            if isinstance(approved, str):
                return _denied(prepared, approved)
            return _Go(approved=approved)


def _instead(prepared: Prepared, params: Params, policy: Policy) -> _Go | CallOutcome:
    """The user's own command may run, unless a rule of theirs forbids it."""
    edited = replace(prepared, params=params, title=_one_line(prepared.tool.title(params)))
    verdict = policy.decide(prepared.tool.name, prepared.effect, prepared.tool.targets(params))
    if verdict.decision == "deny":
        return _denied(edited, f"the user put another command in its place, and that is not allowed: {verdict.reason}")
    return _Go(instead=edited)


def _told(prepared: Prepared) -> str:
    """What the model hears of a command that the user put in the place of its own."""
    ran = "\n".join(prepared.tool.targets(prepared.params))
    return f"The user changed the command before it ran. This ran in its place, by their decision:\n{ran}\n---"


def _remember(scope: CallScope, rules: Sequence[str], *, for_good: bool) -> None:
    # Only what was shown with the request; where nothing is narrow enough, the approval holds for this once.
    scope.policy = replace(scope.policy, rules=(*scope.policy.rules, *(parse(rule, "allow") for rule in rules)))
    if for_good and rules:
        try:
            scope.keep(rules)
        except KimiError as error:
            scope.publish(Notice("warning", f"Remembered for this session only: {error}"))


def _denied(prepared: Prepared, reason: str) -> CallOutcome:
    text = f"Denied: {reason}. It was not done. Do not try to reach the same by another way; go on without it."
    return CallOutcome(prepared.call, prepared.title, "denied", text, reason)


def _declined(prepared: Prepared, words: str) -> CallOutcome:
    """The user said no. Their words, if there are any, are what to do now: nothing of ours may contradict them."""
    then = f": {words}\nIt was not done. Do as they say." if words else ". It was not done. Go on without it."
    return CallOutcome(prepared.call, prepared.title, "denied", f"The user said no{then}", words or "the user said no")


def _first_line(text: str, title: str) -> str:
    # What failed stands before it already.
    return text.splitlines()[0].removeprefix(f"{title}: ").rstrip(":") if text else "failed"


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _TITLE_LENGTH else line[: _TITLE_LENGTH - 1] + "…"

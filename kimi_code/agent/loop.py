"""A turn: ask, act, repeat, until the model asks for no more tools. Knows no screen, no session, no disk."""

import asyncio
import traceback
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from kimi_code.agent.asking import Asker
from kimi_code.agent.budget import Budget
from kimi_code.agent.call import INTERRUPTED, CallOutcome, Prepared, finish, prepare, run_call
from kimi_code.agent.changes import ChangeWatch
from kimi_code.agent.checks import CheckFailed, Checks, schema_request
from kimi_code.agent.environment import Agent
from kimi_code.agent.stages import Closing, Stage
from kimi_code.errors import (
    AuthError,
    BudgetExceeded,
    ContentFiltered,
    ContextFull,
    KimiError,
    ModelError,
    QuotaExceeded,
)
from kimi_code.events import (
    ContextCompacted,
    Diff,
    Effect,
    MessageCompleted,
    Outcome,
    StepEnded,
    StepStarted,
    TurnEnded,
    TurnStarted,
)
from kimi_code.llm.model import Completion
from kimi_code.messages import Image, Message, ToolCall, Usage

_NUDGE_AFTER = 3
_GIVE_UP_AFTER = 5
_EMPTY_ANSWERS = 3


@dataclass(slots=True)
class Turn:
    """One turn's state. `steers` are the user's words that came in meanwhile, `images` go with the prompt."""

    agent: Agent
    number: int
    prompt: str
    checks: Checks = field(default_factory=Checks)
    steers: deque[str] = field(default_factory=deque[str])
    images: tuple[Image, ...] = ()
    text: str = ""
    _seen: list[Image] = field(default_factory=list[Image])  # by the calls of this step

    async def run(self) -> TurnEnded:
        """The whole turn; ends in TurnEnded whatever happens, cancellation included."""
        agent = self.agent
        budget = agent.new_budget()
        asker = Asker(agent, budget)
        changes = ChangeWatch(agent, self.number, self.prompt)
        agent.budget = budget
        agent.before_change = lambda: self._before_change(changes, max(budget.steps, 1), "before a swarm's change")
        agent.scope.before_asking = None if self._isolated else changes.before_asking
        before = tuple(agent.context.messages)
        agent.publish(TurnStarted(self.number, self.prompt))
        outcome, error = Outcome.DONE, ""
        clock = asyncio.timeout(agent.limits.seconds)
        try:
            async with clock:
                for stage in agent.stages:
                    await stage.begin()
                await self._steps(asker, budget, changes)
        except asyncio.CancelledError:
            outcome, error = Outcome.INTERRUPTED, "interrupted"
        except TimeoutError as failure:
            outcome, error = (
                _timed_out(asker, agent.limits.seconds) if clock.expired() else (Outcome.FAILED, str(failure))
            )
        except CheckFailed as failure:
            outcome, error = failure.outcome, str(failure)
        except ContentFiltered as filtered:
            outcome, error = Outcome.FAILED, str(filtered)
            self._forget(before)
        except KimiError as failure:
            outcome, error = _outcome_of(failure), str(failure)
            if isinstance(failure, BudgetExceeded) and failure.budget == "context" and not budget.usage.total:
                self._forget(before)
        except OSError as failure:
            outcome, error = Outcome.FAILED, f"{failure.strerror or failure}: {failure.filename or 'input/output'}"
        except Exception as bug:
            outcome, error = Outcome.FAILED, _report(agent, bug)
        self._settle_open_calls()
        if agent.stages:
            closing = Closing(self.number, self.prompt, self.text, outcome, error, asker, changes)
            for stage in agent.stages:
                await self._close_stage(stage, closing)
            outcome, error = closing.outcome, closing.error
        ended = TurnEnded(
            self.number,
            outcome,
            agent.scope.scrub(self.text),
            agent.scope.scrub(error),
            self.checks.output if outcome is Outcome.DONE else None,
            budget.steps,
            budget.tool_calls,
            budget.total,
            budget.cost,
            await changes.collect(),
        )
        agent.publish(ended)
        return ended

    async def _close_stage(self, stage: Stage, closing: Closing) -> None:
        """Let a stage come to its end; where it fails, so does a turn that had succeeded."""
        try:
            await stage.end(closing)
            return
        except asyncio.CancelledError:
            outcome, error = Outcome.INTERRUPTED, "interrupted"
        except KimiError as failure:
            outcome, error = Outcome.FAILED, str(failure)
        except OSError as failure:
            outcome, error = Outcome.FAILED, f"{failure.strerror or failure}: {failure.filename or 'input/output'}"
        except Exception as bug:
            outcome, error = Outcome.FAILED, _report(self.agent, bug)
        if closing.outcome is Outcome.DONE:
            closing.outcome, closing.error = outcome, error
        else:
            closing.error = "\n".join(dict.fromkeys(part for part in (closing.error, error) if part))

    async def _before_change(self, changes: ChangeWatch, step: int, label: str) -> None:
        if not self._isolated:
            await changes.before_change(step, label)

    @property
    def _isolated(self) -> bool:
        return any(stage.isolates for stage in self.agent.stages)

    async def _steps(self, asker: Asker, budget: Budget, changes: ChangeWatch) -> None:
        agent, failures = self.agent, Failures()
        schema = self.checks.schema
        wire_schema = dict(schema) if schema is not None and agent.model.profile.response_format else None
        preface = "" if agent.introduced else await agent.preface(self.prompt)
        agent.introduced = True
        request = schema_request(schema) if schema is not None else ""
        preface = "\n\n".join(part for part in (preface, *agent.notes, request) if part)
        agent.notes.clear()
        self._add(Message("user", self.prompt, preface=preface, images=self.images))
        empty = 0
        while True:
            agent.check()
            budget.check()
            budget.steps += 1
            agent.publish(StepStarted(budget.steps))
            spent = budget.usage
            changes.begin()
            completion = await asker.ask(wire_schema)
            self._take(completion)
            if completion.tool_calls:
                budget.tool_calls += len(completion.tool_calls)
                await self._act(completion, failures, changes, budget.steps)
            agent.publish(StepEnded(budget.steps, _difference(budget.usage, spent), agent.context.tokens))
            if completion.tool_calls:
                failures.give_up_if_stuck()
                self._take_steers()
                continue
            if completion.finish == "length":
                raise BudgetExceeded(
                    "The answer was cut off at the model's output limit.", budget="output", hint="Continue with -c."
                )
            if not completion.text.strip():
                empty += 1
                if empty >= _EMPTY_ANSWERS:
                    raise ModelError(f"The model answered nothing, {empty} times in a row.")
                self._notice("Your last answer was empty. Go on with the work, or give your final answer.")
                continue
            empty = 0
            if self._take_steers() or await self._hears_of_the_background():
                continue
            if self.checks.verify is not None:
                await self._before_change(changes, budget.steps, f"before: {self.checks.verify}")
            objection = await self.checks.objection(agent, completion.text)
            if objection is None:
                return
            self._notice(objection)

    def _forget(self, before: Sequence[Message]) -> None:
        """Drop the turn from the history: left there, it would be refused again with every later request."""
        context = self.agent.context
        tokens = context.tokens
        context.replace(before)
        self.agent.publish(ContextCompacted(tokens, context.tokens, tuple(before)))

    def _take(self, completion: Completion) -> None:
        if completion.finish == "content_filter":
            raise ContentFiltered(
                "The provider's content filter stopped the answer.", hint="Put the request in other words."
            )
        if completion.text.strip():
            self.text = completion.text
        if completion.text or completion.tool_calls:
            self._add(
                Message("assistant", completion.text, thought=completion.thought, tool_calls=completion.tool_calls)
            )

    async def _act(self, completion: Completion, failures: "Failures", changes: ChangeWatch, step: int) -> None:
        """Run the step's calls: neighbouring reads and sub-agents at once, others in order; results as asked."""
        scope = self.agent.scope
        if completion.finish == "length":
            for call in completion.tool_calls:
                self._close(finish(CallOutcome(call, call.name, "invalid", _CUT_OFF, "cut off"), scope), failures)
            return
        prepared = [prepare(call, scope) for call in completion.tool_calls]
        for at_once, group in groupby(prepared, key=_runs_beside_others):
            batch = list(group)
            if at_once and len(batch) > 1:
                async with asyncio.TaskGroup() as tasks:
                    running = [tasks.create_task(self._run(item, changes, step)) for item in batch]
                outcomes: Iterable[CallOutcome] = [task.result() for task in running]
                for outcome in outcomes:
                    self._close(outcome, failures)
            else:
                for item in batch:
                    self._close(await self._run(item, changes, step), failures)
        if self._seen:
            # Behind all results: few servers take images inside of one.
            names = ", ".join(image.name for image in self._seen)
            self._add(Message("user", f"Images that were read: {names}", source="notice", images=tuple(self._seen)))
            self._seen.clear()

    async def _run(self, item: Prepared | CallOutcome, changes: ChangeWatch, step: int) -> CallOutcome:
        scope = self.agent.scope
        if isinstance(item, CallOutcome):
            return finish(item, scope)

        async def before() -> None:
            if item.effect in (Effect.EDIT, Effect.EXECUTE):
                await self._before_change(changes, step, f"before {item.tool.name} {item.title}")

        outcome = await run_call(item, scope, before)
        if not self._isolated:
            changes.report(block for block in outcome.blocks if isinstance(block, Diff))
        return outcome

    def _close(self, outcome: CallOutcome, failures: "Failures") -> None:
        self._seen += outcome.images
        message = outcome.message
        nudge = failures.note(outcome, changed=self._changes_something(outcome))
        if nudge:
            message = Message("tool", f"{message.text}\n\n{nudge}", call_id=message.call_id)
        self._add(message)

    def _changes_something(self, outcome: CallOutcome) -> bool:
        tool = self.agent.scope.tools.get(outcome.call.name)
        return outcome.status == "done" and tool is not None and tool.effect in (Effect.EDIT, Effect.EXECUTE)

    def _add(self, message: Message) -> None:
        self.agent.context.add(message)
        self.agent.publish(MessageCompleted(message))

    def _notice(self, text: str) -> None:
        self._add(Message("user", text, source="notice"))

    def _take_steers(self) -> bool:
        taken = bool(self.steers)
        while self.steers:
            self._add(Message("user", self.steers.popleft()))
        return taken

    async def _hears_of_the_background(self) -> bool:
        """Wait for what runs in the background; whether it, or the user meanwhile, says something to go on with."""
        agent = self.agent
        if agent.linger is None:
            return False
        agent.spoken_to.clear()
        over, spoken_to = asyncio.ensure_future(agent.linger()), asyncio.ensure_future(agent.spoken_to.wait())
        try:
            await asyncio.wait({over, spoken_to}, return_when=asyncio.FIRST_COMPLETED)
            told = over.result() if over.done() else ""
        finally:
            over.cancel()
            spoken_to.cancel()
        if told:
            self._notice(told)
        return self._take_steers() or bool(told)

    def _settle_open_calls(self) -> None:
        for call in open_calls(self.agent.context.messages):
            self._add(Message("tool", INTERRUPTED, call_id=call.id))


_CUT_OFF = (
    "Not run: your answer was cut off at the output limit, and the arguments may be incomplete. "
    "Send the call again with less in it; write a long file in several parts."
)


def _runs_beside_others(item: Prepared | CallOutcome) -> bool:
    return isinstance(item, Prepared) and item.effect in (Effect.READ, Effect.DELEGATE)


def open_calls(messages: Sequence[Message]) -> list[ToolCall]:
    """Calls of the last assistant message that have no result yet."""
    answered: set[str] = set()
    for message in reversed(messages):
        if message.role == "tool":
            answered.add(message.call_id)
        elif message.role == "assistant":
            return [call for call in message.tool_calls if call.id not in answered]
        else:
            break
    return []


class Failures:
    """Counts how often the very same call failed; a call that changed the world begins the count anew."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()

    def note(self, outcome: CallOutcome, *, changed: bool) -> str:
        """Count the outcome; returns words for the model when it insists."""
        key = (outcome.call.name, outcome.call.arguments)
        if outcome.status == "done":
            if changed:
                self._counts.clear()
            else:
                self._counts.pop(key, None)
            return ""
        self._counts[key] += 1
        if self._counts[key] < _NUDGE_AFTER:
            return ""
        return (
            f"This same call has now failed {self._counts[key]} times. Sending it again will fail again: "
            "change the arguments, take another way, or say what stops you."
        )

    def give_up_if_stuck(self) -> None:
        """Raises ModelError when a call failed too often."""
        for (name, _), count in self._counts.items():
            if count >= _GIVE_UP_AFTER:
                raise ModelError(f"The model made the same failing call to {name} {count} times; the turn was stopped.")


def _timed_out(asker: Asker, seconds: float | None) -> tuple[Outcome, str]:
    if asker.retrying:
        return Outcome.UNAVAILABLE, f"The time limit of {seconds or 0:g} s was reached while the provider was failing."
    return Outcome.BUDGET, f"The time limit of {seconds or 0:g} s was reached. Continue with -c; nothing is lost."


def _outcome_of(failure: KimiError) -> Outcome:
    match failure:
        case AuthError():
            return Outcome.AUTH
        case QuotaExceeded() | BudgetExceeded() | ContextFull():
            return Outcome.BUDGET
        case ModelError(retryable=True):
            return Outcome.UNAVAILABLE
        case _:
            return Outcome.FAILED


def _report(agent: Agent, bug: Exception) -> str:
    """Write the traceback of a bug of ours where the user can find it; returns the message."""
    text = agent.scope.scrub("".join(traceback.format_exception(bug)))
    where = ""
    if agent.crash_file is not None:
        try:
            agent.crash_file.write_text(text, encoding="utf-8")
            where = f" Details: {agent.crash_file}"
        except OSError:
            pass
    return agent.scope.scrub(f"Internal error ({type(bug).__name__}: {bug}).{where}")


def _difference(after: Usage, before: Usage) -> Usage:
    return Usage(
        after.input - before.input,
        after.cached - before.cached,
        after.output - before.output,
        after.reasoning - before.reasoning,
    )

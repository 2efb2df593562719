"""What must hold before a turn may end: the user's own check passes, the answer fits its JSON Schema."""

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from kimi_code.agent.environment import Agent
from kimi_code.errors import KimiError
from kimi_code.events import Effect, Outcome, Output, ToolEnded, ToolProgressed, ToolStarted

VERIFY_TRIES = 3
SCHEMA_TRIES = 3
_SHOWN = 6_000
_FENCE = re.compile(r"```(?:json)?\s*\n(.*?)```", re.DOTALL)


class CheckFailed(KimiError):
    """The last try failed too; `outcome` says which check."""

    def __init__(self, message: str, outcome: Outcome) -> None:
        super().__init__(message)
        self.outcome = outcome


@dataclass(slots=True)
class Checks:
    """A turn's checks and how often they were tried. `output` is the parsed answer once it fits the schema."""

    verify: str | None = None
    schema: Mapping[str, object] | None = None
    output: object = None
    _verified: int = field(default=0)
    _validated: int = field(default=0)

    async def objection(self, agent: Agent, answer: str) -> str | None:
        """What the model has still to mend, in words for it; None when all holds. Raises CheckFailed."""
        if self.verify is not None:
            failure = await self._run_verify(agent, self.verify)
            if failure is not None:
                return failure
        return None if self.schema is None else self._validate(self.schema, answer)

    async def _run_verify(self, agent: Agent, command: str) -> str | None:
        self._verified += 1
        exit_code, output = await run_check(agent, command, f"verify-{self._verified}")
        if exit_code == 0:
            return None
        how = "was killed" if exit_code is None else f"failed with exit code {exit_code}"
        if self._verified >= VERIFY_TRIES:
            raise CheckFailed(f"The check `{command}` {how} ({self._verified} tries).", Outcome.VERIFY_FAILED)
        return (
            f"The check that must pass before you are done {how}: {command}\n\n{output or '(no output)'}\n\n"
            f"Mend the cause, then finish; it is run again by itself. Tries left: {VERIFY_TRIES - self._verified}."
        )

    def _validate(self, schema: Mapping[str, object], answer: str) -> str | None:
        self._validated += 1
        try:
            value = _parse(answer)
            problem = _violation(value, schema)
        except ValueError as error:
            value, problem = None, str(error)
        if problem is None:
            self.output = value
            return None
        if self._validated >= SCHEMA_TRIES:
            raise CheckFailed(f"The answer does not fit the JSON Schema: {problem}", Outcome.INVALID_OUTPUT)
        return f"Your answer does not fit the JSON Schema: {problem}\nAnswer again with the JSON value alone."


def schema_request(schema: Mapping[str, object]) -> str:
    """What the model is told at the start when its answer must be JSON."""
    return (
        "When you are done, your final answer must be one JSON value alone, valid against this JSON Schema:\n"
        + json.dumps(schema, ensure_ascii=False)
    )


def check_schema(schema: object) -> Mapping[str, object]:
    """The schema, if it is one. Raises ValueError that says what is wrong."""
    import jsonschema

    if not isinstance(schema, dict):
        raise ValueError("a JSON Schema must be an object")
    checked = cast("dict[str, object]", schema)
    try:
        jsonschema.Draft202012Validator.check_schema(checked)
    except jsonschema.SchemaError as error:
        raise ValueError(error.message) from None
    return checked


def _parse(answer: str) -> object:
    candidates = [answer.strip(), *(match.strip() for match in reversed(_FENCE.findall(answer)))]
    for candidate in candidates:
        try:
            return json.loads(candidate)
        except ValueError:
            continue
    raise ValueError("it is not JSON" if answer.strip() else "it is empty")


def _violation(value: object, schema: Mapping[str, object]) -> str | None:
    from jsonschema import Draft202012Validator, exceptions

    validator: Any = Draft202012Validator(schema)
    error: Any = cast(Any, exceptions).best_match(validator.iter_errors(value))
    if error is None:
        return None
    where = "/".join(str(part) for part in error.absolute_path)
    return f"at {where}: {error.message}" if where else error.message


async def run_check(agent: Agent, command: str, call_id: str) -> tuple[int | None, str]:
    """Run a command the user gave on the command line; (exit code or None if killed, the end of its output)."""
    scope, publish = agent.scope, agent.publish
    publish(ToolStarted(call_id, "Verify", command, Effect.EXECUTE, {"command": command}))
    started = time.monotonic()
    process = await scope.workspace.start(command, cwd=scope.workspace.root)
    decode, tail = _decoder(), ""
    try:
        async for block in process.output():
            text = scope.scrub(decode(block))
            publish(ToolProgressed(call_id, text))
            tail = (tail + text)[-_SHOWN:]
        end = await process.wait()
    finally:
        await process.kill()
    summary = "passed" if end.code == 0 else f"exit {end.code}"
    status = "done" if end.code == 0 else "failed"
    block = Output(command, tail, end.code)
    publish(ToolEnded(call_id, "Verify", command, status, summary, (block,), round(time.monotonic() - started, 3)))
    return end.code, tail


def _decoder() -> Callable[[bytes], str]:
    import codecs

    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    return decoder.decode

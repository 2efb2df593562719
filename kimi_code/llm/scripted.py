"""A model that says what a file tells it to, a script or a recording: for the demo, for tests, for bug reports."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kimi_code import errors
from kimi_code.errors import ConfigError, ModelError, ModelUnavailable, RateLimited
from kimi_code.llm.model import Chunk, Completion, FinishReason, ModelRequest, Profile, TextChunk, ThoughtChunk
from kimi_code.messages import Message, ToolCall, Usage
from kimi_code.values import frozen

ErrorName = Literal[
    "rate_limited", "unavailable", "auth", "quota", "context_full", "content_filtered", "bad_request", "not_an_api"
]
ERRORS: Mapping[ErrorName, type[ModelError]] = {
    "rate_limited": errors.RateLimited,
    "unavailable": errors.ModelUnavailable,
    "auth": errors.AuthError,
    "quota": errors.QuotaExceeded,
    "context_full": errors.ContextFull,
    "content_filtered": errors.ContentFiltered,
    "bad_request": errors.BadRequest,
    "not_an_api": errors.NotAnApi,
}


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", defer_build=True)


_E = TypeVar("_E", bound=_Entry)


class CallEntry(_Entry):
    """A tool call; `arguments` as a mapping, or as the text the model wrote (it may be broken)."""

    name: str
    arguments: dict[str, Any] | str = Field(default_factory=dict[str, Any])
    id: Annotated[str, Field(max_length=64)] = ""


class UsageEntry(_Entry):
    """Tokens the server claims."""

    input: int = 0
    cached: int = 0
    output: int = 0
    reasoning: int = 0


class ErrorEntry(_Entry):
    """How the request fails, after what the step says."""

    type: ErrorName
    message: str = "a scripted failure"
    hint: str = ""
    status: int | None = None
    retry_after: float | None = None


class StepEntry(_Entry):
    """One answer to one request."""

    text: str = ""
    thinking: str | None = None
    tool_calls: tuple[CallEntry, ...] = ()
    delay: Annotated[float, Field(ge=0)] | None = None
    """Seconds before the answer begins; the script's if left out."""
    chunk: Annotated[int, Field(ge=1)] | None = None
    """Characters per piece; the script's if left out, else all at once."""
    usage: UsageEntry | None = None
    finish: FinishReason | None = None
    error: ErrorEntry | None = None
    cut_after: Annotated[int, Field(ge=0)] | None = None
    """Characters of thinking and text after which the connection breaks."""
    expect: str | tuple[str, ...] = ()
    """What must stand in the messages since the model's last answer."""


class ScriptEntry(_Entry):
    """The whole file."""

    model: str = "scripted"
    context: Annotated[int, Field(ge=1)] = 131_072
    delay: Annotated[float, Field(ge=0)] = 0
    chunk: Annotated[int, Field(ge=1)] | None = None
    steps: tuple[StepEntry, ...]


class CompletionEntry(_Entry):
    """A recorded end of an answer."""

    text: str = ""
    thought: str | None = None
    tool_calls: tuple[CallEntry, ...] = ()
    finish: FinishReason = "stop"
    usage: UsageEntry | None = None
    trace_id: str = ""


class RecordedHeader(_Entry):
    """First line of a recording."""

    type: Literal["recording"]
    version: Literal[1]
    model: str
    context: int


class RecordedAnswer(_Entry):
    """A line of a recording: pieces as they came, then a completion, an error, or neither when the client hung up."""

    type: Literal["answer"]
    request: dict[str, Any]
    chunks: tuple[tuple[Literal["thought", "text"], str], ...] = ()
    completion: CompletionEntry | None = None
    error: ErrorEntry | None = None


@frozen
class _Step:
    """What is played: pieces, then the end."""

    chunks: tuple[Chunk, ...]
    end: Completion | ModelError
    delay: float = 0
    expect: tuple[str, ...] = ()


class ScriptedModel:
    """Plays the steps of `path`, one a request. Raises ConfigError when the file is no script or recording.

    A `.jsonl` file is a recording, `.yaml` and `.yml` files are YAML, all others JSON.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._profile, self._steps = _load(path)
        self._played = 0

    @property
    def profile(self) -> Profile:
        return self._profile

    async def sees(self) -> bool:
        return self._profile.vision

    @property
    def remaining(self) -> int:
        """Steps that were not asked for yet."""
        return len(self._steps) - self._played

    async def stream(self, request: ModelRequest) -> AsyncIterator[Chunk]:
        """The next step. Raises ModelError when there is none left, or when it expected something else."""
        if not self.remaining:
            raise ModelError(
                f"The script {self._path} is used up: the agent asked for more than {self._played} answers."
            )
        step = self._steps[self._played]
        self._played += 1
        self._check(step, request)
        await asyncio.sleep(step.delay)
        for chunk in step.chunks:
            yield chunk
            await asyncio.sleep(0)
        if isinstance(step.end, ModelError):
            raise step.end
        yield step.end

    async def close(self) -> None:
        """Nothing is held open."""

    def _check(self, step: _Step, request: ModelRequest) -> None:
        sent = _since_last_answer(request.messages)
        for words in step.expect:
            if words not in sent:
                raise ModelError(
                    f"Step {self._played} of the script {self._path} expected {words!r} in what the agent sent, "
                    f"which was:\n{sent[-2000:]}"
                )


def _since_last_answer(messages: Sequence[Message]) -> str:
    parts: list[str] = []
    for message in reversed(messages):
        if message.role == "assistant":
            break
        parts.append(f"{message.preface}\n{message.text}")
    return "\n".join(reversed(parts))


# --- Reading the file ---------------------------------------------------------------------------------------------


def _load(path: Path) -> tuple[Profile, tuple[_Step, ...]]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"The script {path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise ConfigError(f"The script {path} is no UTF-8 text.") from None
    if path.suffix == ".jsonl":
        return _load_recording(path, text)
    script = _validate(ScriptEntry, _parse(path, text), str(path))
    steps = tuple(_play(number, step, script) for number, step in enumerate(script.steps, 1))
    return Profile(id=script.model, context=script.context), steps


def _parse(path: Path, text: str) -> object:
    if path.suffix not in (".yaml", ".yml"):
        return _parse_json(text, str(path))
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "it cannot be parsed"
        raise ConfigError(f"The script {path}{line} is no YAML: {problem}.") from None


def _parse_json(text: str, where: str) -> object:
    try:
        return json.loads(text)
    except ValueError as error:
        raise ConfigError(f"The script {where} is no JSON: {error}.", hint="YAML files end in .yaml.") from None


def _validate(shape: type[_E], value: object, where: str) -> _E:
    try:
        return shape.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        loc = first["loc"]
        place = "".join(f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in loc).lstrip(".")
        problem = first["msg"]
        if first["type"] == "extra_forbidden":
            from kimi_code.spelling import known_here

            problem = (
                f"unknown key {loc[-1]}; {known_here(str(loc[-1]), list(_shape_at(shape, loc[:-1]).model_fields))}"
            )
        raise ConfigError(f"The script {where} has a mistake at {place or 'its top'}: {problem}.") from None


def _shape_at(shape: type[_Entry], place: Sequence[int | str]) -> type[_Entry]:
    """The entry that is read there; `place` as pydantic tells it."""
    for name in place:
        if isinstance(name, str):
            shape = next(_entries_in(shape.model_fields[name].annotation))
    return shape


def _entries_in(annotation: object) -> Iterator[type[_Entry]]:
    if isinstance(annotation, type) and issubclass(annotation, _Entry):
        yield annotation
    for inner in get_args(annotation):
        yield from _entries_in(inner)


def _load_recording(path: Path, text: str) -> tuple[Profile, tuple[_Step, ...]]:
    lines = [(f"{path}, line {number}", line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if not lines:
        raise ConfigError(f"The recording {path} is empty.")
    where, first = lines[0]
    header = _validate(RecordedHeader, _parse_json(first, where), where)
    answers = (_validate(RecordedAnswer, _parse_json(line, where), where) for where, line in lines[1:])
    steps = tuple(_replay(answer) for answer in answers if answer.completion or answer.error)
    return Profile(id=header.model, context=header.context), steps


# --- From what is written to what is played -----------------------------------------------------------------------


def _play(number: int, step: StepEntry, script: ScriptEntry) -> _Step:
    size = step.chunk or script.chunk
    thought, text = step.thinking or "", step.text
    end: Completion | ModelError = Completion(
        text,
        step.thinking,
        _calls(step.tool_calls, number),
        step.finish or ("tool_calls" if step.tool_calls else "stop"),
        _usage(step.usage),
    )
    if step.error is not None:
        end = _error(step.error)
    if step.cut_after is not None:
        text = text[: max(step.cut_after - len(thought), 0)]
        thought = thought[: step.cut_after]
        end = ModelUnavailable("The connection broke in the middle of the answer (as scripted).")
    chunks = (
        *(ThoughtChunk(piece) for piece in _pieces(thought, size)),
        *(TextChunk(piece) for piece in _pieces(text, size)),
    )
    delay = script.delay if step.delay is None else step.delay
    return _Step(chunks, end, delay, (step.expect,) if isinstance(step.expect, str) else step.expect)


def _replay(answer: RecordedAnswer) -> _Step:
    chunks = tuple(ThoughtChunk(text) if kind == "thought" else TextChunk(text) for kind, text in answer.chunks)
    if answer.error is not None:
        return _Step(chunks, _error(answer.error))
    said = answer.completion or CompletionEntry()
    calls = _calls(said.tool_calls, 0)
    return _Step(chunks, Completion(said.text, said.thought, calls, said.finish, _usage(said.usage), said.trace_id))


def _pieces(text: str, size: int | None) -> Iterator[str]:
    size = size or len(text)
    return (text[start : start + size] for start in range(0, len(text), size or 1))


def _calls(entries: Sequence[CallEntry], step: int) -> tuple[ToolCall, ...]:
    return tuple(
        ToolCall(entry.id or f"call_{step}_{number}", entry.name, _arguments(entry.arguments))
        for number, entry in enumerate(entries, 1)
    )


def _arguments(written: dict[str, Any] | str) -> str:
    # YAML has dates, which JSON has not.
    return written if isinstance(written, str) else json.dumps(written, ensure_ascii=False, default=str)


def _usage(entry: UsageEntry | None) -> Usage | None:
    return Usage(entry.input, entry.cached, entry.output, entry.reasoning) if entry else None


def _error(entry: ErrorEntry) -> ModelError:
    kind = ERRORS[entry.type]
    if kind is RateLimited:
        return RateLimited(entry.message, hint=entry.hint, status=entry.status or 429, retry_after=entry.retry_after)
    return kind(entry.message, hint=entry.hint, status=entry.status)

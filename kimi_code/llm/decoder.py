"""The OpenAI chat dialect: the bytes of a streamed answer as chunks, whatever servers make of it. Pure; no network."""

import json
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from kimi_code.errors import ModelUnavailable
from kimi_code.llm.model import Chunk, Completion, FinishReason, TextChunk, ThoughtChunk
from kimi_code.messages import ToolCall, Usage

LONGEST_ID = 64
_FINISH: dict[str, FinishReason] = {
    "stop": "stop",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "length": "length",
    "max_tokens": "length",
    "content_filter": "content_filter",
}


class ProviderError(Exception):
    """The server reported an error inside a 200 answer; `body` is its JSON object."""

    def __init__(self, body: Mapping[str, object]) -> None:
        super().__init__("the server reported an error inside its answer")
        self.body = body


@dataclass(slots=True)
class _Call:
    """A tool call while its fragments arrive."""

    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list[str])

    def add(self, id: str, name: str, arguments: object) -> None:
        self.id = self.id or id
        if name and name != self.name and not self.arguments:  # some servers repeat the name, some split it
            self.name += name
        if isinstance(arguments, str):
            if arguments:
                self.arguments.append(arguments)
        elif arguments is not None:
            self.arguments.append(json.dumps(arguments, ensure_ascii=False))


class Decoder:
    """Turns the bytes of a server-sent event stream into chunks, and at the end into a Completion."""

    def __init__(self, trace_id: str = "", new_id: Callable[[], str] | None = None) -> None:
        self.done = False
        self._trace_id = trace_id
        self._new_id = new_id or _random_id
        self._partial: list[bytes] = []
        self._lines: list[str] = []
        self._text: list[str] = []
        self._thought: list[str] | None = None
        self._calls: list[_Call] = []
        self._by_index: dict[int, _Call] = {}
        self._finish = ""
        self._usage: Mapping[str, Any] | None = None
        self._fresh: list[tuple[type[TextChunk] | type[ThoughtChunk], str]] = []

    @property
    def finished(self) -> bool:
        """Whether the answer is complete, even if the stream should break off now."""
        return self.done or bool(self._finish)

    def feed(self, received: bytes) -> list[Chunk]:
        """The chunks in one network read; neighbours of a kind are joined.

        Raises:
            ProviderError: the stream carries an error object.
            ModelUnavailable: an event is no JSON.
        """
        end = received.rfind(b"\n")
        if end < 0:
            self._partial.append(received)
            return []
        block = b"".join([*self._partial, received[:end]])
        self._partial = [received[end + 1 :]]
        self._read_lines(block)
        return self._take_fresh()

    def close(self) -> list[Chunk]:
        """The rest, when the stream has ended: the last event may lack its blank line. The Completion comes last.

        Raises:
            ProviderError: as in `feed`.
            ModelUnavailable: the stream broke off before the answer's end.
        """
        self._read_lines(b"".join(self._partial) + b"\n")
        self._partial = []
        if not self.finished or not (self._finish or self._text or self._calls or self._thought):
            raise ModelUnavailable(
                "the model's answer was cut off: the stream ended without a finish_reason", trace_id=self._trace_id
            )
        return [*self._take_fresh(), self.completion()]

    def take_answer(self, answer: Mapping[str, Any]) -> list[Chunk]:
        """The chunks of an answer that came as one JSON object because the server ignored `stream`."""
        self._take(answer)
        self.done = True
        return self.close()

    def completion(self) -> Completion:
        """The whole answer so far."""
        calls = self._finished_calls()
        finish = _FINISH.get(self._finish, "stop")
        if finish in ("stop", "tool_calls"):
            finish = "tool_calls" if calls else "stop"
        return Completion(
            text="".join(self._text),
            thought=None if self._thought is None else "".join(self._thought),
            tool_calls=calls,
            finish=finish,
            usage=None if self._usage is None else usage_from(self._usage),
            trace_id=self._trace_id,
        )

    def _read_lines(self, block: bytes) -> None:
        # A block ends at a line's end, so no character is split; what is broken all the same must not end the turn.
        for line in block.decode("utf-8", "replace").split("\n"):
            if line.startswith("data:"):
                self._lines.append(line[5:])
            elif self._lines and line in ("", "\r"):
                self._dispatch()

    def _dispatch(self) -> None:
        data = "\n".join(self._lines)
        self._lines = []
        if self.done or not (stripped := data.strip()):
            return
        if stripped == "[DONE]":
            self.done = True
            return
        try:
            self._take(json.loads(data))
        except (ValueError, TypeError, AttributeError, LookupError, RecursionError):
            raise ModelUnavailable(
                f"the server sent a broken event in its stream: {stripped[:100]}", trace_id=self._trace_id
            ) from None

    def _take(self, event: Mapping[str, Any]) -> None:
        if event.get("error"):
            raise ProviderError(event)
        usage = event.get("usage")
        choices = event.get("choices")
        choice = choices[0] if choices else None
        if choice is not None:  # a null in its place says nothing
            usage = usage or choice.get("usage")
            self._take_delta(choice.get("delta") or choice.get("message") or {})
            self._finish = _word(choice.get("finish_reason")) or self._finish
        if isinstance(usage, dict):
            self._usage = cast(dict[str, Any], usage)

    def _take_delta(self, delta: Mapping[str, Any]) -> None:
        thought = delta.get("reasoning_content")
        if thought is None:
            thought = delta.get("reasoning")
        if isinstance(thought, str):
            self._thought = [] if self._thought is None else self._thought
            if thought:
                self._thought.append(thought)
                self._fresh.append((ThoughtChunk, thought))
        text = _text_of(delta.get("content"))
        if text:
            self._text.append(text)
            self._fresh.append((TextChunk, text))
        for fragment in delta.get("tool_calls") or ():
            self._take_fragment(fragment)

    def _take_fragment(self, fragment: Mapping[str, Any]) -> None:
        function: Mapping[str, Any] = fragment.get("function") or {}
        id, name, index = _word(fragment.get("id")), _word(function.get("name")), fragment.get("index")
        call = self._by_index.get(index) if isinstance(index, int) else self._call_without_index(id, name)
        # Servers that count every whole call as number 0 tell them apart by id alone.
        if call is None or (id and name and call.id and call.id != id):
            call = _Call()
            self._calls.append(call)
            if isinstance(index, int):
                self._by_index[index] = call
        call.add(id, name, function.get("arguments"))

    def _call_without_index(self, id: str, name: str) -> _Call | None:
        if id:
            return next((call for call in self._calls if call.id == id), None)
        return None if name or not self._calls else self._calls[-1]

    def _finished_calls(self) -> tuple[ToolCall, ...]:
        seen: set[str] = set()
        finished: list[ToolCall] = []
        for call in self._calls:
            id = call.id
            while not id or len(id) > LONGEST_ID or id in seen:
                id = self._new_id()
            seen.add(id)
            finished.append(ToolCall(id, call.name, "".join(call.arguments)))
        return tuple(finished)

    def _take_fresh(self) -> list[Chunk]:
        chunks: list[Chunk] = []
        parts: list[str] = []
        for at, (kind, text) in enumerate(self._fresh):
            parts.append(text)
            if at + 1 == len(self._fresh) or self._fresh[at + 1][0] is not kind:
                chunks.append(kind("".join(parts)))
                parts = []
        self._fresh = []
        return chunks


def usage_from(counts: Mapping[str, Any]) -> Usage:
    """Token counts as providers send them; cached ones stand at the top or in `prompt_tokens_details`."""
    prompt, output = _fields(counts.get("prompt_tokens_details")), _fields(counts.get("completion_tokens_details"))
    cached = (counts.get("cached_tokens"), prompt.get("cached_tokens"), counts.get("prompt_cache_hit_tokens"))
    return Usage(
        input=_count(counts.get("prompt_tokens")),
        cached=next((count for each in cached if (count := _count(each))), 0),
        output=_count(counts.get("completion_tokens")),
        reasoning=_count(output.get("reasoning_tokens")),
    )


def _fields(value: object) -> Mapping[str, object]:
    return cast(Mapping[str, object], value) if isinstance(value, dict) else {}


def _count(value: object) -> int:
    """A number of tokens; 0 for what is none: sums, limits and the result's JSON must stay numbers."""
    return int(value) if isinstance(value, int | float) and 0 < value < math.inf else 0


def _word(value: object) -> str:
    return value if isinstance(value, str) else str(value or "")


def _text_of(content: object) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(part.get("text") or "" for part in cast(list[Mapping[str, str]], content))
    return ""


def _random_id() -> str:
    return f"call_{os.urandom(9).hex()}"

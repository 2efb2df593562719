"""The OpenAI chat dialect as bytes: messages into a request body, a streamed answer into chunks. Pure; no network."""

import json
import os
import re
from base64 import b64encode
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress, count
from operator import is_not
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar, cast

from kimi_code.errors import ModelUnavailable
from kimi_code.llm.model import Chunk, Completion, FinishReason, TextChunk, ThoughtChunk, ToolSchema
from kimi_code.messages import Image, Message, ToolCall, Usage

_T = TypeVar("_T")

# Which assistant messages go back with their reasoning.
Echo = Literal["none", "calls", "all"]

LONGEST_ID = 64
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
# Histories whose encoded messages are kept: a swarm's siblings take turns on one adapter.
KEPT_HISTORIES = 128

_FINISH: dict[str, FinishReason] = {
    "stop": "stop",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "length": "length",
    "max_tokens": "length",
    "content_filter": "content_filter",
}


# --- Requests -----------------------------------------------------------------------------------------------------


class Encoder:
    """Builds request bodies; a message or tool is encoded once and its bytes are reused while it is in use."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, Echo], tuple[_Encoded[Message], _Encoded[ToolSchema]]] = OrderedDict()

    def encode(
        self,
        fields: Mapping[str, object],
        system: str,
        messages: Sequence[Message],
        tools: Sequence[ToolSchema],
        *,
        echo: Echo = "none",
        history: str = "",
        vision: bool = False,
    ) -> bytes:
        """A request body of `fields`, messages and tools. `history` names whose messages these are.

        Without `vision` (always the same for an encoder) a message says that it has images, and has none.
        """
        kept = self._kept.pop((history, echo), None)
        said, offered = kept or (
            _Encoded(lambda message: message_fields(message, echo, vision=vision)),
            _Encoded(tool_fields),
        )
        self._kept[history, echo] = said, offered
        if len(self._kept) > KEPT_HISTORIES:
            self._kept.popitem(last=False)
        spoken = [_entry({"role": "system", "content": system})] if system else []
        spoken += said.take(messages)
        body = [_dumps(fields)[:-1], *_array("messages", spoken)]
        if tools:
            body += _array("tools", offered.take(tools))
        return b"".join([*body, b"}"])  # joined once: a long history is copied once


class _Encoded(Generic[_T]):
    """The entries of a sequence that mostly grows at its end: what is before the first change is not done again."""

    def __init__(self, fields_of: Callable[[_T], Mapping[str, object]]) -> None:
        self._fields_of = fields_of
        self._items: list[_T] = []
        self._entries: list[bytes] = []

    def take(self, items: Sequence[_T]) -> list[bytes]:
        """An entry for each item; valid until the next call."""
        # Without a loop in Python: this walks over the whole history at every step.
        changed = compress(count(), map(is_not, self._items, items))
        same = next(changed, min(len(self._items), len(items)))
        self._entries[same:] = [_entry(self._fields_of(item)) for item in items[same:]]
        self._items[same:] = items[same:]
        return self._entries


def _entry(fields: Mapping[str, object]) -> bytes:
    """An object of an array, with a comma in front."""
    return b"," + _dumps(fields)


def _array(name: str, entries: Sequence[bytes]) -> list[bytes]:
    """A field, with a comma in front, in pieces."""
    first = [entries[0][1:]] if entries else []
    return [b',"%b":[' % name.encode(), *first, *entries[1:], b"]"]


def message_fields(message: Message, echo: Echo = "none", *, vision: bool = False) -> dict[str, object]:
    """One message as the dialect has it; text is never empty, and an assistant's calls without text omit it."""
    if message.role == "tool":
        return {"role": "tool", "tool_call_id": message.call_id, "content": message.text or "(no output)"}
    if message.role == "user":
        words = "\n\n".join(part for part in (message.preface, message.text) if part)
        return {"role": "user", "content": _with_images(words, message.images, vision=vision) or "(nothing)"}
    fields: dict[str, object] = {"role": "assistant"}
    if message.text or not message.tool_calls:
        fields["content"] = message.text or "(no answer)"
    if (echo == "calls" and message.tool_calls) or echo == "all":
        fields["reasoning_content"] = message.thought or ""
    if message.tool_calls:
        fields["tool_calls"] = [
            {"id": call.id, "type": "function", "function": _function(call)} for call in message.tool_calls
        ]
    return fields


def _with_images(words: str, images: Sequence[Image], *, vision: bool) -> str | list[dict[str, object]]:
    """The words, followed by the images as data URLs; in their place a line where one cannot be sent."""
    parts: list[dict[str, object]] = []
    for image in images:
        try:
            content = Path(image.file).read_bytes() if vision else b""
        except OSError:
            content = b""
        if content:
            url = f"data:{image.media_type};base64,{b64encode(content).decode()}"
            parts.append({"type": "image_url", "image_url": {"url": url}})
        else:
            why = "is not there any more" if vision else "cannot be seen by this model"
            words = f"{words}\n[the image {image.name} {why}]".lstrip("\n")
    if not parts:
        return words
    return [{"type": "text", "text": words}, *parts] if words else parts


def _function(call: ToolCall) -> dict[str, str]:
    # A name the model garbled was answered with an error; sent back as it is, servers refuse the whole history.
    name = call.name if _NAME.fullmatch(call.name) else re.sub(r"[^\w-]+", "_", call.name[:64], flags=re.ASCII) or "_"
    return {"name": name, "arguments": call.arguments or "{}"}


def tool_fields(tool: ToolSchema) -> dict[str, object]:
    """One tool as the dialect has it: no `strict`, and a `type` on every property."""
    function = {"name": tool.name, "description": tool.description, "parameters": typed(tool.parameters)}
    return {"type": "function", "function": function}


def typed(schema: Mapping[str, object]) -> dict[str, object]:
    """`schema` with a `type` in every nested property that names none; Kimi's endpoints refuse the others."""
    result: dict[str, object] = {}
    for key, value in schema.items():
        if key in ("properties", "$defs", "definitions") and isinstance(value, Mapping):
            named = cast(Mapping[str, Mapping[str, object]], value)
            result[key] = {name: _with_type(typed(inner)) for name, inner in named.items()}
        elif key == "items" and isinstance(value, Mapping):
            result[key] = _with_type(typed(cast(Mapping[str, object], value)))
        elif key in ("anyOf", "oneOf", "allOf") and isinstance(value, Sequence):
            result[key] = [_with_type(typed(inner)) for inner in cast(Sequence[Mapping[str, object]], value)]
        else:
            result[key] = value
    return result


def _with_type(schema: dict[str, object]) -> dict[str, object]:
    if any(key in schema for key in ("type", "anyOf", "oneOf", "allOf", "$ref")):
        return schema
    if "properties" in schema:
        return {"type": "object", **schema}
    if "items" in schema:
        return {"type": "array", **schema}
    values = cast(Iterable[object], schema.get("enum", [schema.get("const", "")]))
    names: dict[type[object], str] = {bool: "boolean", int: "integer", float: "number"}
    return {"type": names.get(type(next(iter(values), "")), "string"), **schema}


def _dumps(value: object) -> bytes:
    # A lone surrogate (from an undecodable file name) has no UTF-8; servers refuse its escape too.
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


# --- Answers ------------------------------------------------------------------------------------------------------


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
        if choices:
            choice = choices[0]
            usage = usage or choice.get("usage")
            self._take_delta(choice.get("delta") or choice.get("message") or {})
            self._finish = choice.get("finish_reason") or self._finish
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
        id, name, index = fragment.get("id") or "", function.get("name") or "", fragment.get("index")
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
    prompt: Mapping[str, Any] = counts.get("prompt_tokens_details") or {}
    output: Mapping[str, Any] = counts.get("completion_tokens_details") or {}
    return Usage(
        input=counts.get("prompt_tokens") or 0,
        cached=counts.get("cached_tokens") or prompt.get("cached_tokens") or counts.get("prompt_cache_hit_tokens") or 0,
        output=counts.get("completion_tokens") or 0,
        reasoning=output.get("reasoning_tokens") or 0,
    )


def _text_of(content: object) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(part.get("text") or "" for part in cast(list[Mapping[str, str]], content))
    return ""


def _random_id() -> str:
    return f"call_{os.urandom(9).hex()}"

"""The OpenAI chat dialect: messages as the bytes of a request body. Pure; no network."""

import json
import re
from base64 import b64encode
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import compress, count
from operator import is_not
from pathlib import Path
from typing import Generic, Literal, TypeVar, cast

from kimi_code.llm.model import ToolSchema
from kimi_code.messages import Image, Message, ToolCall

_T = TypeVar("_T")

# Which assistant messages go back with their reasoning.
Echo = Literal["none", "calls", "all"]

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
# Histories whose encoded messages are kept: a swarm's siblings take turns on one adapter.
KEPT_HISTORIES = 128


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

"""Record <-> one line of JSON. Wire names live here alone."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from json.encoder import encode_basestring_ascii
from typing import Any, cast, get_args

from kimi_code import events
from kimi_code.events import Event, Record

_ENVELOPE = ("type", "seq", "agent", "at")
_JSON = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"))
_PLAIN = frozenset({str, int, float, bool, type(None)})


class UnknownRecord(Exception):
    """A line that is valid JSON but of a type this version does not know; written by a newer one."""


def wire_name(event_class: type) -> str:
    """The `type` on the wire: TurnStarted -> turn_started."""
    return _wire_name(event_class)


@cache
def _wire_name(event_class: type) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", event_class.__name__).lower()


@cache
def _field_names(cls: type) -> tuple[str, ...]:
    return tuple(f.name for f in fields(cls))


@cache
def _classes() -> dict[str, type]:
    return {wire_name(cls): cls for cls in get_args(Event)}


@cache
def _adapter(cls: type) -> Any:
    # pydantic reads outside data; it is loaded at the first line that is read, never to write one.
    from pydantic import TypeAdapter

    return TypeAdapter(cls)


@cache
def _parser() -> Callable[[str | bytes], object]:
    from pydantic_core import from_json

    return from_json


def _parse(line: str | bytes) -> object:
    try:
        # Twice as fast as json, but it takes no lone surrogates, which the output of a command may have.
        return _parser()(line)
    except ValueError:
        return json.loads(line)


def encode(record: Record) -> str:
    """One line without its newline. Text that is no valid Unicode (lone surrogates) is escaped, so it always writes."""
    return _JSON.encode(to_wire(record))


class Lines:
    """Records as lines, without secrets.

    What a sub-agent says goes into its journal and, as another record, to its parent: the event, which is nearly all of
    both lines, is encoded once.
    """

    def __init__(self, scrub: Callable[[str], str]) -> None:
        self._scrub = scrub
        self._last: tuple[Event | None, str] = (None, "")

    def __call__(self, record: Record) -> str:
        """As `encode`, without secrets."""
        event, body = self._last
        if record.event is not event:
            body = self._scrub(_JSON.encode(_event_to_wire(record.event)))
            self._last = record.event, body
        # Written out: no other field of the envelope needs an encoder, and a hundred agents fill two lines a record.
        kind, agent = _wire_name(type(record.event)), self._scrub(encode_basestring_ascii(record.agent))
        envelope = f'{{"type":"{kind}","seq":{record.seq},"agent":{agent},"at":{round(record.at, 3)!r}'
        return f"{envelope}}}" if body == "{}" else f"{envelope},{body[1:]}"


def to_wire(record: Record) -> dict[str, object]:
    """The record as plain dicts, lists, strings and numbers: {"type", "seq", "agent", "at", ...the event's fields}."""
    return {**_envelope(record), **_event_to_wire(record.event)}


def _envelope(record: Record) -> dict[str, object]:
    name = _wire_name(type(record.event))
    return {"type": name, "seq": record.seq, "agent": record.agent, "at": round(record.at, 3)}


def _event_to_wire(event: Event) -> dict[str, object]:
    return {name: plain(getattr(event, name)) for name in _field_names(type(event))}


def plain(value: object) -> object:
    """Our values as JSON has them: dicts, lists, strings, numbers; what is none of these as its text."""
    if type(value) in _PLAIN:
        return value
    if isinstance(value, (str, int, float)):
        return value.value if isinstance(value, Enum) else value
    if isinstance(value, tuple | list):
        return [plain(item) for item in cast("list[object]", value)]
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in cast("Mapping[object, object]", value).items()}
    if is_dataclass(value):
        return {name: plain(getattr(value, name)) for name in _field_names(type(value))}
    return str(value)


def decode(line: str | bytes) -> Record:
    """The record in `line`; fields this version does not know are skipped.

    Raises:
        UnknownRecord: the type is not known.
        ValueError: the line is no JSON object, or lacks what its type needs.
    """
    wire = _parse(line)
    if not isinstance(wire, dict):
        raise ValueError("a record must be a JSON object")
    data = cast("dict[str, Any]", wire)
    kind = data.get("type")
    cls = _classes().get(kind) if isinstance(kind, str) else None
    if cls is None:
        raise UnknownRecord(str(kind))
    body = {name: data[name] for name in _field_names(cls) if name in data}
    event = _adapter(cls).validator.validate_python(body)
    return Record(int(data["seq"]), str(data["agent"]), float(data["at"]), cast(Event, event))


def schema() -> dict[str, object]:
    """The JSON Schema of a line: one alternative per event, plus the `result` object that ends a `jsonl` run."""
    definitions: dict[str, object] = {}
    alternatives: list[object] = []
    for name, cls in _classes().items():
        body = _adapter(cls).json_schema(ref_template="#/$defs/{model}")
        definitions.update(body.pop("$defs", {}))
        properties = {
            "type": {"const": name},
            "seq": {"type": "integer", "minimum": 1},
            "agent": {"type": "string"},
            "at": {"type": "number", "description": "Unix time in seconds"},
            **body.get("properties", {}),
        }
        definitions[cls.__name__] = {
            "type": "object",
            "description": (cls.__doc__ or "").strip(),
            "properties": properties,
            "required": [*_ENVELOPE, *body.get("required", ())],
        }
        alternatives.append({"$ref": f"#/$defs/{cls.__name__}"})
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "kimi-code record",
        "description": (events.__doc__ or "").strip(),
        "oneOf": alternatives,
        "$defs": definitions,
    }

"""A model server for benchmarks: OpenAI-compatible streams without a model behind them, in a process of its own.

A prompt holding `steps=N tokens=K` is answered by N `Read` calls, one a request, then by an answer of K tokens at full
speed. `GET /log` tells when each request had arrived and when its answer ended, and forgets it. Standard library only.
"""

import asyncio
import json
import re
import sys
import time
from collections.abc import Iterable
from typing import Any

FILES = 10
_LARGEST_BODY = 64 * 1024 * 1024  # read without pauses: they would count as the client's time
_TOOL_NAMES = ("Read", "read", "read_file")
_HEAD = "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n{length}\r\n\r\n"


class Server:
    """One per process; `log` holds (arrival, end) per answer, in seconds of the monotonic clock."""

    def __init__(self) -> None:
        self.log: list[tuple[float, float]] = []

    async def serve(self) -> None:
        """Listen on a free loopback port, print it, serve until cancelled."""
        server = await asyncio.start_server(self._converse, "127.0.0.1", 0, limit=_LARGEST_BODY)
        print(server.sockets[0].getsockname()[1], flush=True)
        async with server:
            await server.serve_forever()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (request := await _read_request(reader)) is not None:
                arrived = time.monotonic()
                await self._answer(*request, arrived, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, method: str, path: str, body: bytes, arrived: float, writer: asyncio.StreamWriter) -> None:
        if path == "/log":
            taken, self.log = self.log, []
            await _send_json(writer, taken)
        elif method == "POST":
            await self._stream(json.loads(body), len(body), arrived, writer)
        else:
            await _send_json(writer, {"data": [{"id": "bench"}]})

    async def _stream(self, request: dict[str, Any], size: int, arrived: float, writer: asyncio.StreamWriter) -> None:
        writer.write(_HEAD.format(kind="text/event-stream", length="Transfer-Encoding: chunked").encode())
        events = [_event(choice) for choice in _choices(request)]
        for event in events:  # each in a write of its own, as real servers send them
            writer.write(_chunk(event))
            await writer.drain()
        ended = time.monotonic()  # before the last bytes leave: what the client does next is its own time
        writer.write(_chunk(_usage(size, len(events))) + _chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")
        self.log.append((arrived, ended))
        await writer.drain()


async def _read_request(reader: asyncio.StreamReader) -> tuple[str, str, bytes] | None:
    """Method, path and the whole body; None when the client has gone."""
    line = await reader.readline()
    if not line:
        return None
    method, path, _ = line.decode("latin-1").split(" ", 2)
    length = 0
    while (header := await reader.readline()).strip():
        name, _, value = header.decode("latin-1").partition(":")
        if name.lower() == "content-length":
            length = int(value)
    return method, path, await reader.readexactly(length)


def _choices(request: dict[str, Any]) -> Iterable[dict[str, Any]]:
    wanted = re.search(r"steps=(\d+) tokens=(\d+)", json.dumps(request["messages"]))
    steps, tokens = (int(number) for number in wanted.groups()) if wanted else (0, 1)
    step = _calls_made(request)
    yield {"delta": {"role": "assistant", "content": ""}, "finish_reason": None}
    if step < steps:
        yield from _call(request, step)
        return
    for number in range(tokens):
        # A word a token, a line break now and then and a paragraph, as prose has it.
        word = f"word{number % 97} " if number % 16 else "end.\n" if number % 160 else "end.\n\n"
        yield {"delta": {"content": word}, "finish_reason": None}
    yield {"delta": {}, "finish_reason": "stop"}


def _call(request: dict[str, Any], step: int) -> Iterable[dict[str, Any]]:
    offered = {tool["function"]["name"]: tool["function"] for tool in request.get("tools", ())}
    name = next(name for name in _TOOL_NAMES if name in offered)
    path = next(key for key in ("path", "file_path") if key in offered[name]["parameters"]["properties"])
    function = {"name": name, "arguments": ""}
    yield {"delta": {"tool_calls": [{"index": 0, "id": f"call_{step}", "type": "function", "function": function}]}}
    arguments = json.dumps({path: f"file{step % FILES}.py"})
    for start in range(0, len(arguments), 8):
        yield {"delta": {"tool_calls": [{"index": 0, "function": {"arguments": arguments[start : start + 8]}}]}}
    yield {"delta": {}, "finish_reason": "tool_calls"}


def _calls_made(request: dict[str, Any]) -> int:
    return sum(message["role"] == "tool" for message in request["messages"])


def _event(choice: dict[str, Any]) -> bytes:
    event = {"id": "bench", "object": "chat.completion.chunk", "model": "bench", "choices": [{"index": 0, **choice}]}
    return b"data: " + json.dumps(event, separators=(",", ":")).encode() + b"\n\n"


def _usage(sent: int, events: int) -> bytes:
    usage = {"prompt_tokens": sent // 4, "completion_tokens": events, "total_tokens": sent // 4 + events}
    return b"data: " + json.dumps({"id": "bench", "choices": [], "usage": usage}).encode() + b"\n\n"


def _chunk(content: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(content), content)


async def _send_json(writer: asyncio.StreamWriter, value: object) -> None:
    content = json.dumps(value).encode()
    writer.write(_HEAD.format(kind="application/json", length=f"Content-Length: {len(content)}").encode() + content)
    await writer.drain()


if __name__ == "__main__":
    try:
        asyncio.run(Server().serve())
    except KeyboardInterrupt:
        sys.exit(130)

"""A scripted OpenAI-compatible server on a loopback port, for tests and for programs that tests start.

It serves from a thread of its own, so that blocking tests, asyncio tests and other processes can all talk to it:

    with FakeServer() as server:            # or the `server` fixture, or `async with`
        server.script(call("Read", {"path": "a.py"}), say("done"))
        ...                                 # point a client at server.url
        assert server.requests[0].body["model"] == "kimi-k3"
        server.assert_used_up()
"""

import asyncio
import json
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

Ending = Literal["end", "cut", "hang"]


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer: `pieces` are written one by one, then the answer ends, is cut off, or stays open.

    It begins once `after` is set; a minute later it begins all the same.
    """

    pieces: tuple[bytes, ...]
    status: int = 200
    content_type: str = "text/event-stream; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    ending: Ending = "end"
    after: threading.Event | None = None


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it came: header names in lower case, `body` parsed ({} without one), `raw` as sent."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]
    raw: bytes

    @property
    def messages(self) -> list[dict[str, Any]]:
        return self.body.get("messages", [])

    @property
    def last(self) -> dict[str, Any]:
        """The newest message of the request."""
        return self.messages[-1]


Script = Reply | Callable[[Received], Reply]


# --- Replies ------------------------------------------------------------------------------------------------------


def usage_of(
    input: int = 100, output: int = 10, cached: int = 0, reasoning: int = 0, *, kimi: bool = False
) -> dict[str, Any]:
    """A usage object; cached tokens in OpenAI's place, or with `kimi` at the top."""
    counts: dict[str, Any] = {"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output}
    if kimi:
        counts["cached_tokens"] = cached
    else:
        counts["prompt_tokens_details"] = {"cached_tokens": cached}
    counts["completion_tokens_details"] = {"reasoning_tokens": reasoning}
    return counts


def say(
    text: str, *, thought: str | None = None, usage: dict[str, Any] | None = None, chunk: int = 8, finish: str = "stop"
) -> Reply:
    """An answer in text, `chunk` characters an event."""
    return answer([], text=text, thought=thought, usage=usage, chunk=chunk, finish=finish)


def call(
    name: str,
    arguments: Mapping[str, Any] | str,
    *,
    id: str = "call_1",
    text: str = "",
    thought: str | None = None,
    usage: dict[str, Any] | None = None,
) -> Reply:
    """An answer with one tool call; `arguments` as a string are sent as they are (for broken JSON)."""
    return answer([(id, name, arguments)], text=text, thought=thought, usage=usage)


def calls(
    *wanted: tuple[str, Mapping[str, Any] | str],
    text: str = "",
    thought: str | None = None,
    usage: dict[str, Any] | None = None,
) -> Reply:
    """An answer with several tool calls, given as (name, arguments); their ids are call_1, call_2, ..."""
    numbered = [(f"call_{number}", name, arguments) for number, (name, arguments) in enumerate(wanted, 1)]
    return answer(numbered, text=text, thought=thought, usage=usage)


def answer(
    wanted: Sequence[tuple[str, str, Mapping[str, Any] | str]],
    *,
    text: str = "",
    thought: str | None = None,
    usage: dict[str, Any] | None = None,
    chunk: int = 8,
    finish: str = "",
) -> Reply:
    """The whole of `say`, `call` and `calls`: calls as (id, name, arguments), whose fragments interleave."""
    deltas: list[dict[str, Any]] = [{"role": "assistant"}]
    if thought is not None:
        deltas += [{"reasoning_content": part} for part in _parts(thought, chunk) or [""]]
    deltas += [{"content": part} for part in _parts(text, chunk)]
    for index, (id, name, _) in enumerate(wanted):
        head = {"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": ""}}
        deltas.append({"tool_calls": [head]})
    texts = [arguments if isinstance(arguments, str) else json.dumps(arguments) for *_, arguments in wanted]
    # Fragments of a dozen characters, of which even what is huge has not thousands.
    pending = [deque(_parts(arguments, max(12, len(arguments) // 250))) for arguments in texts]
    while any(pending):
        for index, parts in enumerate(pending):
            if parts:
                deltas.append({"tool_calls": [{"index": index, "function": {"arguments": parts.popleft()}}]})
    events = [event([_choice(delta)]) for delta in deltas]
    events.append(event([_choice({}, finish or ("tool_calls" if wanted else "stop"))]))
    events.append(event([], usage=usage or usage_of()))
    return raw_sse(*events, b"data: [DONE]\n\n")


def event(choices: list[dict[str, Any]], **more: Any) -> bytes:
    """One chunk of a stream as a server-sent event."""
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "fake"}
    return b"data: " + json.dumps({**head, "choices": choices, **more}, ensure_ascii=False).encode() + b"\n\n"


def delta(content: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
    """An event with one choice whose delta is `content`."""
    return event([_choice(content, finish)], **more)


def raw_sse(*pieces: bytes) -> Reply:
    """A stream of these bytes, each piece written on its own."""
    return Reply(pieces)


def plain(body: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """A JSON answer that is no stream."""
    return Reply((json.dumps(body).encode(),), status, "application/json", headers or {})


def error(
    status: int,
    *,
    message: str = "something is wrong",
    kind: str = "",
    code: str | None = None,
    retry_after: float | str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """An error in OpenAI's form; `kind` is its `type` field."""
    extra = {} if retry_after is None else {"Retry-After": str(retry_after)}
    body = {"error": {"message": message, "type": kind, "code": code, "param": None}}
    return plain(body, status=status, headers={**extra, **(headers or {})})


def html(body: str = "<!DOCTYPE html><html><title>Sign in</title></html>", *, status: int = 200) -> Reply:
    """A web page where an API should be."""
    return Reply((body.encode(),), status, "text/html; charset=utf-8")


def cut(after_chars: int, of: Reply) -> Reply:
    """`of`, but the connection ends after that many bytes of its body (negative: so many before its end)."""
    return replace(of, pieces=(b"".join(of.pieces)[:after_chars],), ending="cut")


def hang(after_chars: int = 0, of: Reply | None = None) -> Reply:
    """Headers and that many bytes of `of`'s body, then silence until the client or the server goes away."""
    return replace(of or raw_sse(), pieces=(b"".join(of.pieces)[:after_chars],) if of else (), ending="hang")


def _parts(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


def _choice(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "finish_reason": finish}


# --- The server ---------------------------------------------------------------------------------------------------


class FakeServer:
    """Answers POST .../chat/completions with the script, in order, and GET .../models with `models`."""

    def __init__(self) -> None:
        self.url = ""
        self.models: list[dict[str, Any]] | Reply = [{"id": "kimi-k3", "object": "model", "context_length": 1_048_576}]
        self.requests: list[Received] = []
        self.listings: list[Received] = []
        self.connections = 0
        self.missing = 0
        self._script: deque[Script] = deque()
        self._always: Callable[[Received], Reply] | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._handlers: set[asyncio.Task[None]] = set()
        self._changed = threading.Condition()
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def script(self, *replies: Script) -> None:
        """Append replies; a function makes its reply from the request."""
        self._script.extend(replies)

    def always(self, reply: Callable[[Received], Reply]) -> None:
        """Answer every request for which the script has nothing with what `reply` makes of it."""
        self._always = reply

    def assert_used_up(self) -> None:
        """Fail unless every reply was asked for, and none more."""
        assert not self._script, f"{len(self._script)} scripted replies were never asked for"
        assert not self.missing, f"{self.missing} requests came after the script's end"

    def wait_for_requests(self, count: int, timeout: float = 20) -> None:
        """Block until so many chat requests have come."""
        self._wait(lambda: len(self.requests) >= count, f"{count} requests", timeout)

    def wait_for_disconnects(self, timeout: float = 20) -> None:
        """Block until no client is connected."""
        self._wait(lambda: not self._open, "the clients to disconnect", timeout)

    async def prepare(self, request: Received) -> None:
        """Before a request is answered; for servers that are slow."""

    def wait_until_stopped(self) -> None:
        """Block as long as it serves."""
        self._thread.join()

    def stop(self) -> None:
        """Drop every connection and end the thread."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._ended.set)
            self._thread.join(10)

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._started.wait(10):
            raise RuntimeError("the fake server did not start")
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self.stop)

    def _wait(self, condition: Callable[[], bool], what: str, timeout: float) -> None:
        with self._changed:
            if not self._changed.wait_for(condition, timeout):
                raise AssertionError(f"waited {timeout} s for {what}; got {len(self.requests)} requests")

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        listener = await asyncio.start_server(self._connected, "127.0.0.1", 0, limit=1 << 26)
        self.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/v1"
        self._started.set()
        await self._ended.wait()
        listener.close()
        for handler in self._handlers:
            handler.cancel()
        await asyncio.wait(self._handlers) if self._handlers else None

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._handlers.add(task)
        with self._changed:
            self.connections += 1
            self._open.add(writer)
        try:
            while (request := await _receive(reader)) is not None:
                closing = request.headers.get("connection", "").lower() == "close"
                await self.prepare(request)
                reply = self._reply_to(request)
                if reply.after is not None:
                    await asyncio.to_thread(reply.after.wait, 60)
                if not await _send(writer, reply, closing):
                    break
            if not writer.is_closing():
                await reader.read()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            self._handlers.discard(task)
            with self._changed:
                self._open.discard(writer)
                self._changed.notify_all()

    def _reply_to(self, request: Received) -> Reply:
        path = request.path.partition("?")[0]
        if request.method == "GET" and path.endswith("/models"):
            self.listings.append(request)
            return self.models if isinstance(self.models, Reply) else plain({"object": "list", "data": self.models})
        if request.method != "POST" or not path.endswith("/chat/completions"):
            return error(404, message=f"no such path on this server: {request.method} {path}")
        with self._changed:
            self.requests.append(request)
            self._changed.notify_all()
        if not self._script and self._always is not None:
            return self._always(request)
        if not self._script:
            self.missing += 1
            return error(500, message=f"the test's script has no reply number {len(self.requests)}")
        reply = self._script.popleft()
        return reply if isinstance(reply, Reply) else reply(request)


async def _receive(reader: asyncio.StreamReader) -> Received | None:
    """The next request of a connection; None when the client closed it."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").strip().split("\r\n")
    method, path, _ = first.split(" ", 2)
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    raw = await _body(reader, headers)
    return Received(method, path, headers, json.loads(raw) if raw else {}, raw)


async def _body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes:
    if headers.get("transfer-encoding", "") != "chunked":
        return await reader.readexactly(int(headers.get("content-length", "0")))
    body = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readexactly(2)
    return body


async def _send(writer: asyncio.StreamWriter, reply: Reply, closing: bool) -> bool:
    """Write a reply; whether the connection may serve another request."""
    head = {"Content-Type": reply.content_type, "Transfer-Encoding": "chunked", "x-trace-id": "trace-1"}
    lines = "".join(f"{name}: {value}\r\n" for name, value in {**head, **reply.headers}.items())
    writer.write(f"HTTP/1.1 {reply.status} Scripted\r\n{lines}\r\n".encode("latin-1"))
    for piece in reply.pieces:
        if piece:
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await writer.drain()
    if reply.ending == "end":
        writer.write(b"0\r\n\r\n")
    await writer.drain()
    if reply.ending == "cut" or closing:
        writer.close()  # a FIN after what was sent: a reset would throw away bytes the client has not read yet
    return reply.ending == "end" and not closing

"""What the adapter promises about OpenAI-compatible servers, Kimi's above all: a test per known behaviour."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest

from kimi_code.errors import (
    AuthError,
    BadRequest,
    ContentFiltered,
    ContextFull,
    ModelError,
    ModelUnavailable,
    NotAnApi,
    QuotaExceeded,
    RateLimited,
)
from kimi_code.llm.model import Chunk, Completion, ModelRequest, Profile, TextChunk, ThoughtChunk, ToolSchema
from kimi_code.llm.openai_chat import OpenAIChat
from kimi_code.llm.profiles import profile_for
from kimi_code.messages import Message, ToolCall, Usage
from tests.server import (
    FakeServer,
    Reply,
    answer,
    call,
    calls,
    cut,
    delta,
    error,
    event,
    hang,
    html,
    plain,
    raw_sse,
    say,
    usage_of,
)

KEY = "sk-not-to-be-seen"
DONE = b"data: [DONE]\n\n"
HELLO = ModelRequest("You are a test.", [Message("user", "hello")])

Connect = Callable[..., OpenAIChat]


@pytest.fixture
async def connect(server: FakeServer) -> AsyncIterator[Connect]:
    """Makes adapters for the server, and closes them."""
    made: list[OpenAIChat] = []

    def make(model: str = "kimi-k2.6", *, profile: Profile | None = None, **more: Any) -> OpenAIChat:
        chosen = profile or profile_for(model, "moonshot")
        options: dict[str, Any] = {"kind": "moonshot", **more}
        made.append(OpenAIChat(options.pop("url", server.url), KEY, chosen, **options))
        return made[-1]

    yield make
    for model in made:
        await model.close()


async def ask(model: OpenAIChat, request: ModelRequest = HELLO) -> list[Chunk]:
    async with aclosing(model.stream(request)) as chunks:
        return [chunk async for chunk in chunks]


async def complete(model: OpenAIChat, request: ModelRequest = HELLO) -> Completion:
    last = (await ask(model, request))[-1]
    assert isinstance(last, Completion)
    return last


async def fail(model: OpenAIChat, request: ModelRequest = HELLO) -> ModelError:
    with pytest.raises(ModelError) as raised:
        await ask(model, request)
    assert KEY not in f"{raised.value} {raised.value!r} {raised.value.__cause__!r} {model!r}"
    return raised.value


# --- Streaming ----------------------------------------------------------------------------------------------------


async def test_thought_text_and_usage_come_out_in_order(server: FakeServer, connect: Connect) -> None:
    server.script(say("Hello, 世界!", thought="hm, hm", usage=usage_of(50, 7, cached=20, reasoning=3)))
    chunks = await ask(connect())
    assert "".join(chunk.text for chunk in chunks if isinstance(chunk, ThoughtChunk)) == "hm, hm"
    assert "".join(chunk.text for chunk in chunks if isinstance(chunk, TextChunk)) == "Hello, 世界!"
    usage = Usage(input=50, cached=20, output=7, reasoning=3)
    assert chunks[-1] == Completion("Hello, 世界!", "hm, hm", (), "stop", usage, "trace-1")


async def test_tool_calls_whose_fragments_interleave_are_put_together(server: FakeServer, connect: Connect) -> None:
    server.script(calls(("Read", {"path": "a" * 40}), ("Grep", {"pattern": "b" * 40}), text="Looking."))
    done = await complete(connect())
    assert done.finish == "tool_calls"
    assert [(made.id, made.name, json.loads(made.arguments)) for made in done.tool_calls] == [
        ("call_1", "Read", {"path": "a" * 40}),
        ("call_2", "Grep", {"pattern": "b" * 40}),
    ]


async def test_a_call_cut_by_the_length_limit_says_so(server: FakeServer, connect: Connect) -> None:
    server.script(answer([("call_1", "Write", '{"path": "a", "content": "half')], finish="length"))
    done = await complete(connect())
    assert (done.finish, len(done.tool_calls)) == ("length", 1)


async def test_a_filter_in_mid_stream_ends_in_a_completion_that_says_so(server: FakeServer, connect: Connect) -> None:
    server.script(say("I ca", finish="content_filter"))
    assert (await complete(connect())).finish == "content_filter"


@pytest.mark.parametrize("bytes_missing", [-16, -400, 300, 1])
async def test_a_stream_cut_in_a_tool_call_is_unavailable_or_complete_never_half(
    server: FakeServer, connect: Connect, bytes_missing: int
) -> None:
    server.script(cut(bytes_missing, of=call("Read", {"path": "a/long/path/to/somewhere.py"})))
    if bytes_missing == -16:  # only [DONE] is missing
        assert len((await complete(connect())).tool_calls) == 1
        return
    assert isinstance(await fail(connect()), ModelUnavailable) or bytes_missing == -400


async def test_a_stream_that_ends_without_finish_and_done_is_cut_off(server: FakeServer, connect: Connect) -> None:
    server.script(raw_sse(delta({"content": "half an ans"})), raw_sse())
    for _ in range(2):
        problem = await fail(connect())
        assert isinstance(problem, ModelUnavailable)
        assert "cut off" in str(problem)
        assert problem.retryable


async def test_done_without_a_finish_reason_is_a_whole_answer(server: FakeServer, connect: Connect) -> None:
    server.script(raw_sse(delta({"content": "all"}), DONE))
    done = await complete(connect())
    assert (done.text, done.finish) == ("all", "stop")


async def test_silence_before_and_inside_an_answer_is_unavailable(server: FakeServer, connect: Connect) -> None:
    server.script(hang(), hang(200, of=say("some words")))
    model = connect(silence_timeout=0.1)
    for _ in range(2):
        problem = await fail(model)
        assert isinstance(problem, ModelUnavailable)
        assert "no sign of life for 0.1 s" in str(problem)


async def test_closing_the_stream_drops_the_connection(server: FakeServer, connect: Connect) -> None:
    server.script(hang(600, of=say("some words that are never finished")))
    async with aclosing(connect().stream(HELLO)) as chunks:
        async for _ in chunks:
            break
    await asyncio.to_thread(server.wait_for_disconnects)


async def test_connections_are_reused(server: FakeServer, connect: Connect) -> None:
    server.script(say("one"), error(429), call("Read", {}), say("two"))
    model = connect()
    await ask(model)
    await fail(model)
    await ask(model)
    await ask(model)
    assert server.connections == 1


async def test_a_model_that_was_closed_connects_again(server: FakeServer, connect: Connect) -> None:
    server.script(say("one"), say("two"))
    model = connect()
    await ask(model)
    await model.close()
    assert (await complete(model)).text == "two"


async def test_a_compressed_stream_is_read(server: FakeServer, connect: Connect) -> None:
    whole = gzip.compress(b"".join(say("packed").pieces))
    server.script(Reply((whole[:20], whole[20:]), headers={"Content-Encoding": "gzip"}))
    assert (await complete(connect())).text == "packed"


async def test_comments_count_as_life_and_say_nothing(server: FakeServer, connect: Connect) -> None:
    server.script(raw_sse(b": waiting\n\n", b": still waiting\n\n", *say("at last").pieces))
    assert (await complete(connect())).text == "at last"


async def test_an_answer_that_ignored_stream_is_taken(server: FakeServer, connect: Connect) -> None:
    function = {"name": "Read", "arguments": '{"path": "a"}'}
    message = {
        "role": "assistant",
        "content": "Hi",
        "tool_calls": [{"id": "x", "type": "function", "function": function}],
    }
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    server.script(plain({"choices": [choice], "usage": usage_of(3, 4)}))
    chunks = await ask(connect())
    assert chunks[0] == TextChunk("Hi")
    calls_made = (ToolCall("x", "Read", '{"path": "a"}'),)
    assert chunks[-1] == Completion("Hi", None, calls_made, "tool_calls", Usage(3, 0, 4, 0), "trace-1")


# --- What is sent -------------------------------------------------------------------------------------------------


async def test_the_request_carries_key_agent_usage_and_cache_key_and_no_sampling(
    server: FakeServer, connect: Connect
) -> None:
    server.script(say("ok"))
    schema = {"type": "object", "properties": {"path": {"description": "where"}}}
    await ask(connect(), replace(HELLO, tools=[ToolSchema("Read", "Reads.", schema)], session_id="session-1"))
    sent = server.requests[0]
    assert sent.headers["authorization"] == f"Bearer {KEY}"
    assert sent.headers["user-agent"].startswith("kimi-code/")
    assert sent.headers["content-type"] == "application/json"
    parameters = {"type": "object", "properties": {"path": {"type": "string", "description": "where"}}}
    assert sent.body == {
        "model": "kimi-k2.6",
        "stream": True,
        "stream_options": {"include_usage": True},
        "prompt_cache_key": "session-1",
        "messages": [{"role": "system", "content": "You are a test."}, {"role": "user", "content": "hello"}],
        "tools": [
            {"type": "function", "function": {"name": "Read", "description": "Reads.", "parameters": parameters}}
        ],
    }


async def test_later_requests_say_the_same_of_themselves_as_the_first(server: FakeServer, connect: Connect) -> None:
    server.script(say("one"), say("two"), error(429, retry_after=2.5), say("three"))
    model = connect()
    for words in ("short", "rather longer than the first"):
        await ask(model, replace(HELLO, messages=[Message("user", words)]))
    problem = await fail(model)
    assert isinstance(problem, RateLimited) and problem.retry_after == 2.5
    await ask(model)
    first, *others = [{**request.headers, "content-length": ""} for request in server.requests]
    assert others == [first] * 3
    assert [int(request.headers["content-length"]) for request in server.requests] == [
        len(request.raw) for request in server.requests
    ]


async def test_the_environment_of_another_provider_is_not_sent(
    server: FakeServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-secret")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "project-secret")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-other")
    server.script(say("ok"))
    await ask(connect())
    assert "secret" not in str(server.requests[0].headers)
    assert "sk-other" not in str(server.requests[0].headers)


async def test_the_prefix_of_a_conversation_stays_the_same_bytes(server: FakeServer, connect: Connect) -> None:
    server.script(say("one"), say("two"))
    model = connect()
    history = [Message("user", "first"), Message("assistant", "sure"), Message("user", "second")]
    await ask(model, replace(HELLO, messages=history[:1], session_id="s"))
    await ask(model, replace(HELLO, messages=history, session_id="s"))
    prefix = server.requests[0].raw.partition(b"]")[0]
    assert server.requests[1].raw.startswith(prefix)


async def test_proxies_from_the_environment_are_used_unless_no_proxy_names_the_host(
    server: FakeServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("http_proxy", server.url.removesuffix("/v1"))
    server.script(say("through the proxy"), say("directly"))
    done = await complete(connect(url="http://model.example/v1"))
    assert done.text == "through the proxy"
    assert server.requests[0].path == "http://model.example/v1/chat/completions"
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert (await complete(connect())).text == "directly"
    assert server.requests[1].path == "/v1/chat/completions"


@pytest.mark.parametrize("field", ["stream_options", "prompt_cache_key"])
async def test_a_field_the_server_refuses_by_name_is_left_out_at_once_and_from_then_on(
    server: FakeServer, connect: Connect, field: str
) -> None:
    server.script(error(400, message=f"Unrecognized request argument supplied: {field}"), say("ok"), say("again"))
    model = connect()
    assert (await complete(model, replace(HELLO, session_id="s"))).text == "ok"
    await ask(model, replace(HELLO, session_id="s"))
    assert [field in request.body for request in server.requests] == [True, False, False]
    server.assert_used_up()


async def test_a_server_that_keeps_refusing_a_field_that_was_left_out_is_not_asked_for_ever(
    server: FakeServer, connect: Connect
) -> None:
    refusal = error(422, message="extra inputs are not permitted: stream_options")
    server.script(refusal, refusal)
    assert isinstance(await fail(connect()), BadRequest)
    server.assert_used_up()


async def test_a_schema_for_the_answer_is_sent_where_the_profile_has_it(server: FakeServer, connect: Connect) -> None:
    server.script(say("{}"), say("{}"))
    schema = {"type": "object"}
    await ask(connect(profile=Profile("m", response_format=True)), replace(HELLO, response_schema=schema))
    await ask(connect(profile=Profile("m")), replace(HELLO, response_schema=schema))
    wanted = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
    assert [request.body.get("response_format") for request in server.requests] == [wanted, None]


# --- Errors -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "expected", "words"),
    [
        (error(400, message="Invalid request: Your request exceeded model token limit: 262144"), ContextFull, "262144"),
        (error(400, code="context_length_exceeded", message="too long"), ContextFull, "too long"),
        (error(400, message="This model's maximum context length is 4096 tokens"), ContextFull, "4096"),
        (error(500, message="the request exceeds the available context size"), ContextFull, "context size"),
        (error(400, message="The decoder prompt is longer than the maximum model length of 8192"), ContextFull, ""),
        (html("<h1>413 Request Entity Too Large</h1>", status=413), ContextFull, "413"),
        (error(400, kind="content_filter", message="rejected: considered high risk"), ContentFiltered, "high risk"),
        (error(400, message="messages: roles must alternate"), BadRequest, "alternate"),
        (error(400, message="tinyllama does not support tools"), BadRequest, "cannot call tools"),
        (error(401, kind="invalid_authentication_error", message="Invalid Authentication"), AuthError, "Invalid Auth"),
        (error(401, message=f"Incorrect API key provided: {KEY}"), AuthError, "***"),
        (error(403, kind="access_terminated_error", message="only for Kimi CLI"), AuthError, "open platform"),
        (error(404, kind="resource_not_found_error", message="no such model"), BadRequest, "base URL"),
        (html("<html><body>404 page not found</body></html>", status=404), BadRequest, "404 page not found"),
        (error(402, message="Insufficient Balance"), QuotaExceeded, "Insufficient"),
        (error(429, kind="exceeded_current_quota_error", message="check your billing"), QuotaExceeded, "billing"),
        (error(429, kind="rate_limit_reached_error", message="organization max RPM: 3"), RateLimited, "RPM"),
        (error(429, kind="engine_overloaded_error", message="overloaded"), RateLimited, "overloaded"),
        (error(500, message="oops"), ModelUnavailable, "oops"),
        (html("<html>Bad gateway</html>", status=502), ModelUnavailable, "Bad gateway"),
        (error(529, message="overloaded"), ModelUnavailable, "overloaded"),
        (plain({"detail": "Not authenticated"}, status=401), AuthError, "Not authenticated"),
        (plain(["odd"], status=400), BadRequest, "odd"),
        (html(), NotAnApi, "Sign in"),
        (plain({"hello": "world"}), NotAnApi, "hello"),
        (plain({"error": {"message": "model is loading", "code": 503}}), ModelUnavailable, "loading"),
        (raw_sse(event([], error={"message": "overloaded", "type": "engine_overloaded_error"})), RateLimited, ""),
        (raw_sse(delta({"content": "x"}), event([], error={"message": "died", "code": 500})), ModelUnavailable, "died"),
        (raw_sse(b'data: {"error": "maximum context length is 10"}\n\n'), ContextFull, "length is 10"),
        (raw_sse(b'data: {"choices": [{"delta"\n\n'), ModelUnavailable, "broken event"),
        (raw_sse(b'data: {"choices": [7]}\n\n'), ModelUnavailable, "broken event"),
    ],
)
async def test_every_refusal_becomes_its_own_error(
    server: FakeServer, connect: Connect, reply: Reply, expected: type[ModelError], words: str
) -> None:
    server.script(reply)
    problem = await fail(connect())
    assert type(problem) is expected
    assert words in str(problem)
    assert problem.trace_id == "trace-1"
    server.assert_used_up()


async def test_the_wait_a_server_asks_for_is_passed_on(server: FakeServer, connect: Connect) -> None:
    server.script(error(429, retry_after=2.5), error(429), error(429, headers={"X-RateLimit-Reset": "6m0s"}))
    model = connect()
    waits = [
        problem.retry_after for problem in [await fail(model) for _ in range(3)] if isinstance(problem, RateLimited)
    ]
    assert waits == [2.5, None, 360.0]


async def test_a_server_that_cannot_be_reached_is_unavailable_and_named(server: FakeServer, connect: Connect) -> None:
    server.stop()
    problem = await fail(connect())
    assert isinstance(problem, ModelUnavailable)
    assert server.url in str(problem)


async def test_a_host_without_an_address_is_unavailable(connect: Connect) -> None:
    assert isinstance(await fail(connect(url="http://nowhere.invalid/v1")), ModelUnavailable)


async def test_a_server_that_speaks_no_http_is_a_model_error(server: FakeServer, connect: Connect) -> None:
    server.script(Reply((b"x",), headers={"Content-Length": "not a number"}))
    assert isinstance(await fail(connect()), ModelError)


@pytest.mark.parametrize("url", ["api.moonshot.ai/v1", "", "http://[broken/v1", f"http://{'a' * 64}/v1"])
async def test_a_base_url_that_is_none_is_named(connect: Connect, url: str) -> None:
    problem = await fail(connect(url=url))
    assert isinstance(problem, BadRequest)
    assert "base URL" in str(problem)


async def test_a_proxy_that_is_none_is_told_as_such(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("all_proxy", "junk://proxy")
    problem = await fail(connect())
    assert isinstance(problem, BadRequest)
    assert "ALL_PROXY" in str(problem)


async def test_a_key_that_no_header_can_carry_is_an_auth_error(server: FakeServer) -> None:
    model = OpenAIChat(server.url, "sk-“quoted”", profile_for("kimi-k3"))
    with pytest.raises(AuthError, match="characters"):
        await ask(model)


async def test_a_password_in_the_base_url_is_refused_and_not_shown(connect: Connect) -> None:
    problem = await fail(connect(url="http://me:hunter2@127.0.0.1:9/v1"))
    assert "hunter2" not in f"{problem}"
    assert "'http://127.0.0.1:9/v1' must not carry a password" in f"{problem}"


# --- The list of models -------------------------------------------------------------------------------------------


async def test_models_are_listed_with_what_the_server_says_of_them(server: FakeServer, connect: Connect) -> None:
    server.models = [
        {"id": "kimi-k3", "context_length": 1_048_576, "supports_reasoning": True, "display_name": "Kimi K3"},
        {"id": "vllm", "max_model_len": 8192},
        {"id": "llama.cpp", "meta": {"n_ctx_train": 4096}},
        {"id": "bare"},
    ]
    listed = await connect().list_models()
    assert [(model.id, model.context, model.reasoning) for model in listed] == [
        ("kimi-k3", 1_048_576, True),
        ("vllm", 8192, None),
        ("llama.cpp", 4096, None),
        ("bare", None, None),
    ]
    assert listed[0].display_name == "Kimi K3"


@pytest.mark.parametrize("reply", [html(), plain({"data": "none"}), plain({"models": []}), plain(["a"])])
async def test_a_list_that_is_none_is_no_api(server: FakeServer, connect: Connect, reply: Reply) -> None:
    server.models = reply
    with pytest.raises(NotAnApi):
        await connect().list_models()

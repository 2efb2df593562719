"""The adapter for OpenAI-compatible servers: one HTTP client, streams read raw, every failure a ModelError.

The SDK gives authentication, proxies, TLS and connection reuse; its typed streams cost six times the CPU.
"""

import asyncio
import json
import ssl
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from kimi_code import __version__
from kimi_code.errors import AuthError, BadRequest, ModelError, ModelUnavailable, NotAnApi
from kimi_code.llm import kimi, sdk
from kimi_code.llm.model import Chunk, ModelListing, ModelRequest, Profile
from kimi_code.llm.profiles import Kind
from kimi_code.llm.wire import Decoder, Encoder, ProviderError

if TYPE_CHECKING:
    import httpx2
    from openai import AsyncOpenAI

CONNECT_TIMEOUT = 15.0
LISTING_TIMEOUT = 15.0
# Longer than most tool calls take, shorter than most load balancers keep an idle connection.
KEEP_ALIVE = 45.0
# How long the end of a stream may lag behind its [DONE] before the connection is given up instead of reused.
END_TIMEOUT = 0.05
_LIST_PATIENCE = 5.0  # seconds for a server to list its models while a prompt waits
# Fields that some servers refuse; without them the answer is the same.
OPTIONAL_FIELDS = ("stream_options", "prompt_cache_key")


class OpenAIChat:
    """A Model behind an OpenAI-compatible `/chat/completions`.

    `silence_timeout` is the longest pause in seconds before and inside an answer; its whole length is not limited.
    `observe` sees the headers of every answer, refusals included: how a limiter learns what the provider allows.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        profile: Profile,
        *,
        kind: Kind = "openai",
        headers: Mapping[str, str] | None = None,
        silence_timeout: float = 120.0,
        user_agent: str = f"kimi-code/{__version__}",
        observe: Callable[[Mapping[str, str]], object] = lambda headers: None,
        ask_vision: bool = True,
    ) -> None:
        """`ask_vision`: where the profile knows of no eyes, the server is asked before that is believed."""
        self._may_ask = ask_vision
        self._base_url = base_url.strip().rstrip("/")
        self._api_key = api_key.strip()
        self._profile = profile
        self._kind = kind
        self._headers = {"User-Agent": user_agent, **(headers or {})}
        self._silence_timeout = silence_timeout
        self._observe = observe
        self._encoder = Encoder()
        self._refused: set[str] = set()
        self._connecting = threading.Lock()
        self._sdk: sdk.SDK | None = None
        self._client: AsyncOpenAI | None = None
        self._transport: httpx2.AsyncClient | None = None
        self._first: httpx2.Request | None = None  # that the transport sent

    def __repr__(self) -> str:
        return f"OpenAIChat({self._shown_url!r}, model={self._profile.id!r})"

    @property
    def profile(self) -> Profile:
        return self._profile

    async def sees(self) -> bool:
        """As `Model.sees`: `supports_image_in` of `GET /models` counts where the configuration says nothing."""
        if not self._profile.vision and self._may_ask:
            try:
                async with asyncio.timeout(_LIST_PATIENCE):
                    listed = await self.list_models()
            except (ModelError, TimeoutError):
                return False  # and asked again the next time
            self._may_ask = False
            if any(each.id == self._profile.id and each.vision for each in listed):
                self._profile = replace(self._profile, vision=True)
                self._encoder = Encoder()  # which remembers messages without their images
        return self._profile.vision

    def prepare(self) -> None:
        """Import the SDK and build the client; optional, and worth a thread while something else is done.

        Raises:
            AuthError: the key has characters that no header can carry.
            BadRequest: the base URL is none.
        """
        with self._connecting:
            if self._client is None:
                self._sdk = sdk.load()
                self._client = self._connect(self._sdk)

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Chunk]:
        """As `Model.stream`; a field the server refuses by name is left out and the question asked again at once."""
        while True:
            try:
                async with aclosing(self._answer(request)) as chunks:
                    async for chunk in chunks:
                        yield chunk
                return
            except BadRequest as error:
                if not self._leave_out(error):
                    raise

    async def list_models(self) -> list[ModelListing]:
        """What the server's `GET /models` offers.

        Raises:
            ModelError: as `stream` does.
        """
        response = await self._send("GET", "/models")
        try:
            body = await self._read(response)
        finally:
            await response.aclose()
        try:
            entries = json.loads(body)["data"]
            return [_listing(entry) for entry in entries]
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
            raise self._not_an_api(response, body) from None

    async def close(self) -> None:
        """Close the connections; a later request opens new ones."""
        client, self._client = self._client, None
        self._transport = self._first = None
        if client is not None:
            await client.close()

    # --- One answer -----------------------------------------------------------------------------------------------

    async def _answer(self, request: ModelRequest) -> AsyncGenerator[Chunk]:
        body = self._encoder.encode(
            self._fields(request),
            request.system,
            request.messages,
            request.tools,
            echo=kimi.echo_for(self._profile, request.thinking),
            history=request.session_id,
            vision=self._profile.vision,
        )
        response = await self._send("POST", "/chat/completions", body)
        decoder = Decoder(kimi.trace_of(response.headers))
        try:
            async with aclosing(self._decoded(response, decoder)) as chunks:
                async for chunk in chunks:
                    yield chunk
        except ProviderError as error:
            raise self._reported(error, response) from None
        finally:
            await response.aclose()

    async def _decoded(self, response: "httpx2.Response", decoder: Decoder) -> AsyncGenerator[Chunk]:
        pieces = self._pieces(response)
        async with aclosing(pieces):
            first = await _first_words(pieces)
            if not _is_stream(response, first):
                for chunk in self._whole(response, decoder, first + b"".join([piece async for piece in pieces])):
                    yield chunk
                return
            for chunk in decoder.feed(first):
                yield chunk
            try:
                while not decoder.done and (piece := await anext(pieces, b"")):
                    for chunk in decoder.feed(piece):
                        yield chunk
            except ModelUnavailable:
                if not decoder.finished:
                    raise
            if decoder.done:
                await _exhaust(pieces)
        for chunk in decoder.close():
            yield chunk

    def _whole(self, response: "httpx2.Response", decoder: Decoder, body: bytes) -> list[Chunk]:
        """The chunks of an answer that is no stream."""
        try:
            answer: object = json.loads(body)
            if not isinstance(answer, dict) or not ("choices" in answer or "error" in answer):
                raise ValueError("no chat completion")
            return decoder.take_answer(cast(dict[str, Any], answer))
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
            raise self._not_an_api(response, body) from None

    def _fields(self, request: ModelRequest) -> dict[str, object]:
        profile = self._profile
        fields: dict[str, object] = {
            "model": profile.id,
            "stream": True,
            "stream_options": {"include_usage": True},
            **kimi.thinking_fields(profile, request.thinking),
        }
        if profile.max_output:
            fields["max_completion_tokens" if self._kind == "openai" else "max_tokens"] = profile.max_output
        if profile.prompt_cache_key and request.session_id:
            fields["prompt_cache_key"] = request.session_id
        if profile.response_format and request.response_schema is not None:
            schema = {"name": "answer", "schema": request.response_schema}
            fields["response_format"] = {"type": "json_schema", "json_schema": schema}
        return {name: value for name, value in fields.items() if name not in self._refused}

    def _leave_out(self, error: BadRequest) -> bool:
        """Whether the error names a field that can be left out from now on."""
        refused = {name for name in OPTIONAL_FIELDS if name in error.message} - self._refused
        self._refused |= refused
        return bool(refused)

    # --- HTTP -----------------------------------------------------------------------------------------------------

    async def _send(self, method: str, path: str, body: bytes | None = None) -> "httpx2.Response":
        """The open response to a request.

        Raises:
            ModelError: no answer, or one with an error status.
        """
        if self._client is None:
            await asyncio.to_thread(self.prepare)
        client, names = self._client, self._sdk
        assert client is not None and names is not None
        try:
            if body is None:
                timeout = names.timeout(LISTING_TIMEOUT, connect=CONNECT_TIMEOUT)
                return await client.get(path, cast_to=names.response, stream=True, options={"timeout": timeout})
            response = await self._post(client, names, path, body)
        except names.status_error as error:
            raise self._refusal(error.response) from None
        except names.failures as error:
            raise self._unreachable(error) from None
        if not response.is_success:
            raise self._refusal(response)
        self._observe(response.headers)
        return response

    async def _post(self, client: "AsyncOpenAI", names: "sdk.SDK", path: str, body: bytes) -> "httpx2.Response":
        """The SDK makes the first request; the ones after it are made like that one, at a third of the CPU."""
        if self._first is not None and self._transport is not None:
            first, transport = self._first, self._transport
            # `build_request` would merge what the first one has already.
            request = type(first)(
                "POST",
                first.url,
                headers=first.headers,
                cookies=transport.cookies or None,
                content=body,
                extensions={"timeout": transport.timeout.as_dict()},
            )
            response = await transport.send(request, stream=True)
            if not response.is_success:
                await response.aread()
            return response
        headers = {"Content-Type": "application/json", "Accept": "text/event-stream, application/json"}
        response = await client.post(
            path, content=body, cast_to=names.response, stream=True, options={"headers": headers}
        )
        if not response.history:  # one that was led elsewhere is not what we would send
            del response.request.headers["Content-Length"]
            self._first = response.request
        return response

    def _refusal(self, response: "httpx2.Response") -> ModelError:
        """What an answer with an error status means; its body has been read."""
        self._observe(response.headers)
        said = self._scrubbed(response.text)
        return kimi.model_error(
            response.status_code, said, response.headers, base_url=self._shown_url, model=self._profile.id
        )

    async def _pieces(self, response: "httpx2.Response") -> AsyncGenerator[bytes]:
        """The body as it comes."""
        assert self._sdk is not None
        plain = "content-encoding" not in response.headers  # decoding nothing costs as much as parsing
        try:
            async for piece in response.aiter_raw() if plain else response.aiter_bytes():
                if piece:
                    yield piece
        except self._sdk.failures as error:
            raise self._broken_off(error, kimi.trace_of(response.headers)) from None

    async def _read(self, response: "httpx2.Response") -> bytes:
        async with aclosing(self._pieces(response)) as pieces:
            return b"".join([piece async for piece in pieces])

    def _connect(self, names: "sdk.SDK") -> "AsyncOpenAI":
        self._check_url()
        if not (self._api_key.isascii() and self._api_key.isprintable()):
            raise AuthError("The API key has characters that no key has, such as a line break or a typographic quote.")
        for name, value in self._headers.items():
            if not (name + value).isascii() or not (name + value).isprintable():
                raise BadRequest(f"The header {name!r} has characters that no header can carry.")
        timeout = names.timeout(self._silence_timeout, connect=CONNECT_TIMEOUT, pool=None)
        limits = names.limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=KEEP_ALIVE)
        # One context for the server and every proxy: left alone, the transport makes one for each.
        context = names.tls_context() if _speaks_tls(self._base_url) else _bare_context()
        try:
            self._transport = names.transport(timeout=timeout, limits=limits, verify=context)
            client = names.client(
                api_key=self._api_key or "none",
                base_url=self._base_url,
                max_retries=0,
                timeout=timeout,
                default_headers=self._headers,
                http_client=self._transport,
            )
        except names.failures as error:
            raise BadRequest(f"The base URL {self._shown_url!r} cannot be used: {self._reason(error)}") from None
        if self._kind != "openai":  # the SDK takes these from the environment; they are nobody else's business
            client.organization = client.project = None
        return client

    def _check_url(self) -> None:
        try:
            parts = urlsplit(self._base_url)
        except ValueError:
            parts = urlsplit("")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise BadRequest(f"The base URL {self._shown_url!r} is none: it must look like https://host/v1.")
        if parts.username or parts.password:
            raise BadRequest(f"The base URL {self._shown_url!r} must not carry a password: use the key or a header.")

    # --- Errors ---------------------------------------------------------------------------------------------------

    @property
    def _shown_url(self) -> str:
        """The base URL without a password in it."""
        scheme, separator, rest = self._base_url.rpartition("://")
        host, slash, path = rest.partition("/")
        return f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path}"

    def _scrubbed(self, text: str) -> str:
        return text.replace(self._api_key, "***") if len(self._api_key) > 3 else text

    def _reported(self, error: ProviderError, response: "httpx2.Response") -> ModelError:
        """The meaning of an error object inside a 200 answer."""
        reported: Any = error.body.get("error")
        fields = cast(dict[str, Any], reported) if isinstance(reported, dict) else {}
        codes = [fields.get(name) for name in ("status", "status_code", "code")]
        status = next((int(code) for code in map(str, codes) if code.isdecimal() and 400 <= int(code) < 600), None)
        if status is None:
            status = (
                429 if any(name in str(fields) for name in kimi.RATE) else 400 if _is_request_error(fields) else 500
            )
        body = self._scrubbed(json.dumps(error.body, ensure_ascii=False))
        return kimi.model_error(status, body, response.headers, base_url=self._shown_url, model=self._profile.id)

    def _not_an_api(self, response: "httpx2.Response", body: bytes) -> NotAnApi:
        words = self._scrubbed(kimi.first_words(body[:20_000].decode("utf-8", "replace"))) or "nothing"
        kind = response.headers.get("content-type", "no content type")
        return NotAnApi(
            f"{self._shown_url} is no OpenAI-compatible API: it answered {kind} that begins: {words}",
            hint="Check the base URL (it usually ends in /v1), and whether a proxy or a sign-in page stands between.",
            status=response.status_code,
            trace_id=kimi.trace_of(response.headers),
        )

    def _unreachable(self, error: Exception) -> ModelUnavailable:
        hint = "Is the server running, the base URL right, the network (or its proxy) up?"
        return ModelUnavailable(f"{self._shown_url} cannot be reached: {self._reason(error)}", hint=hint)

    def _broken_off(self, error: Exception, trace_id: str) -> ModelUnavailable:
        return ModelUnavailable(f"The model's answer was cut off: {self._reason(error)}", trace_id=trace_id)

    def _reason(self, error: BaseException) -> str:
        """What lies at the bottom: the wrappers above it call most things a timeout."""
        while (cause := error.__cause__ or error.__context__) is not None:
            error = cause
        name = type(error).__name__
        if "Timeout" in name and "Connect" not in name:
            return f"no sign of life for {self._silence_timeout:g} s"
        if "Disconnected" in name:
            return "the server closed the connection"
        return self._scrubbed(kimi.first_words(str(error))) or name


def _is_stream(response: "httpx2.Response", first: bytes) -> bool:
    """Whether a body is an event stream; what it begins with says more than some servers' content type."""
    if first.startswith((b"data:", b"event:", b"id:", b"retry:", b":")):
        return True
    return "event-stream" in response.headers.get("content-type", "") and not first.startswith((b"{", b"<"))


async def _first_words(pieces: AsyncIterator[bytes]) -> bytes:
    """The beginning of a body, white space (which servers send to keep connections up) left out."""
    async for piece in pieces:
        if stripped := piece.lstrip():
            return stripped
    return b""


async def _exhaust(pieces: AsyncIterator[bytes]) -> None:
    """Read what follows [DONE], normally nothing, so that the connection can be used again."""
    try:
        async with asyncio.timeout(END_TIMEOUT):
            async for _ in pieces:
                pass
    except (TimeoutError, ModelUnavailable):
        pass


def _is_request_error(fields: Mapping[str, Any]) -> bool:
    words = f"{fields.get('type')} {fields.get('code')} {fields.get('message')}".lower()
    return "invalid" in words or any(text in words for text in (*kimi.CONTEXT_FULL, *kimi.FILTERED))


def _speaks_tls(base_url: str) -> bool:
    """Whether the server, or a proxy on the way to it, may be spoken to in TLS."""
    from urllib.request import getproxies

    return any(url.lower().startswith("https:") for url in (base_url, *getproxies().values()))


def _bare_context() -> ssl.SSLContext:
    """Trusts nobody, and skips loading the certificates: enough where no TLS is spoken, and safe if it is."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _listing(entry: Mapping[str, Any]) -> ModelListing:
    meta: Mapping[str, Any] = entry.get("meta") or {}
    context = next(
        (
            size
            for size in (
                entry.get("context_length"),
                entry.get("max_model_len"),
                entry.get("max_context_length"),
                meta.get("n_ctx"),
                meta.get("n_ctx_train"),
            )
            if isinstance(size, int) and size > 0
        ),
        None,
    )
    return ModelListing(
        id=str(entry["id"]),
        context=context,
        display_name=entry.get("display_name") or "",
        reasoning=entry.get("supports_reasoning"),
        vision=entry.get("supports_image_in"),
        raw=dict(entry),
    )

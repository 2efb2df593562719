"""The connection to an OpenAI-compatible server: one HTTP client for all requests, every failure a ModelError.

The SDK gives authentication, proxies, TLS and connection reuse; its typed streams cost six times the CPU.
"""

import asyncio
import json
import ssl
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, cast

from kimi_code.addresses import url_problem, without_password
from kimi_code.errors import AuthError, BadRequest, ModelError, ModelUnavailable, NotAnApi
from kimi_code.llm import kimi, sdk
from kimi_code.llm.decoder import ProviderError

if TYPE_CHECKING:
    import httpx2
    from openai import AsyncOpenAI

CONNECT_TIMEOUT = 15.0
LISTING_TIMEOUT = 15.0
# Longer than most tool calls take, shorter than most load balancers keep an idle connection.
KEEP_ALIVE = 45.0
# How long the end of a stream may lag behind its [DONE] before the connection is given up instead of reused.
END_TIMEOUT = 0.05


class Connection:
    """What requests for one model go through; `silence_timeout` in seconds is the longest pause in an answer.

    `own_account`: the server is OpenAI's, and what its SDK finds of an organization in the environment is for it.
    `observe` sees the headers of every answer, refusals included.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        model: str,
        *,
        headers: Mapping[str, str],
        silence_timeout: float,
        own_account: bool,
        observe: Callable[[Mapping[str, str]], object],
    ) -> None:
        self._base_url = base_url.strip().rstrip("/")
        self._api_key = api_key.strip()
        self._model = model
        self._headers = headers
        self._silence_timeout = silence_timeout
        self._own_account = own_account
        self._observe = observe
        self._connecting = threading.Lock()
        self._sdk: sdk.SDK | None = None
        self._client: AsyncOpenAI | None = None
        self._transport: httpx2.AsyncClient | None = None
        self._first: httpx2.Request | None = None  # that the transport sent

    @property
    def shown_url(self) -> str:
        """The base URL without a password in it."""
        return without_password(self._base_url)

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

    # --- HTTP -----------------------------------------------------------------------------------------------------

    async def send(self, method: str, path: str, body: bytes | None = None) -> "httpx2.Response":
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
            response.status_code, said, response.headers, base_url=self.shown_url, model=self._model
        )

    async def pieces(self, response: "httpx2.Response") -> AsyncGenerator[bytes]:
        """The body as it comes."""
        assert self._sdk is not None
        plain = "content-encoding" not in response.headers  # decoding nothing costs as much as parsing
        try:
            async for piece in response.aiter_raw() if plain else response.aiter_bytes():
                if piece:
                    yield piece
        except self._sdk.failures as error:
            raise self._broken_off(error, kimi.trace_of(response.headers)) from None

    async def read(self, response: "httpx2.Response") -> bytes:
        """The whole body."""
        async with aclosing(self.pieces(response)) as pieces:
            return b"".join([piece async for piece in pieces])

    def _connect(self, names: "sdk.SDK") -> "AsyncOpenAI":
        if problem := url_problem(self._base_url):
            raise BadRequest(f"The base URL {self.shown_url!r} {problem}.")
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
            raise BadRequest(f"The base URL {self.shown_url!r} cannot be used: {self._reason(error)}") from None
        except ValueError as error:
            hint = "Mend or unset HTTP_PROXY, HTTPS_PROXY or ALL_PROXY."
            raise BadRequest(f"A proxy of the environment cannot be used: {self._reason(error)}", hint=hint) from None
        if not self._own_account:  # the SDK takes these from the environment; they are nobody else's business
            client.organization = client.project = None
        return client

    async def close(self) -> None:
        """Close the connections; a later request opens new ones."""
        client, self._client = self._client, None
        self._transport = self._first = None
        if client is not None:
            await client.close()

    # --- Errors ---------------------------------------------------------------------------------------------------

    def _scrubbed(self, text: str) -> str:
        return text.replace(self._api_key, "***") if len(self._api_key) > 3 else text

    def reported(self, error: ProviderError, response: "httpx2.Response") -> ModelError:
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
        return kimi.model_error(status, body, response.headers, base_url=self.shown_url, model=self._model)

    def not_an_api(self, response: "httpx2.Response", body: bytes) -> NotAnApi:
        """What to say of an answer that no such API gives."""
        words = self._scrubbed(kimi.first_words(body[:20_000].decode("utf-8", "replace"))) or "nothing"
        kind = response.headers.get("content-type", "no content type")
        return NotAnApi(
            f"{self.shown_url} is no OpenAI-compatible API: it answered {kind} that begins: {words}",
            hint="Check the base URL (it usually ends in /v1), and whether a proxy or a sign-in page stands between.",
            status=response.status_code,
            trace_id=kimi.trace_of(response.headers),
        )

    def _unreachable(self, error: Exception) -> ModelUnavailable:
        hint = "Is the server running, the base URL right, the network (or its proxy) up?"
        return ModelUnavailable(f"{self.shown_url} cannot be reached: {self._reason(error)}", hint=hint)

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


async def exhaust(pieces: AsyncIterator[bytes]) -> None:
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

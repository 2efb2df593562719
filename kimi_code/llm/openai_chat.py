"""The adapter for OpenAI-compatible servers: what is asked of them, and their answers, read raw as they come."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from kimi_code import __version__
from kimi_code.errors import BadRequest, ModelError, ModelUnavailable
from kimi_code.llm import kimi
from kimi_code.llm.connection import Connection, exhaust
from kimi_code.llm.decoder import Decoder, ProviderError
from kimi_code.llm.model import Chunk, ModelListing, ModelRequest, Profile
from kimi_code.llm.profiles import Kind
from kimi_code.llm.wire import Encoder

if TYPE_CHECKING:
    import httpx2

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
        self._profile = profile
        self._kind = kind
        self._encoder = Encoder()
        self._refused: set[str] = set()
        self._connection = Connection(
            base_url,
            api_key,
            profile.id,
            headers={"User-Agent": user_agent, **(headers or {})},
            silence_timeout=silence_timeout,
            own_account=kind == "openai",
            observe=observe,
        )

    def __repr__(self) -> str:
        return f"OpenAIChat({self._connection.shown_url!r}, model={self._profile.id!r})"

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
        """As `Connection.prepare`: optional, and worth a thread while something else is done."""
        self._connection.prepare()

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
        response = await self._connection.send("GET", "/models")
        try:
            body = await self._connection.read(response)
        finally:
            await response.aclose()
        try:
            entries = json.loads(body)["data"]
            return [_listing(entry) for entry in entries]
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
            raise self._connection.not_an_api(response, body) from None

    async def close(self) -> None:
        """Close the connections; a later request opens new ones."""
        await self._connection.close()

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
        response = await self._connection.send("POST", "/chat/completions", body)
        decoder = Decoder(kimi.trace_of(response.headers))
        try:
            async with aclosing(self._decoded(response, decoder)) as chunks:
                async for chunk in chunks:
                    yield chunk
        except ProviderError as error:
            raise self._connection.reported(error, response) from None
        finally:
            await response.aclose()

    async def _decoded(self, response: "httpx2.Response", decoder: Decoder) -> AsyncGenerator[Chunk]:
        pieces = self._connection.pieces(response)
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
                await exhaust(pieces)
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
            raise self._connection.not_an_api(response, body) from None

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

"""Writes down what a model answers, as JSON lines that `scripted` plays again; secrets are scrubbed."""

import hashlib
import json
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from kimi_code.errors import ConfigError, ModelError, RateLimited
from kimi_code.llm.model import Chunk, Completion, Model, ModelRequest, Profile, TextChunk, ThoughtChunk
from kimi_code.llm.scripted import ERRORS


class RecordingModel:
    """Passes everything through from `inner` and writes it to `path`, a line per request; an old file is replaced.

    Requests are kept as a digest and sizes only. Raises ConfigError when `path` cannot be written.
    """

    def __init__(self, inner: Model, path: Path, scrub: Callable[[str], str]) -> None:
        self._inner = inner
        self._path = path
        self._scrub = scrub
        try:
            # Answers quote files: they are for this user's eyes.
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
            profile = inner.profile
            self._append({"type": "recording", "version": 1, "model": profile.id, "context": profile.context})
        except OSError as error:
            raise ConfigError(
                f"The recording cannot be written to {path}: {error.strerror}.",
                hint="Name another file in KIMI_CODE_RECORD, or unset it.",
            ) from None

    @property
    def profile(self) -> Profile:
        return self._inner.profile

    async def sees(self) -> bool:
        return await self._inner.sees()

    async def stream(self, request: ModelRequest) -> AsyncIterator[Chunk]:
        """The inner model's chunks. Raises what it raises, and ModelError when the recording cannot be written."""
        taken = _Take(self._scrub)
        chunks = self._inner.stream(request)
        try:
            async for chunk in chunks:
                taken.add(chunk)
                yield chunk
        except ModelError as error:
            taken.error = error
            raise
        finally:
            self._write({"type": "answer", "request": _digest(request), **taken.fields()})
            close = getattr(chunks, "aclose", None)
            if close is not None:
                await close()

    async def close(self) -> None:
        await self._inner.close()

    def _write(self, entry: dict[str, object]) -> None:
        try:
            self._append(entry)
        except OSError as error:
            raise ModelError(f"The recording cannot be written to {self._path}: {error.strerror}.") from None

    def _append(self, entry: dict[str, object]) -> None:
        line = json.dumps(entry, separators=(",", ":"))
        with self._path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")


@dataclass(slots=True)
class _Take:
    """One answer as it comes in."""

    scrub: Callable[[str], str]
    chunks: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    completion: Completion | None = None
    error: ModelError | None = None

    def add(self, chunk: Chunk) -> None:
        match chunk:
            case ThoughtChunk(text):
                self.chunks.append(("thought", text))
            case TextChunk(text):
                self.chunks.append(("text", text))
            case Completion():
                self.completion = chunk

    def fields(self) -> dict[str, object]:
        """Without completion and error when the client hung up."""
        fields: dict[str, object] = {"chunks": [*self._scrubbed("thought"), *self._scrubbed("text")]}
        if self.completion is not None:
            fields["completion"] = self._completion(self.completion)
        if self.error is not None:
            fields["error"] = self._error(self.error)
        return fields

    def _scrubbed(self, kind: str) -> list[tuple[str, str]]:
        # A secret may lie across pieces: the whole is scrubbed, and where that changes it, it stays one piece.
        pieces = [piece for piece in self.chunks if piece[0] == kind]
        whole = "".join(text for _, text in pieces)
        scrubbed = self.scrub(whole)
        return pieces if scrubbed == whole else [(kind, scrubbed)]

    def _completion(self, said: Completion) -> dict[str, object]:
        return {
            "text": self.scrub(said.text),
            "thought": None if said.thought is None else self.scrub(said.thought),
            "tool_calls": [
                {"id": call.id, "name": call.name, "arguments": self.scrub(call.arguments)} for call in said.tool_calls
            ],
            "finish": said.finish,
            "usage": asdict(said.usage) if said.usage else None,
            "trace_id": said.trace_id,
        }

    def _error(self, error: ModelError) -> dict[str, object]:
        name = next((name for name, kind in ERRORS.items() if isinstance(error, kind)), "bad_request")
        return {
            "type": name,
            "message": self.scrub(error.message),
            "hint": self.scrub(error.hint),
            "status": error.status,
            "retry_after": error.retry_after if isinstance(error, RateLimited) else None,
        }


def _digest(request: ModelRequest) -> dict[str, Any]:
    """Tells whether two requests were the same, without telling what they said."""
    parts = (
        request.system,
        [asdict(message) for message in request.messages],
        [asdict(tool) for tool in request.tools],
    )
    text = json.dumps(parts, sort_keys=True, default=str)
    return {
        "sha256": hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest(),
        "messages": len(request.messages),
        "characters": len(text),
    }

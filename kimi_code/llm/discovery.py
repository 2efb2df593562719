"""Which model servers run on this machine. Plain sockets: nothing heavy is imported to find out that there are none."""

import asyncio
import io
import json
from collections.abc import Sequence
from typing import cast
from urllib.parse import urlsplit

Found = tuple[str, tuple[str, ...]]


async def find_local(base_urls: Sequence[str], timeout: float = 0.2) -> list[Found]:
    """The base URLs whose `GET /models` answers within `timeout` seconds, in the order given, with their models."""
    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(_models(url, timeout)) for url in base_urls]
    answers = [(url, task.result()) for url, task in zip(base_urls, asked, strict=True)]
    return [(url, models) for url, models in answers if models is not None]


async def _models(base_url: str, timeout: float) -> tuple[str, ...] | None:
    """The ids a server lists; None when there is no server, or something else."""
    try:
        async with asyncio.timeout(timeout):
            return _ids(await _get(f"{base_url.rstrip('/')}/models"))
    except (OSError, ValueError, TypeError, LookupError, AttributeError):
        return None


async def _get(url: str) -> bytes:
    """Everything a plain HTTP server answers to a GET."""
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError(f"not a plain http URL: {url}")
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port or 80)
    try:
        writer.write(f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n".encode())
        return await reader.read()
    finally:
        writer.close()


def _ids(answer: bytes) -> tuple[str, ...]:
    from http.client import HTTPException, HTTPResponse

    response = HTTPResponse(_Socket(answer))  # pyright: ignore[reportArgumentType]  (it only ever calls makefile)
    try:
        response.begin()
        body = response.read()
    except HTTPException as error:
        raise ValueError("no HTTP answer") from error
    if response.status != 200:
        raise ValueError(f"HTTP {response.status}")
    entries = cast(list[dict[str, object]], json.loads(body)["data"])
    return tuple(str(entry["id"]) for entry in entries)


class _Socket:
    """What HTTPResponse needs of a socket, for bytes that are there already."""

    def __init__(self, received: bytes) -> None:
        self._received = received

    def makefile(self, mode: str) -> io.BytesIO:
        return io.BytesIO(self._received)

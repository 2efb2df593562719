"""Local servers are found, and everything else is passed over."""

import pytest

from kimi_code.llm.discovery import find_local
from tests.server import FakeServer, Reply, error, hang, html, plain


async def test_servers_that_answer_are_listed_in_the_order_asked(server: FakeServer) -> None:
    server.models = [{"id": "llama3"}, {"id": "qwen3-coder:30b"}]
    with FakeServer() as second:
        second.models = []
        urls = [second.url, "http://127.0.0.1:1/v1", f"{server.url}/"]
        assert await find_local(urls, timeout=5) == [(second.url, ()), (urls[2], ("llama3", "qwen3-coder:30b"))]


@pytest.mark.parametrize(
    "reply", [html(), error(401), plain({"models": []}), plain(["x"]), plain({"data": [7]}), Reply((b"{",))]
)
async def test_what_is_no_model_server_is_passed_over(server: FakeServer, reply: Reply) -> None:
    server.models = reply
    assert await find_local([server.url], timeout=5) == []


async def test_a_server_that_does_not_answer_in_time_is_passed_over(server: FakeServer) -> None:
    server.models = hang()
    assert await find_local([server.url], timeout=0.05) == []


@pytest.mark.parametrize("url", ["https://127.0.0.1/v1", "nonsense", "http://", "http://[/v1", ""])
async def test_an_address_that_is_none_is_passed_over(url: str) -> None:
    assert await find_local([url]) == []

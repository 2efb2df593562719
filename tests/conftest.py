"""Fixtures shared by all tests."""

from collections.abc import Iterator

import pytest

from tests.server import FakeServer


@pytest.fixture
def server() -> Iterator[FakeServer]:
    """A scripted OpenAI-compatible server at `server.url`."""
    with FakeServer() as running:
        yield running

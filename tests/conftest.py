"""Fixtures shared by all tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import Lab, make_lab
from tests.server import FakeServer


@pytest.fixture
def server() -> Iterator[FakeServer]:
    """A scripted OpenAI-compatible server at `server.url`."""
    with FakeServer() as running:
        yield running


@pytest.fixture
def lab(server: FakeServer, tmp_path: Path) -> Iterator[Lab]:
    """A project and a server; every scripted reply must be used."""
    yield make_lab(server, tmp_path)
    server.assert_used_up()
